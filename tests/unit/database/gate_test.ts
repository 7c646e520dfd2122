import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { judge, MAX_SQL_LENGTH } from "../../../services/database/gate/gate.ts";
import { DENY, OK, openSqlite } from "../../../services/database/sqlite/node_sqlite.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { randomNumbers } from "./random.ts";

const refuses = (sql: string, code: ErrorCode, sentence: string | RegExp = "") =>
  throws(() => judge(sql), (error) => {
    ok(error instanceof GatewayError, String(error));
    equal(error.code, code, `${sql}: ${error.message}`);
    ok(typeof sentence === "string" ? error.message.includes(sentence) : sentence.test(error.message), error.message);
    return true;
  }, sql.slice(0, 200));

const access = (sql: string) => judge(sql).facts.access;

Deno.test("judge() takes exactly one statement, whatever stands around it", () => {
  for (
    const sql of [
      "SELECT 1",
      "SELECT 1;",
      " ;; SELECT 1 ; ; ",
      "-- first;\nSELECT 1 -- last;",
      "/* a; b */ SELECT /* c */ 1 /* never ends ;",
      "\ufeffSELECT 1;--",
    ]
  ) equal(judge(sql).sql.replace(/\/\*.*?\*\/ /, ""), "SELECT 1", sql);
  for (
    const sql of [
      "SELECT 1; SELECT 2",
      "SELECT 1;;SELECT 2",
      "SELECT 1; -- a\n DROP TABLE t",
      "INSERT INTO t VALUES (1); ATTACH 'x' AS y",
      "SELECT '';''",
      "SELECT [;]; SELECT `;`",
      "CREATE TABLE a (b); CREATE TABLE c (d)",
    ]
  ) refuses(sql, "SQL_NOT_ALLOWED", "/v1/rqlite/transaction");
  for (const sql of ["", " ", ";", "-- x", "/* x */;;", "/*", "\ufeff"]) {
    refuses(sql, "SQL_INVALID", sql === "/*" ? "unrecognized" : "empty");
  }
});

Deno.test("judge() lets a semicolon stand in quotes and comments", () => {
  for (
    const sql of [
      "SELECT ';'",
      'SELECT ";"',
      "SELECT [;]",
      "SELECT `;`",
      "SELECT 1 /*;*/",
      "SELECT 1 --;\n",
      "SELECT '''; DROP TABLE t; --'",
    ]
  ) {
    equal(access(sql), "read", sql);
  }
});

Deno.test("judge() follows a trigger to its END, and nothing behind it", () => {
  const trigger = `CREATE TRIGGER tr AFTER INSERT ON t WHEN new.a > 0 BEGIN
    UPDATE t SET a = CASE WHEN 1 THEN 2 END; -- END;
    INSERT INTO log VALUES ('; END');
  END`;
  equal(access(trigger), "definition");
  equal(judge(`${trigger} ;;`).sql, trigger);
  equal(access(`EXPLAIN ${trigger};`), "read");
  equal(access("create trigger if not exists x before delete on t begin select 1; end"), "definition");
  refuses(`${trigger}; DROP TABLE t`, "SQL_NOT_ALLOWED", "one statement");
  refuses(`${trigger} ATTACH 'x' AS y`, "SQL_NOT_ALLOWED", "one statement");
  refuses("CREATE TABLE trigger (a); END", "SQL_NOT_ALLOWED", "one statement");
  refuses("CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END", "SQL_NOT_ALLOWED", "temporary");
});

