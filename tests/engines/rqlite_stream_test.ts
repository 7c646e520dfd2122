import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { SqlDatabase } from "../../services/database/database.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const context = (signal = new AbortController().signal) => ({ requestId: "test", signal, clientAddress: "" });
const is = (code: ErrorCode) => (error: unknown) => error instanceof GatewayError && error.code === code;
const series = (n: number, columns: string) =>
  `WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ${n}) SELECT ${columns} FROM c`;

function streamTest(name: string, run: (db: SqlDatabase) => Promise<void>): void {
  engineTest(name, ["rqlited"], async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    const clusters = new Map([["one", new RqliteCluster({ name: "one", urls })]]);
    const db = new SqlDatabase(new RqliteDriver({ clusters, clusterOf: () => Promise.resolve("one") }));
    try {
      await run(db);
    } finally {
      await db.close();
    }
  });
}

const open = (db: SqlDatabase, sql: string, signal?: AbortSignal) =>
  db.stream("shop", { sql, args: [] }, context(signal), { timeout: 30_000 });

streamTest("a million rows come as they are read, in memory that does not grow with them", async (db) => {
  const count = 1_000_000;
  const stream = await open(db, series(count, "i, 'row number ' || i AS t, i * 1.5 AS r"));
  deepEqual([stream.columns, stream.types, stream.level], [["i", "t", "r"], ["integer", "text", "real"], "weak"]);
  const before = Deno.memoryUsage().rss;
  let rows = 0, most = 0;
  for await (const batch of stream.batches) {
    for (const [i, text, real] of batch) {
      rows++;
      if (i !== rows || text !== `row number ${rows}` || real !== rows * 1.5) {
        throw new Error(`row ${rows} is ${batch}`);
      }
    }
    most = Math.max(most, Deno.memoryUsage().rss);
  }
  equal(rows, count);
  ok(most - before < 150e6, `${Math.round((most - before) / 1e6)} MB more`);
});

streamTest("values are presented as in a query that is answered at once", async (db) => {
  const columns = "id INTEGER PRIMARY KEY, b BOOLEAN, d DATETIME, x BLOB, r REAL, t TEXT, j JSON, n";
  await db.execute("shop", { sql: `CREATE TABLE t (${columns})`, args: [] }, context());
  const insert = "INSERT INTO t (b, d, x, r, t, j, n) VALUES (?, ?, ?, ?, ?, ?, ?)";
  const bytes = new Uint8Array([0, 255, 91, 93, 34]);
  for (
    const args of [
      [true, "2026-01-18 10:00:00", bytes, 1.5, 'a"],[\\', '{"a":[1]}', 2n ** 62n],
      [false, 1_700_000_000, null, { real: 1e17 }, "", "[[]]", -(2n ** 62n)],
      [null, null, new Uint8Array(), null, "äöü😀\n", null, null],
    ]
  ) await db.execute("shop", { sql: insert, args }, context());
  for (
    const sql of [
      "SELECT * FROM t",
      "SELECT count(*) AS n, max(r), x FROM t GROUP BY id",
      "SELECT * FROM t WHERE 0",
      "SELECT 1 AS a, 2 AS a",
    ]
  ) {
    const { columns, types, rows } = await db.query("shop", { sql, args: [] }, context());
    const stream = await open(db, sql);
    deepEqual(
      [stream.columns, stream.types, (await Array.fromAsync(stream.batches)).flat()],
      [columns, types, rows],
      sql,
    );
  }
});

streamTest("what is wrong is told before the first row", async (db) => {
  await rejects(open(db, "SELECT * FROM missing"), is("SQL_INVALID"));
  await rejects(open(db, "SELECT abs(-9223372036854775807 - 1)"), is("SQL_INVALID"));
  await rejects(open(db, "SELECT 1e999"), is("SQL_INVALID"));
  await rejects(
    db.stream("shop", { sql: series(1e12, "max(i)"), args: [] }, context(), { timeout: 200 }),
    is("STATEMENT_TIMEOUT"),
  );
});

streamTest("whoever ends early, or goes away, is done with it", async (db) => {
  const filler = series(100_000, "hex(zeroblob(200)) AS f");
  for (let i = 0; i < 5; i++) {
    const stream = await open(db, filler);
    for await (const batch of stream.batches) {
      ok(batch.length > 0);
      break;
    }
  }
  const leaving = new AbortController();
  const stream = await open(db, filler, leaving.signal);
  const taking = rejects(async () => {
    for await (const _batch of stream.batches) {
      leaving.abort();
      await until("the abort is seen", () => leaving.signal.aborted);
    }
  }, is("UNAVAILABLE"));
  await taking;
  equal((await db.query("shop", { sql: "SELECT 1", args: [] }, context())).rows.length, 1);
});
