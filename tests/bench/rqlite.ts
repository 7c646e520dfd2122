// SQL through the gateway against the same RQLite, asked by the same client, in one run.
// deno task bench:rqlite (rqlited on PATH or in TEST_ENGINES_DIR)
import { out } from "../../src/cli/output.ts";
import { RqliteTestCluster } from "../engines/support/rqlite.ts";
import { load, type LoadOptions, machine, type Measured } from "./load.ts";
import { start } from "./processes.ts";

const ROUNDS = 3;
const ROWS = 1000;

await using control = await RqliteTestCluster.start({ nodes: 1 });
await using tenant = await RqliteTestCluster.start({ nodes: 1 });
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
const gateway = await start(["main.ts", "dev", "--listen", "127.0.0.1:0", "--config", `${folder}/orama.yaml`]);
try {
  const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  const headers = { "x-api-key": api_key, "content-type": "application/json" };
  const sql = async (path: string, body: unknown) => {
    const response = await fetch(`${url}/v1/rqlite/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
    await response.body?.cancel();
  };
  await sql("exec", { sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" });
  await sql("transaction", {
    ops: Array.from({ length: ROWS }, (_, i) => ({
      kind: "exec",
      sql: "INSERT INTO t VALUES (?, ?)",
      args: [i, "x".repeat(100)],
    })),
  });

  out(`# ${machine()}; RQLite one node, rows of 100 bytes, best of ${ROUNDS} rounds\n`);
  out("| | through the gateway/s | RQLite itself/s | ratio | p50 ms (itself) | p99 ms (itself) |");
  out("|---|---|---|---|---|---|");
  const body = {
    method: "POST",
    headers,
    body: JSON.stringify({ sql: "SELECT v FROM t WHERE id = ?", args: [7] }),
  } as const;
  const direct = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([["SELECT v FROM t WHERE id = ?", 7]]),
  } as const;
  for (const connections of [64, 1]) {
    await compare(`SELECT by key, ${connections} connections`, [`${url}/v1/rqlite/query`, { ...body, connections }], [
      `${tenant.urls[0]}/db/query?level=weak`,
      { ...direct, connections },
    ]);
  }
} finally {
  await gateway.stop();
  await Deno.remove(folder, { recursive: true });
}

type Target = readonly [url: string, options: LoadOptions];

async function compare(name: string, ours: Target, theirs: Target): Promise<void> {
  let best: [Measured, Measured] | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const measured: [Measured, Measured] = [await load(...ours), await load(...theirs)];
    best = best ? [faster(best[0], measured[0]), faster(best[1], measured[1])] : measured;
  }
  const [through, itself] = best!;
  out(
    `| ${name} | ${through.perSecond.toFixed(0)} | ${itself.perSecond.toFixed(0)} | ${
      (100 * through.perSecond / itself.perSecond).toFixed(0)
    } % | ${through.p50.toFixed(2)} (${itself.p50.toFixed(2)}) | ${through.p99.toFixed(2)} (${
      itself.p99.toFixed(2)
    }) |`,
  );
}

function faster(a: Measured, b: Measured): Measured {
  return a.perSecond > b.perSecond ? a : b;
}