Deno.test("judge() tells reads, writes and definitions apart", () => {
  const cases: Record<ReturnType<typeof access>, string[]> = {
    read: [
      "select 1",
      "VALUES (1)",
      "WITH a AS (SELECT 1) SELECT * FROM a",
      "with recursive a(x) as (select 1 union all select x+1 from a) select * from a",
      "WITH a AS NOT MATERIALIZED (SELECT 1), b(c, d) AS MATERIALIZED (VALUES (1, 2)) VALUES (1)",
      "WITH replace AS (SELECT 1) SELECT * FROM replace",
      "WITH \"(\" AS (SELECT ')') SELECT 1",
      "EXPLAIN DELETE FROM t",
      "EXPLAIN QUERY PLAN WITH a AS (SELECT 1) DELETE FROM t",
      "PRAGMA table_info(t)",
      "pragma main.table_xinfo('t')",
      "PRAGMA user_version",
      "PRAGMA foreign_key_check",
      "SELECT 'DROP TABLE t'",
      'SELECT "insert" FROM "update"',
    ],
    write: [
      "INSERT INTO t VALUES (1)",
      "replace into t values (1)",
      "UPDATE t SET a = 1",
      "DELETE FROM t",
      "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a",
      "WITH select_(x) AS (VALUES (1)) UPDATE t SET a = 1",
      "WITH a AS (SELECT 1), b AS (SELECT (1) FROM a) DELETE FROM t",
    ],
    definition: [
      "CREATE TABLE t (a)",
      "drop index i",
      "ALTER TABLE t ADD b",
      "REINDEX",
      "ANALYZE t",
      "CREATE UNIQUE INDEX i ON t (a)",
      "CREATE VIRTUAL TABLE f USING fts5(a)",
    ],
  };
  for (const [expected, statements] of Object.entries(cases)) {
    for (const sql of statements) equal(access(sql), expected, sql);
  }
});

Deno.test("judge() finds the verb, RETURNING, upserts, placeholders, wildcards and questions about the connection", () => {
  const facts = (sql: string) => {
    const { access: _, ...rest } = judge(sql).facts;
    return rest;
  };
  const none = { placeholders: 0, returning: false, upserts: false, wildcard: false, asksConnection: false };
  deepEqual(facts("SELECT '?', \"?\", [?], ? /* ? */, ? -- ?"), { ...none, verb: "SELECT", placeholders: 2 });
  deepEqual(facts("INSERT INTO t VALUES (1) RETURNING *"), {
    ...none,
    verb: "INSERT",
    returning: true,
    wildcard: true,
  });
  deepEqual(facts("INSERT INTO t (returning) SELECT (SELECT 1 AS returning)"), { ...none, verb: "INSERT" });
  deepEqual(facts("WITH a AS (VALUES (1)) INSERT INTO t SELECT * FROM a WHERE 1 ON CONFLICT (b) DO UPDATE SET c = ?"), {
    ...none,
    verb: "INSERT",
    upserts: true,
    wildcard: true,
    placeholders: 1,
  });
  deepEqual(facts("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING"), { ...none, verb: "INSERT" });
  deepEqual(facts('UPDATE t SET a = "Last_Insert_RowId"()'), { ...none, verb: "UPDATE", asksConnection: true });
  deepEqual(facts("SELECT count(*), changes FROM t"), { ...none, verb: "SELECT" });
  deepEqual(facts("EXPLAIN INSERT INTO t VALUES (1) RETURNING a"), { ...none, verb: "EXPLAIN" });
});

Deno.test("judge() refuses what reaches beyond one statement of one database, and names the alternative", () => {
  for (
    const sql of [
      "ATTACH 'x' AS y",
      "attach\tdatabase ? as y",
      "/* */ATTACH 'x' AS y",
      "DETACH y",
      "VACUUM",
      "VACUUM INTO 'x'",
      "vacuum main into 'x'",
      "BEGIN",
      "BEGIN EXCLUSIVE TRANSACTION",
      "COMMIT",
      "END",
      "END TRANSACTION",
      "ROLLBACK TO a",
      "SAVEPOINT a",
      "RELEASE a",
      "PRAGMA journal_mode",
      "PRAGMA journal_mode=WAL",
      "PRAGMA main.synchronous = OFF",
      "PRAGMA query_only(1)",
      "PRAGMA hard_heap_limit = 1",
      "PRAGMA max_page_count = 1",
      "PRAGMA writable_schema = 1",
      "PRAGMA user_version = 1",
      "PRAGMA user_version(1)",
      "PRAGMA table_info = t",
      "PRAGMA temp.table_info(t)",
      "PRAGMA wal_checkpoint",
      "PRAGMA database_list",
      "PRAGMA 'table_info'(t)",
      "PRAGMA",
      "EXPLAIN PRAGMA journal_mode = WAL",
      "EXPLAIN ATTACH 'x' AS y",
    ]
  ) refuses(sql, "SQL_NOT_ALLOWED", /\/v1\/rqlite\/transaction|send the PRAGMA alone/);
});

