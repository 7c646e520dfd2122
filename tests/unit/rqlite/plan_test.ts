import { deepEqual, equal, throws } from "node:assert/strict";
import { plan, resultsOf } from "../../../services/rqlite/plan.ts";
import type { RqliteResult } from "../../../services/rqlite/wire.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const statements = (...sqls: string[]) => sqls.map((sql) => ({ sql, args: sql.includes("?") ? [7] : [] }));
const sent = (transaction: boolean, ...sqls: string[]) =>
  plan(statements(...sqls), transaction).sent.map(({ sql }) => sql);

Deno.test("plan() sends writes without rows to /db/execute as they are", () => {
  for (const transaction of [true, false]) {
    const { path, strong, writing } = plan(
      statements("INSERT INTO t VALUES (?)", "create table u (x)", "-- c\nDELETE FROM t"),
      transaction,
    );
    deepEqual([path, strong, writing], ["/db/execute", false, true]);
  }
  deepEqual(sent(true, "INSERT INTO t VALUES ('returning')"), ["INSERT INTO t VALUES ('returning')"]);
});

Deno.test("plan() makes a query of a statement with RETURNING, through the log", () => {
  for (const transaction of [true, false]) {
    const { path, sent, strong } = plan(statements("INSERT INTO t VALUES (?) RETURNING *;"), transaction);
    deepEqual([path, strong], ["/db/request", true]);
    deepEqual(sent, [{ sql: "SELECT 1; INSERT INTO t VALUES (?) RETURNING *", args: [7] }]);
  }
});

Deno.test("plan() has a write compiled before it runs where rows are asked for in the same transaction", () => {
  const { sent, origin } = plan(statements("INSERT INTO t VALUES (?)", "SELECT 1"), true);
  deepEqual(sent, [
    { sql: "SELECT 1; EXPLAIN INSERT INTO t VALUES (?); SELECT 1 WHERE 0", args: [null] },
    { sql: "INSERT INTO t VALUES (?)", args: [7] },
    { sql: "SELECT 1; SELECT 1", args: [] },
  ]);
  deepEqual(origin, [0, 0, 1]);
});

Deno.test("plan() leaves statements alone that stand alone, and those that rqlite inspects", () => {
  deepEqual(sent(false, "SELECT 1", "INSERT INTO t VALUES (1)", "WITH x AS (SELECT 1) SELECT 1"), [
    "SELECT 1",
    "INSERT INTO t VALUES (1)",
    "WITH x AS (SELECT 1) SELECT 1",
  ]);
  deepEqual(sent(true, "/* */ PRAGMA journal_mode = OFF", "EXPLAIN SELECT 1"), [
    "PRAGMA journal_mode = OFF",
    "EXPLAIN SELECT 1",
  ]);
});

Deno.test("plan() knows when nothing can be written", () => {
  const writing = (...sqls: string[]) => plan(statements(...sqls), true).writing;
  equal(writing("SELECT 1", "VALUES (1)", "EXPLAIN DELETE FROM t"), false);
  for (
    const sql of [
      "DELETE FROM t",
      "WITH x AS (SELECT 1) DELETE FROM t",
      "PRAGMA user_version = 1",
      "SELECT 1; DELETE FROM t",
      "FROBNICATE",
    ]
  ) {
    equal(writing("SELECT 1", sql), true, sql);
  }
});

Deno.test("plan() lets rqlite replace functions of time and chance, and refuses what it could then not undo", () => {
  for (const call of ["datetime('now')", "RANDOM ()", "hex(randomblob(4))", "unixepoch()"]) {
    const sql = `INSERT INTO t VALUES (${call}) RETURNING *`;
    deepEqual(sent(false, sql), [sql]);
    throws(
      () => plan(statements(sql), true),
      (error) => error instanceof GatewayError && error.code === "SQL_NOT_ALLOWED",
    );
    deepEqual(sent(true, `INSERT INTO t VALUES ('${call.replaceAll("'", "''")}') RETURNING *`).length, 1);
  }
});

Deno.test("resultsOf() drops the results of what was only compiled, and counts their failures for their statement", () => {
  const planned = plan(statements("INSERT INTO t VALUES (1)", "SELECT 1", "DELETE FROM t"), true);
  const rows: RqliteResult = { kind: "rows", columns: [], types: [], rows: [] };
  const change = (rowsAffected: number): RqliteResult => ({ kind: "change", lastInsertId: 0, rowsAffected });
  const failure: RqliteResult = { kind: "error", error: "no such table: t" };
  deepEqual(resultsOf(planned, [rows, change(1), rows, rows, change(2)]), [change(1), rows, change(2)]);
  deepEqual(resultsOf(planned, [rows, change(1), rows, failure]), [change(1), rows, failure]);
  deepEqual(resultsOf(planned, [rows, failure]), [failure]);
  deepEqual(resultsOf(planned, [failure]), [failure]);
});
