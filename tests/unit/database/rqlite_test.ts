import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { judge } from "../../../services/database/gate/gate.ts";
import { RqliteDriver } from "../../../services/database/rqlite/driver.ts";
import { plainArgs, rqliteStatement, sharedText } from "../../../services/database/rqlite/statements.ts";
import { RqliteCluster } from "../../../services/rqlite/client.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const context = { signal: new AbortController().signal };
const bounds = { timeout: 1_000, level: "weak", ceiling: { rows: 100, bytes: 10_000 }, maxDatabaseBytes: 0 } as const;
const gated = (sql: string, ...args: SqlArgument[]) => ({ ...judge(sql), args });
const sent = (sql: string, ...args: SqlArgument[]) => rqliteStatement(gated(sql, ...args));

Deno.test("a REAL without a fraction is cast where it stands, and nothing else is touched", () => {
  deepEqual(sent("SELECT ?, '?', ?, ?", 1, { real: 2 }, { real: 2.5 }), {
    sql: "SELECT ?, '?', (+CAST(? AS REAL)), ?",
    args: [1, 2, 2.5],
  });
  deepEqual(sent("SELECT ?", 1e17), { sql: "SELECT (+CAST(? AS REAL))", args: [1e17] });
  deepEqual(sent("SELECT ? /* ? */", 2 ** 53 - 1), { sql: "SELECT ?", args: [2 ** 53 - 1] });
});

Deno.test("calls of time and chance in a write touch their parenthesis", () => {
  const cases: [string, string][] = [
    ["INSERT INTO t VALUES (random ())", "INSERT INTO t VALUES (random())"],
    [
      "INSERT INTO t VALUES (RANDOM\n( ), datetime /* x */ ('now'))",
      "INSERT INTO t VALUES (RANDOM( ), datetime('now'))",
    ],
    ["INSERT INTO t (time) VALUES (strftime -- x\n('%s'))", "INSERT INTO t (time) VALUES (strftime('%s'))"],
    ["INSERT INTO t VALUES ('random ()', random())", "INSERT INTO t VALUES ('random ()', random())"],
    ["UPDATE t SET a = max (1, 2)", "UPDATE t SET a = max (1, 2)"],
  ];
  for (const [given, expected] of cases) equal(sent(given).sql, expected);
});

Deno.test("EXPLAIN stands behind a statement that reads", () => {
  equal(sent("EXPLAIN DELETE FROM t").sql, "SELECT 1; EXPLAIN DELETE FROM t");
});

Deno.test("a cluster that the pool does not have, and one that is not there, are UNAVAILABLE without their names", async () => {
  const gone = new RqliteCluster({ name: "secret-name", urls: ["http://127.0.0.1:1"], patience: 50, timeout: 50 });
  for (const claimed of ["secret-name", "secret-other"]) {
    const driver = new RqliteDriver({
      clusters: new Map([["secret-name", gone]]),
      clusterOf: () => Promise.resolve(claimed),
    });
    await rejects(
      driver.run({ ...bounds, namespace: "shop", mode: "read", statements: [gated("SELECT 1")] }, context),
      (error) => {
        ok(error instanceof GatewayError && error.code === "UNAVAILABLE", String(error));
        return !/secret|127\.0/.test(error.message);
      },
    );
    const { status, reason } = await driver.health(context.signal);
    deepEqual([status, reason], ["down", "0 of 1 database clusters serve"]);
  }
  await gone.close();
});

Deno.test("a namespace without a claim fails as the resolver says", async () => {
  const driver = new RqliteDriver({
    clusters: new Map(),
    clusterOf: () => Promise.reject(new GatewayError("NOT_FOUND", "no such namespace")),
  });
  await rejects(driver.usage("shop", context.signal), /no such namespace/);
  await rejects(driver.purge("shop", context.signal), /no such namespace/);
});

Deno.test("a statement may share a request when it gives no rows of a write and asks nothing of the connection", () => {
  const shares = (sql: string) => sharedText(gated(sql)) !== undefined;
  for (
    const sql of [
      "SELECT a FROM t WHERE id = ?",
      "VALUES (1)",
      "WITH x AS (SELECT 1) SELECT * FROM x",
      "insert into t values (?)",
      "REPLACE INTO t VALUES (1)",
      "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
      "UPDATE t SET a = 1",
      "DELETE FROM t",
    ]
  ) ok(shares(sql.replaceAll("?", "1")), sql);
  for (
    const sql of [
      "INSERT INTO t VALUES (1) RETURNING a",
      "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2",
      "INSERT INTO t (returning) VALUES (1)",
      "SELECT changes()",
      "INSERT INTO t VALUES (last_insert_rowid())",
      "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
      "EXPLAIN SELECT 1",
      "PRAGMA table_info(t)",
      "CREATE TABLE t (a)",
    ]
  ) equal(shares(sql), false, sql);
  equal(sharedText(gated("INSERT INTO t VALUES (random ())")), '"INSERT INTO t VALUES (random())"');
});

Deno.test("arguments go as they are, unless one of them needs another text", () => {
  const args = [1, "a", null, 2n ** 60n];
  equal(plainArgs(args), args);
  deepEqual(plainArgs([{ real: 1.5 }, 2]), [1.5, 2]);
  equal(plainArgs([{ real: 1 }]), undefined);
  equal(plainArgs([1e17]), undefined);
});