Deno.test("judge() refuses functions and tables that reach the server, however they are written", () => {
  for (
    const sql of [
      "SELECT load_extension('x')",
      "SELECT LOAD_EXTENSION ('x')",
      "SELECT \"load_extension\"('x')",
      "SELECT [readfile]/**/('x')",
      "SELECT `writefile`('x', 'y')",
      "SELECT edit('x')",
      "SELECT fts3_tokenizer('simple', x'00')",
      "CREATE VIEW v AS SELECT load_extension('x')",
      "CREATE TRIGGER t AFTER INSERT ON t BEGIN SELECT writefile('x', 'y'); END",
      "SELECT * FROM pragma_database_list",
      'SELECT * FROM "pragma_database_list"()',
      "SELECT * FROM pragma_optimize(-1)",
      "CREATE VIEW v AS SELECT count(*) FROM main.PRAGMA_Optimize(-1)",
      "CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')",
      'CREATE VIRTUAL TABLE IF NOT EXISTS x USING "dbstat"',
    ]
  ) refuses(sql, "SQL_NOT_ALLOWED", "not allowed");
  for (const sql of ["SELECT 'load_extension(1)'", "SELECT edit FROM t", "SELECT readfile FROM readfile"]) judge(sql);
});

Deno.test("judge() keeps the gateway's own names and temporary objects out", () => {
  for (
    const sql of [
      "SELECT * FROM _orama_keys",
      'SELECT * FROM "_ORAMA_keys"',
      "SELECT * FROM '_orama_keys'",
      "CREATE TABLE [_orama_x] (a)",
      "ALTER TABLE full_text RENAME TO _orama",
      "DELETE FROM temp._orama_mark",
    ]
  ) refuses(sql, "SQL_NOT_ALLOWED", "_orama_");
  for (
    const sql of [
      "CREATE TEMP TABLE x (a)",
      "create temporary view x as select 1",
      "CREATE TABLE temp.x (a)",
      'CREATE TABLE IF NOT EXISTS "Temp" . x (a)',
      "CREATE TABLE 'temp'.x (a)",
      "CREATE VIRTUAL TABLE temp.x USING fts5(a)",
      "CREATE UNIQUE INDEX temp.i ON t (a)",
    ]
  ) refuses(sql, "SQL_NOT_ALLOWED", "temporary");
  judge("CREATE TABLE temp (a)");
  judge("CREATE VIEW v AS SELECT temp.a FROM t AS temp");
});

Deno.test("judge() refuses parameters that are not plain question marks", () => {
  for (const sql of ["SELECT ?1", "SELECT :a", "SELECT @a", "SELECT $a", "SELECT $a::b(c)", "SELECT #a"]) {
    refuses(sql, "SQL_INVALID", "write ?");
  }
});

Deno.test("judge() says what is wrong with text that is no statement", () => {
  refuses("SELEC 1", "SQL_INVALID", 'near "SELEC": syntax error');
  refuses("'SELECT' 1", "SQL_INVALID", "syntax error");
  refuses('"SELECT" 1', "SQL_INVALID", "syntax error");
  refuses("(SELECT 1)", "SQL_INVALID", "syntax error");
  refuses("WITH a AS SELECT 1", "SQL_INVALID", "syntax error");
  refuses("WITH a AS (SELECT 1", "SQL_INVALID", "incomplete");
  refuses("WITH a AS (SELECT 1)", "SQL_INVALID", "incomplete");
  refuses("WITH a AS (SELECT 1) CREATE TABLE t (a)", "SQL_INVALID", "syntax error");
  refuses("EXPLAIN EXPLAIN SELECT 1", "SQL_INVALID", "syntax error");
  refuses("SELECT 'open", "SQL_INVALID", "unrecognized token");
  refuses("ſELECT 1", "SQL_INVALID", "syntax error");
  refuses("SELECT 1\0; DROP TABLE t", "SQL_INVALID", "U+0000");
});

