// SQL through the gateway against the same RQLite, asked by the same client, in one run.
// deno task bench:rqlite [nodes…] (rqlited on PATH or in TEST_ENGINES_DIR)
import { out } from "../../src/cli/output.ts";
import { RqliteTestCluster } from "../engines/support/rqlite.ts";
import { load, type LoadOptions, machine, type Measured } from "./load.ts";
import { startGateway } from "./processes.ts";

const ROUNDS = 3;
const ROWS = 1000;
const SELECT = "SELECT v FROM t WHERE id = ?";
const INSERT = "INSERT INTO log (v) VALUES (?)";
const VALUE = "x".repeat(100);

const counts = Deno.args.length > 0 ? Deno.args.map(Number) : [1, 3];
out(`# ${machine()}; rows of 100 bytes, best of ${ROUNDS} rounds`);
for (const nodes of counts) await bench(nodes === 3 ? 3 : 1);

async function bench(nodes: 1 | 3): Promise<void> {
  await using control = await RqliteTestCluster.start({ nodes: 1 });
  await using tenant = await RqliteTestCluster.start({ nodes });
  const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
  await Deno.writeTextFile(`${folder}/root.key`, crypto.getRandomValues(new Uint8Array(32)).toHex(), { mode: 0o600 });
  await Deno.writeTextFile(
    `${folder}/orama.yaml`,
    JSON.stringify({
      auth: { root_key_file: `${folder}/root.key`, simple_key: true },
      limits: { key: { rate: 0 }, address: { rate: 0 }, credentials: { rate: 0 } },
      database: { driver: "rqlite", rqlite: { control: control.urls, pool: [{ name: "a", urls: tenant.urls }] } },
    }),
  );
  // `dev` says where it listens on its standard output.
  const gateway = await startGateway(["dev", "--listen", "127.0.0.1:0", "--config", `${folder}/orama.yaml`]);
  try {
    const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
    const direct = (await tenant.leader()).url;
    const post = (body: unknown, connections: number, more: Record<string, string> = {}) => ({
      method: "POST",
      headers: { ...more, "content-type": "application/json" },
      body: JSON.stringify(body),
      connections,
      pid: gateway.pid,
    } as const);
    const ours = (
      path: string,
      body: unknown,
      connections: number,
    ): Target => [`${url}/v1/rqlite/${path}`, post(body, connections, { "x-api-key": api_key })];
    const theirs = (
      path: string,
      body: unknown,
      connections: number,
    ): Target => [`${direct}/db/${path}`, post(body, connections)];
    const sql = async (path: string, body: unknown) => {
      const [address, { method, headers, body: text }] = ours(path, body, 1);
      const response = await fetch(address, { method: method!, headers: headers!, body: text as string });
      if (!response.ok) throw new Error(await response.text());
      await response.body?.cancel();
    };
    for (const table of ["t", "log"]) {
      await sql("exec", { sql: `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, v TEXT)` });
    }
    const ops = Array.from({ length: ROWS }, (_, i) => (
      { kind: "exec", sql: "INSERT INTO t VALUES (?, ?)", args: [i, VALUE] }
    ));
    await sql("transaction", { ops });

    out(`\n## ${nodes === 1 ? "one node" : "three nodes, itself asked at the leader"}\n`);
    out("| | through the gateway/s | RQLite itself/s | ratio | p50 ms (itself) | p99 ms (itself) | gateway CPU µs |");
    out("|---|---|---|---|---|---|---|");
    for (const connections of [64, 1]) {
      for (const level of ["none", "weak"]) {
        await compare(
          `SELECT by key, ${level}, ${connections} clients`,
          ours("query", { sql: SELECT, args: [7], level }, connections),
          theirs(`query?level=${level}`, [[SELECT, 7]], connections),
        );
      }
      await compare(
        `INSERT, ${connections} clients`,
        ours("exec", { sql: INSERT, args: [VALUE] }, connections),
        theirs("execute", [[INSERT, VALUE]], connections),
      );
    }
  } finally {
    await gateway.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

type Target = readonly [url: string, options: LoadOptions];

async function compare(name: string, ours: Target, theirs: Target): Promise<void> {
  let best: [Measured, Measured] | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const measured: [Measured, Measured] = [await load(...ours), await load(...theirs)];
    best = best ? [faster(best[0], measured[0]), faster(best[1], measured[1])] : measured;
  }
  const [through, itself] = best!;
  const pair = (a: number, b: number) => `${a.toFixed(2)} (${b.toFixed(2)})`;
  const figures = [
    through.perSecond.toFixed(0),
    itself.perSecond.toFixed(0),
    `${(100 * through.perSecond / itself.perSecond).toFixed(0)} %`,
    pair(through.p50, itself.p50),
    pair(through.p99, itself.p99),
    through.cpuPerRequest.toFixed(1),
  ];
  out(`| ${[name, ...figures].join(" | ")} |`);
}

function faster(a: Measured, b: Measured): Measured {
  return a.perSecond > b.perSecond ? a : b;
}
