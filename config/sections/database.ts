import { field, group, type RuleProblem, section } from "../field.ts";
import { byteSize } from "../kinds/byte_size.ts";
import { list, record } from "../kinds/collections.ts";
import { duration, LONGEST_TIMER } from "../kinds/duration.ts";
import { certificates, privateKey } from "../kinds/pem.ts";
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
    statement_timeout: field(duration({ min: "1ms", max: LONGEST_TIMER }), {
      default: "10s",
      description:
        "How long a statement may run where neither it nor its namespace says otherwise. Never longer than `limits.sql.statement_timeout`.",
    }),
    retained_changes: field(integer({ min: 1 }), {
      default: 100_000,
      unit: "changes",
      description:
        "How many changes of tables are kept for who listens where a namespace does not say otherwise. Never more than `limits.sql.retained_changes`.",
    }),
    change_retention: field(duration({ min: "1m", max: "365d" }), {
      default: "24h",
      description:
        "For how long they are kept where a namespace does not say otherwise. Never longer than `limits.sql.change_retention`.",
    }),
    change_listeners: field(integer({ min: 1, max: 1_000_000 }), {
      default: 512,
      unit: "listeners",
      description:
        "How many may listen to changes of tables at once on this gateway, in all namespaces together; one more is 429. One namespace has 64 of them at most.",
    }),
    sqlite: group({
      synchronous: field(choice(["FULL", "NORMAL"]), {
        default: "FULL",
        description:
          "`FULL`: an acknowledged write survives a power cut. `NORMAL`: faster; the last writes may be lost then, but nothing is damaged.",
      }),
      hosts: group({
        max: field(integer({ min: 1, max: 1_000 }), {
          default: 16,
          unit: "processes",
          description:
            "How many child processes run SQL at once, one for each namespace in use. The one unused for longest ends for another namespace.",
        }),
        spares: field(integer({ min: 0, max: 16 }), {
          default: 1,
          unit: "processes",
          description:
            "How many more are started ahead, so that a namespace need not wait for one. Each takes about 50 MB of memory.",
        }),
        memory: field(byteSize({ min: "16MiB", max: "16GiB" }), {
          default: "256MiB",
          description:
            "What SQLite may take in one process. A statement that needs more is refused, and the process goes on.",
        }),
        idle: field(duration({ min: "1s", max: "24h" }), {
          default: "5m",
          description: "After how long without a statement a process ends.",
        }),
      }),
      max_open: field(integer(), {
        unit: "databases",
        description: "No more: it is `database.sqlite.hosts.max` now, and refused here.",
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
      tls: group({
        ca: field(certificates, {
          inFile: true,
          description:
            "Certificate authorities that vouch for nodes with `https://` addresses, beside the public ones that Deno knows.",
        }),
        cert: field(certificates, {
          inFile: true,
          description:
            "The gateway's own certificate, for nodes that ask for one (`-http-verify-client`), followed by those between it and its authority.",
        }),
        key: field(privateKey, {
          secret: true,
          description: "Private key of `database.rqlite.tls.cert`.",
        }),
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
  check: ({ driver, sqlite, rqlite }) => [
    ...sqlite.max_open === undefined ? [] : [REPLACED],
    ...driver === "rqlite" ? checkRqlite(rqlite) : [],
  ],
});

const REPLACED: RuleProblem = {
  key: "sqlite.max_open",
  expected: "no such setting: write database.sqlite.hosts.max, which counts processes",
};

interface RqliteClusters {
  readonly control: readonly string[];
  readonly pool: readonly { readonly name: string; readonly urls: readonly string[] }[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls: {
    readonly ca?: string | undefined;
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
  };
}

function checkRqlite({ control, pool, username, password, tls }: RqliteClusters): readonly RuleProblem[] {
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
  if (tls.cert !== undefined && tls.key === undefined) {
    refuse("tls.key", "the private key of database.rqlite.tls.cert", "rqlite.tls.cert");
  }
  if (tls.cert === undefined && tls.key !== undefined) {
    refuse("tls.cert", "the certificate of database.rqlite.tls.key", "rqlite.tls.key");
  }
  const addresses = [...control, ...pool.flatMap(({ urls }) => urls)];
  // Whoever gives certificates believes that there is TLS. Some addresses may be without it: those of nodes that get it later.
  if (addresses.length > 0 && !addresses.some((node) => node.startsWith("https:"))) {
    for (const name of ["ca", "cert"] as const) {
      if (tls[name] !== undefined) refuse(`tls.${name}`, "https:// addresses of nodes beside it", `rqlite.tls.${name}`);
    }
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
