import { deepEqual, equal, match } from "node:assert/strict";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import { isSqlRefused, SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const sqlOf = ({ apiKey: key }: SignedIn) => new SqlCaller(suite.gateway, { key });

const INJECTIONS = [
  "t; DROP TABLE t",
  "t; DROP TABLE t; --",
  "t--",
  "t /* */",
  "t UNION SELECT * FROM secrets",
  "t WHERE 1=1",
  "(SELECT * FROM secrets)",
  "t, secrets",
  "t JOIN secrets",
  't" UNION SELECT * FROM secrets --',
  "t` UNION SELECT * FROM secrets --",
  "t] UNION SELECT * FROM secrets --",
  "t'",
  "t\u0000",
  "t\nWHERE 1",
  "sqlite_schema; DELETE FROM t",
  "json_each((SELECT v FROM secrets))",
  "t AS x, secrets AS y",
];

/** A table to attack, and one that must not show. */
async function prepared(owner: SignedIn): Promise<SqlCaller> {
  const db = sqlOf(owner);
  await db.run(
    "CREATE TABLE t (id INTEGER, v TEXT)",
    "CREATE TABLE secrets (v TEXT)",
    "INSERT INTO t VALUES (1, 'x')",
    "INSERT INTO secrets VALUES ('TOP-SECRET')",
  );
  return db;
}

test("no name in find or select leads out of its place", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  for (const evil of INJECTIONS) {
    const bodies: readonly [string, unknown][] = [
      ["find", { table: evil }],
      ["find-one", { table: evil }],
      ["find", { table: "t", criteria: { [evil]: 1 } }],
      ["find", { table: "t", options: { select: [evil] } }],
      ["find", { table: "t", options: { order_by: [evil] } }],
      ["find", { table: "t", options: { group_by: [evil] } }],
      ["find", { table: "t", options: { joins: [{ kind: "INNER", table: evil, on: "1" }] } }],
      ["find", { table: "t", options: { joins: [{ kind: evil, table: "t", on: "1" }] } }],
      ["select", { table: evil }],
      ["select", { table: "t", alias: evil }],
      ["select", { table: "t", select: [evil] }],
      ["select", { table: "t", order_by: [evil] }],
      ["select", { table: "t", group_by: [evil] }],
      ["select", { table: "t", joins: [{ kind: "LEFT", table: evil, on: "1" }] }],
      ["select", { table: "t", joins: [{ kind: evil, table: "t", on: "1" }] }],
      ["drop-table", { table: evil }],
    ];
    for (const [operation, body] of bodies) {
      const answer = await db.call(operation, body);
      const what = `${operation} ${JSON.stringify(body)}`;
      // One of them is a call of a function, or a name with an alias: then it is no more than that.
      if (answer.status !== 200) isSqlRefused(answer, what);
      equal(answer.text.includes("TOP-SECRET"), false, what);
    }
  }
  deepEqual(await db.rows("SELECT (SELECT count(*) FROM t) AS t, (SELECT count(*) FROM secrets) AS s"), [{
    t: 1,
    s: 1,
  }]);
});

test("an expression of the developer's is one expression", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const wheres = [
    "1; DROP TABLE t",
    "1) UNION SELECT v, v FROM secrets --",
    "1 -- ",
    "1 /*",
    "id = 1)) OR ((1",
    "'",
    '"',
    "`",
    "",
    ")",
    "1) LIMIT 1; DELETE FROM t; --",
  ];
  for (const expr of wheres) {
    const answer = await db.call("select", { table: "t", where: [{ expr, args: [] }] });
    isSqlRefused(answer, expr);
    const joined = await db.call("select", { table: "t", joins: [{ kind: "INNER", table: "t AS u", on: expr }] });
    isSqlRefused(joined, expr);
  }
  deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 1 }]);
});

test("two statements in one are none", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const doubles = [
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    "INSERT INTO t VALUES (2,'y'); DELETE FROM t",
    "SELECT 1;;SELECT 2",
    "SELECT 1;/**/DROP TABLE t",
    "SELECT 1;--\nDROP TABLE t",
  ];
  for (const sql of doubles) {
    for (const operation of ["query", "exec", "create-table"]) {
      isSqlRefused(
        await db.call(operation, operation === "create-table" ? { schema: sql } : { sql }),
        `${operation} ${sql}`,
      );
    }
    isSqlRefused(await db.call("transaction", { statements: [sql] }), `transaction ${sql}`);
  }
  deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 1 }]);
});

