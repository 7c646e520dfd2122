import { field, group, type RuleProblem, section } from "../field.ts";
import { list, record } from "../kinds/collections.ts";
import { duration, LONGEST_TIMER } from "../kinds/duration.ts";
import { choice, integer, text } from "../kinds/plain.ts";
import { url } from "../kinds/url.ts";

const clusterName = text({
  max: 64,
  pattern: /^[a-z\d][a-z\d_-]*$/,
  expected: "a name of lower-case letters, digits, - and _",
});

/** Where SQL runs, and where the gateway keeps its own tables. */
export const database = section({
  description: "Where SQL of the namespaces runs, and where the gateway keeps its own tables.",
  fields: {
    driver: field(choice(["sqlite", "rqlite"]), {
      default: "sqlite",
      description:
        "`sqlite`: files in the data folder, one for each namespace; for one gateway. `rqlite`: RQLite clusters, for any number of gateways.",
    }),
    sqlite: group({
      synchronous: field(choice(["FULL", "NORMAL"]), {
        default: "FULL",
        description:
          "`FULL`: an acknowledged write survives a power cut. `NORMAL`: faster; the last writes may be lost then, but nothing is damaged.",
      }),
      max_open: field(integer({ min: 1, max: 10_000 }), {
        default: 64,
        unit: "databases",
        description:
          "How many databases of namespaces are open at once. The one used least recently is closed for another.",
      }),
      busy_timeout: field(duration({ max: "5m" }), {
        default: "5s",
        description: "How long a statement waits for another one's lock.",
      }),
    }),
    rqlite: group({
      control: field(list(url), {
        default: [],
        description:
          "Nodes of the cluster that holds the gateway's own tables, such as `http://127.0.0.1:5001`. Namespaces never reach it.",
      }),
      pool: field(list(record({ name: clusterName, urls: list(url) })), {
        default: [],
        description:
          'Clusters for namespaces: `[{name: a, urls: ["http://127.0.0.1:5011"]}, …]`. Each serves one namespace at a time, so their number is how many there can be. A name must not change while a namespace is on it.',
      }),
      username: field(text(), {
        description: "User name at every node, when they ask for one.",
      }),
      password: field(text(), {
        secret: true,
        description: "Password of `database.rqlite.username`.",
      }),
      request_timeout: field(duration({ min: "1ms", max: LONGEST_TIMER }), {
        default: "3s",
        description: "How long a node may take to answer before another one is asked, where that is safe.",
      }),
      read_level: field(choice(["none", "weak", "linearizable", "strong"]), {
        default: "weak",
        description:
          "Consistency of reads (RQLite's `level`). `weak`: the leader answers; after a change of leader a read may be stale for about a second. `linearizable`: never stale, a round trip slower. `none`: any node, may be stale.",
      }),
    }),
  },
  check: ({ driver, rqlite }) => driver === "rqlite" ? checkRqlite(rqlite) : [],
});

interface RqliteClusters {
  readonly control: readonly string[];
  readonly pool: readonly { readonly name: string; readonly urls: readonly string[] }[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

function checkRqlite({ control, pool, username, password }: RqliteClusters): readonly RuleProblem[] {
  const problems: RuleProblem[] = [];
  const refuse = (key: string, expected: string, because = "driver") =>
    problems.push({ key: `rqlite.${key}`, because, expected });
  if (control.length === 0) refuse("control", "at least one URL, because database.driver is rqlite");
  if (pool.length === 0) {
    refuse("pool", "at least one cluster for namespaces beside the control plane's, because database.driver is rqlite");
  }
  if (username !== undefined && password === undefined) {
    refuse("password", "a password for database.rqlite.username", "rqlite.username");
  }
  if (username === undefined && password !== undefined) {
    refuse("username", "the user name of the password", "rqlite.password");
  }

  const names = new Set<string>();
  const owners = new Map(control.map((node) => [node, "database.rqlite.control"]));
  pool.forEach(({ name, urls }, i) => {
    if (names.has(name)) refuse(`pool.${i}.name`, `a name of its own, but ${name} is taken`);
    names.add(name);
    if (urls.length === 0) refuse(`pool.${i}.urls`, "at least one URL");
    for (const [j, node] of urls.entries()) {
      // Two owners of one cluster would see, and overwrite, each other's tables.
      const owner = owners.get(node);
      if (owner) refuse(`pool.${i}.urls.${j}`, `a node of this cluster alone, but ${owner} has it too`);
      owners.set(node, `the cluster ${name}`);
    }
  });
  return problems;
}