Deno.test("judge() bounds the length of a statement and the size of an expression, not of a list", () => {
  refuses(`SELECT '${"x".repeat(MAX_SQL_LENGTH)}'`, "SQL_INVALID", "characters");
  for (const [open, close] of [["~", ""], ["(", ")"], ["NOT ", ""], ["CASE WHEN 1 THEN ", " END"], ["(SELECT ", ")"]]) {
    refuses(`SELECT ${open!.repeat(11_000)}1${close!.repeat(11_000)}`, "SQL_INVALID", "too large");
  }
  refuses(`SELECT 1${"||1".repeat(11_000)}`, "SQL_INVALID", "too large");
  judge(`INSERT INTO t VALUES (1, 2)${", (3, 4)".repeat(50_000)}`);
  judge(`SELECT 1 WHERE 1 IN (1${", 2".repeat(100_000)})`);
  judge(`SELECT 1 WHERE 1${" OR (a = ? AND b = ?)".repeat(900)}`);
});

Deno.test("judge() takes time by the length of the text, and no more", () => {
  const hostile = [
    ";".repeat(900_000),
    `CREATE TRIGGER t AFTER INSERT ON t BEGIN ${"SELECT 1;".repeat(90_000)}`,
    "(".repeat(900_000),
    "'".repeat(900_000),
    "/*".repeat(400_000),
    `WITH ${"a AS (SELECT 1),".repeat(50_000)}`,
    `SELECT ${"a.".repeat(400_000)}`,
  ];
  for (const sql of hostile) {
    const start = performance.now();
    try {
      judge(sql);
    } catch (error) {
      ok(error instanceof GatewayError, String(error));
    }
    ok(performance.now() - start < 3_000, `${sql.slice(0, 50)}: ${performance.now() - start} ms`);
  }
});

Deno.test("judge() and SQLite's parser agree on thousands of random texts", () => {
  const pieces = [
    "SELECT",
    "WITH",
    "a",
    "AS",
    "(SELECT 1)",
    "INSERT INTO t",
    "VALUES (1)",
    "DELETE FROM t",
    "UPDATE t SET a = 1",
    "WHERE 1",
    ";",
    ";",
    "-- x\n",
    "/* ; */",
    "/*",
    "'",
    "'x'",
    '"a"',
    "`a`",
    "[a]",
    "(",
    ")",
    ",",
    "1",
    "?",
    "CREATE TABLE u (a)",
    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN",
    "END",
    "EXPLAIN",
    "QUERY PLAN",
    "RETURNING a",
    "*",
    "FROM t",
    "REPLACE",
    "CASE",
    "WHEN 1 THEN 2",
    "BEGIN",
    "COMMIT",
    "ATTACH 'x' AS y",
    "PRAGMA table_info(t)",
    "DROP TABLE t",
    "\n",
    "RECURSIVE",
    "NOT",
    "MATERIALIZED",
    "ON CONFLICT DO UPDATE SET a = 1",
    "TRIGGER",
    "replace",
  ];
  const WRITING = new Set([9, 18, 23, 2, 1, 7, 8, 11, 10, 16, 17, 26]);
  const db = openSqlite(":memory:", {
    timeout: 0,
    limits: { attach: 0, length: 1_000_000, sqlLength: 1_000_000, triggerDepth: 10 },
  });
  db.exec("CREATE TABLE t (a)");
  let seen: number[] = [];
  db.setAuthorizer((action) => {
    seen.push(action);
    return action === 24 ? DENY : OK;
  });
  let passed = 0;
  const random = randomNumbers(12345);
  for (let round = 0; round < 60_000; round++) {
    const sql = Array.from({ length: 1 + random(8) }, () => pieces[random(pieces.length)]).join(random(3) ? " " : "");
    let judged;
    try {
      judged = judge(sql);
    } catch (error) {
      ok(error instanceof GatewayError, sql);
      continue;
    }
    seen = [];
    let statement;
    try {
      statement = db.prepare(judged.sql);
    } catch {
      continue;
    }
    passed++;
    // SQLite compiles the first statement alone, and tells which text that was.
    equal(statement.sourceSQL.replace(/;\s*$/, "").trim(), judged.sql.trim(), sql);
    const writes = seen.some((action) => WRITING.has(action));
    const { access, verb, placeholders } = judged.facts;
    if (verb !== "EXPLAIN") equal(access !== "read", writes, sql);
    if (verb === "EXPLAIN" || verb === "PRAGMA") continue;
    const explained = db.prepare(`EXPLAIN ${judged.sql}`);
    explained.all(...Array(placeholders).fill(null));
    throws(() => explained.all(...Array(placeholders + 1).fill(null)), /column index out of range/, sql);
  }
  db.close();
  ok(passed > 1_000, `${passed} texts were statements to both`);
});