test("a statement reaches no other file, no setting and no other request's transaction", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const forbidden = [
    "ATTACH DATABASE 'control.sqlite' AS c",
    "ATTACH '../control.sqlite' AS c",
    "attach/**/':memory:' as c",
    "DETACH DATABASE main",
    "VACUUM INTO '/srv/stolen.sqlite'",
    "VACUUM",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA database_list",
    "PRAGMA temp_store_directory = '/srv'",
    "BEGIN",
    "BEGIN EXCLUSIVE",
    "COMMIT",
    "ROLLBACK",
    "END",
    "SAVEPOINT a",
    "RELEASE a",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/srv/x', 'y')",
    "SELECT edit('x')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM sqlite_dbpage",
    "CREATE TEMP TABLE x (a)",
    "CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')",
    "CREATE VIRTUAL TABLE x USING zipfile('/srv/x')",
    "CREATE TABLE _orama_x (a)",
    "SELECT * FROM _orama_idempotency",
  ];
  for (const sql of forbidden) {
    for (const operation of ["query", "exec"]) isSqlRefused(await db.call(operation, { sql }), `${operation} ${sql}`);
    isSqlRefused(
      await db.call("transaction", { statements: ["INSERT INTO t VALUES (9, 'z')", sql] }),
      `transaction ${sql}`,
    );
  }
  deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 1 }]);
});

test("the gateway's own tables are nowhere to be found", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = sqlOf(owner);
  const tables = [
    "api_keys",
    "namespaces",
    "members",
    "sessions",
    "refresh_tokens",
    "signing_keys",
    "consumed_nonces",
    "revocations",
    "audit_events",
    "schema_migrations",
    "leases",
    "login_codes",
    "apps",
  ];
  for (const table of tables) {
    for (const name of [table, `main.${table}`, `control.${table}`]) {
      const answer = await db.query(`SELECT * FROM ${name}`);
      isSqlRefused(answer, name);
      match(answer.string("error"), /no such table|unknown database|not allowed/);
    }
    isSqlRefused(await db.call("find", { table }), table);
  }
  deepEqual((await db.schema()).list("tables"), []);
  deepEqual(await db.rows("SELECT name FROM sqlite_schema"), []);
});

test("statements that are huge, deep or many are refused and harm nobody", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = await prepared(owner);
  const hostile: readonly (readonly [string, RegExp])[] = [
    ["SELECT " + "(".repeat(50_000) + "1" + ")".repeat(50_000), /expression of this statement is too large/],
    ["SELECT " + "1+".repeat(100_000) + "1", /expression of this statement is too large/],
    ["SELECT " + "~".repeat(200_000) + "1", /expression of this statement is too large/],
    ["SELECT 1 " + "UNION SELECT 1 ".repeat(20_000), /expression of this statement is too large/],
    ["SELECT 1 " + "UNION SELECT 1 ".repeat(2_000), /too many terms in compound SELECT/],
    [`SELECT ${Array.from({ length: 5_000 }, (_, i) => `${i} AS c${i}`).join(",")}`, /too many columns/],
    ["SELECT '" + "x".repeat(1_000_000) + "'", /more than 1000000 characters/],
    ["SELECT '" + "x".repeat(800_000) + "' LIKE '" + "%x".repeat(50_000) + "'", /LIKE or GLOB pattern too complex/],
  ];
  for (const [sql, sentence] of hostile) {
    const answer = await db.query(sql);
    deepEqual([answer.status, answer.get("code")], [400, "SQL_INVALID"], `${sql.slice(0, 40)}: ${answer.text}`);
    match(answer.string("error"), sentence);
  }
  const many = "DELETE FROM t; ".repeat(1_000);
  const calls: readonly (readonly [string, unknown])[] = [
    ["query", { sql: many }],
    ["exec", { sql: many }],
    ["create-table", { schema: many }],
    ["transaction", { statements: [many] }],
    ["transaction", { ops: [{ kind: "exec", sql: many }] }],
  ];
  for (const [operation, body] of calls) {
    const answer = await db.call(operation, body);
    deepEqual([answer.status, answer.get("code")], [400, "SQL_NOT_ALLOWED"], `${operation}: ${answer.text}`);
    match(answer.string("error"), /only one statement/);
  }
  const ops = Array.from({ length: 1_001 }, () => ({ kind: "exec", sql: "DELETE FROM t" }));
  equal((await db.call("transaction", { ops })).expect(400).get("details.0.field"), "ops");
  deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 1 }]);
});
