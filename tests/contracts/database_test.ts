import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { rowListText } from "../../src/contracts/sql_values.ts";
import { SqlDatabase } from "../../services/database/database.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { SqliteDriver } from "../../services/database/sqlite/driver.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { Database, SqlArgument, StepResult, TransactionStep } from "../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { engineTest } from "../engines/support/engine_test.ts";
import { until } from "../engines/support/wait.ts";

const NAMESPACE = "shop";
/** A driver for the one cluster at these addresses. */
const rqliteDriver = (urls: readonly string[]) =>
  new RqliteDriver({
    clusters: new Map([["one", new RqliteCluster({ name: "one", urls })]]),
    clusterOf: () => Promise.resolve("one"),
    judge: new Judge(),
  });
const request: RequestContext = {
  requestId: "test",
  signal: new AbortController().signal,
  clientAddress: "127.0.0.1",
};

/** The database under test, with short ways to ask it. */
class Subject {
  constructor(readonly database: Database) {}

  async query(sql: string, ...args: SqlArgument[]) {
    const { columns, types, rows } = await this.database.query(NAMESPACE, { sql, args }, request);
    return { columns, types, rows };
  }
  async rows(sql: string, ...args: SqlArgument[]) {
    return (await this.query(sql, ...args)).rows;
  }
  async json(sql: string, ...args: SqlArgument[]) {
    return rowListText(await this.query(sql, ...args), "number");
  }
  exec(sql: string, ...args: SqlArgument[]) {
    return this.database.execute(NAMESPACE, { sql, args }, request);
  }
  async execAll(...statements: string[]) {
    for (const sql of statements) await this.exec(sql);
  }
  async transaction(...steps: TransactionStep[]): Promise<readonly StepResult[]> {
    return (await this.database.transaction(NAMESPACE, steps, request)).steps;
  }
}

const exec = (sql: string, ...args: SqlArgument[]): TransactionStep => ({ kind: "exec", sql, args });
const query = (sql: string, ...args: SqlArgument[]): TransactionStep => ({ kind: "query", sql, args });
const is = (code: ErrorCode, sentence: string | RegExp = "") => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  ok(typeof sentence === "string" ? error.message.includes(sentence) : sentence.test(error.message), error.message);
  return true;
};
const atStep = (step: number, code: ErrorCode, sentence: string) => (error: unknown) => {
  is(code, sentence)(error);
  deepEqual((error as GatewayError).extra.details, { step });
  return true;
};

const scenarios: Record<string, (db: Subject) => Promise<void>> = {
  "a row comes back as it went in, with the declared types in lower case": async (db) => {
    await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB, tag VARCHAR(10), x)");
    const bytes = new Uint8Array([0, 255, 1]);
    await db.exec("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", 1, "é😀", 1.5, bytes, "a'b", null);
    deepEqual(await db.query("SELECT * FROM t"), {
      columns: ["id", "name", "price", "data", "tag", "x"],
      types: ["integer", "text", "real", "blob", "varchar(10)", ""],
      rows: [[1, "é😀", 1.5, bytes, "a'b", null]],
    });
  },

  "a query without rows keeps its columns": async (db) => {
    await db.exec("CREATE TABLE t (a INTEGER, b)");
    deepEqual(await db.query("SELECT a, b, a + 1 AS c FROM t"), {
      columns: ["a", "b", "c"],
      types: ["integer", "", ""],
      rows: [],
    });
  },

  "numbers without a fraction are INTEGER, typed ones and others REAL": async (db) => {
    const types = async (...args: SqlArgument[]) =>
      (await db.rows(`SELECT ${args.map(() => "typeof(?)")}`, ...args))[0];
    deepEqual(await types(1, 0, -1, 2 ** 53 - 1, 2n ** 63n - 1n, -(2n ** 63n)), Array(6).fill("integer"));
    deepEqual(
      await types(1.5, 1e300, 1e17, 2 ** 53, { real: 1 }, { real: 1e17 }, { real: 0.5 }),
      Array(7).fill("real"),
    );
    deepEqual(await types(true, "1", new Uint8Array(), null), ["integer", "text", "blob", "null"]);
  },

  "a REAL argument compares as an argument does, not as a cast": async (db) => {
    await db.execAll("CREATE TABLE t (a TEXT, b INTEGER)", "INSERT INTO t VALUES ('1', 1), ('1.0', 2)");
    deepEqual(await db.rows("SELECT b FROM t WHERE a = ? AND b > ? ORDER BY 1", { real: 1 }, { real: 0 }), [[2]]);
  },

  "64-bit integers are exact both ways": async (db) => {
    await db.exec("CREATE TABLE t (a INTEGER)");
    const big = [9007199254740993n, 2n ** 63n - 1n, -(2n ** 63n)];
    for (const value of big) await db.exec("INSERT INTO t VALUES (?)", value);
    deepEqual(await db.rows("SELECT a FROM t ORDER BY rowid"), big.map((value) => [value]));
    equal(
      await db.json("SELECT a FROM t WHERE a = ?", 9007199254740993n),
      '{"items":[{"a":9007199254740993}],"count":1}',
    );
  },

  "declared BOOLEAN, DATE, DATETIME and TIMESTAMP are presented by rqlite's rules": async (db) => {
    await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, b BOOLEAN, d DATE, dt DATETIME, ts TIMESTAMP)");
    const times: [SqlArgument, unknown][] = [
      ["2026-01-18 10:00:00", "2026-01-18T10:00:00Z"],
      ["2026-01-18T10:00:00Z", "2026-01-18T10:00:00Z"],
      ["2026-01-18", "2026-01-18T00:00:00Z"],
      ["2026-01-18 10:00", "2026-01-18T10:00:00Z"],
      ["2026-01-18 10:00:00.120300", "2026-01-18T10:00:00.1203Z"],
      ["2026-01-18 10:00:00.12345678912", "2026-01-18T10:00:00.123456789Z"],
      ["2026-01-18 10:00:00,5", "2026-01-18T10:00:00.5Z"],
      ["2026-01-18 10:00:00+02:00", "2026-01-18T10:00:00+02:00"],
      ["2026-01-18T10:00:00.5-07:30", "2026-01-18T10:00:00.5-07:30"],
      ["2026-01-18 10:00:00+00:00", "2026-01-18T10:00:00Z"],
      ["2026-01-18 10:00:00+02:60", "2026-01-18T10:00:00+03:00"],
      ["2026-01-18 9:00:00", "2026-01-18T09:00:00Z"],
      ["2026-01-18   10:00:00", "2026-01-18T10:00:00Z"],
      ["2024-02-29", "2024-02-29T00:00:00Z"],
      ["2023-02-29", "0001-01-01T00:00:00Z"],
      ["0000-02-29", "0000-02-29T00:00:00Z"],
      ["2026-01-18 24:00:00", "0001-01-01T00:00:00Z"],
      ["2026-01-18 10:00+02:00", "0001-01-01T00:00:00Z"],
      ["2026-1-8", "0001-01-01T00:00:00Z"],
      [" 2026-01-18", "0001-01-01T00:00:00Z"],
      ["2026-01-18 ", "0001-01-01T00:00:00Z"],
      ["yesterday", "0001-01-01T00:00:00Z"],
      ["", "0001-01-01T00:00:00Z"],
      [0, "1970-01-01T00:00:00Z"],
      [-1, "1969-12-31T23:59:59Z"],
      [1_700_000_000, "2023-11-14T22:13:20Z"],
      [1_700_000_000_123, "2023-11-14T22:13:20.123Z"],
      [-1_700_000_000_123, "1916-02-18T01:46:39.877Z"],
      [1_000_000_000_001, "2001-09-09T01:46:40.001Z"],
      [99_999_999_999_999, "2216-02-08T11:53:51.45124192Z"],
      [253_402_300_799, "9999-12-31T23:59:59Z"],
      [1.5, 1.5],
      [null, null],
    ];
    for (const [stored, presented] of times) {
      await db.exec("DELETE FROM t");
      await db.exec("INSERT INTO t (d, dt, ts) VALUES (?, ?, ?)", stored, stored, stored);
      deepEqual(await db.rows("SELECT d, dt, ts FROM t"), [[presented, presented, presented]], String(stored));
    }
    const flags: [SqlArgument, unknown][] = [
      [true, true],
      [false, false],
      [1, true],
      [0, false],
      [7, true],
      [-1, false],
      [0.5, 0.5],
      ["true", "true"],
      ["1", true],
      [null, null],
    ];
    for (const [stored, presented] of flags) {
      await db.exec("DELETE FROM t");
      await db.exec("INSERT INTO t (b) VALUES (?)", stored);
      deepEqual(await db.rows("SELECT b FROM t"), [[presented]], String(stored));
    }
  },

  "an expression shows what is stored, whatever its column was declared as": async (db) => {
    await db.execAll("CREATE TABLE t (b BOOLEAN, ts TIMESTAMP)", "INSERT INTO t VALUES (1, '2026-01-18 10:00:00')");
    deepEqual((await db.query("SELECT +b, CAST(ts AS TEXT), max(ts), b, ts FROM t")).rows, [
      [1, "2026-01-18 10:00:00", "2026-01-18 10:00:00", true, "2026-01-18T10:00:00Z"],
    ]);
  },

  "declared types reach through views, subqueries and aliases": async (db) => {
    await db.execAll(
      "CREATE TABLE t (b BOOLEAN, ts DATETIME)",
      "INSERT INTO t VALUES (1, '2026-01-18')",
      "CREATE VIEW v AS SELECT b AS flag, ts FROM t",
    );
    const expected = [[true, "2026-01-18T00:00:00Z"]];
    deepEqual(await db.rows("SELECT flag, ts FROM v"), expected);
    deepEqual(await db.rows("SELECT x.flag AS f, (SELECT ts FROM t) FROM (SELECT * FROM v) AS x"), expected);
  },

  "a time beyond the years 0 to 9999 is an error that says what to do": async (db) => {
    await db.execAll("CREATE TABLE t (ts DATETIME)", "INSERT INTO t VALUES (999999999999)");
    await rejects(db.query("SELECT ts FROM t"), is("SQL_INVALID", "CAST"));
    deepEqual(await db.rows("SELECT CAST(ts AS INTEGER) FROM t"), [[999999999999]]);
    await db.exec("UPDATE t SET ts = '2026-01-18 10:00:00+24:00'");
    await rejects(db.query("SELECT ts FROM t"), is("SQL_INVALID", "CAST"));
  },

  "bytes are bytes in columns that are not declared as text, and text elsewhere": async (db) => {
    await db.exec("CREATE TABLE t (b BLOB, i INTEGER, d DATETIME, t TEXT, v VARCHAR(5), j JSON, n)");
    const bytes = new Uint8Array([0x61, 0xff, 0xe2, 0x82, 0x62]);
    const lossy = "a\ufffd\ufffd\ufffdb";
    await db.exec("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", ...Array(7).fill(bytes));
    deepEqual(await db.rows("SELECT * FROM t"), [[bytes, bytes, bytes, lossy, lossy, lossy, lossy]]);
    deepEqual(await db.query("SELECT x'61ff' AS a, max(b) AS b, x'' AS c FROM t"), {
      columns: ["a", "b", "c"],
      types: ["text", "text", "text"],
      rows: [["a\ufffd", lossy, ""]],
    });
    deepEqual(await db.rows("SELECT 1 AS a UNION ALL SELECT x'00ff'"), [[1], [
      new Uint8Array([0, 255]),
    ]]);
    await db.execAll("DELETE FROM t", "INSERT INTO t (b) VALUES ('plain')");
    deepEqual(await db.rows("SELECT b FROM t"), [["plain"]]);
    equal(await db.json("SELECT x'' AS a, b FROM t"), '{"items":[{"a":"","b":"plain"}],"count":1}');
  },

  "the types of expressions come from the first row": async (db) => {
    deepEqual((await db.query("SELECT 1, 1.0, 'a', NULL, count(*)")).types, [
      "integer",
      "real",
      "text",
      "",
      "integer",
    ]);
    deepEqual((await db.query("SELECT NULL AS a UNION ALL SELECT 1")).types, [""]);
  },

  "REAL numbers read alike": async (db) => {
    equal(
      await db.json("SELECT 1.0 AS a, 1e17 AS b, 1e21 AS c, 1e-7 AS d, 0.1 + 0.2 AS e, -0.0 AS f, 1e300 AS g"),
      '{"items":[{"a":1,"b":100000000000000000,"c":1e+21,"d":1e-7,"e":0.30000000000000004,"f":0,"g":1e+300}],"count":1}',
    );
  },

  "an infinite number in a result is an error that says what to do": async (db) => {
    await rejects(db.query("SELECT 1e999"), is("SQL_INVALID"));
    await rejects(db.query("SELECT 1 UNION ALL SELECT -1e999"), is("SQL_INVALID"));
    deepEqual(await db.rows("SELECT CAST(1e999 AS TEXT)"), [["Inf"]]);
  },

  "duplicate and strange column names survive": async (db) => {
    const result = await db.query('SELECT 1 AS a, 2 AS a, 3 AS "__proto__", 4 AS "x""y", 5 AS "é"');
    deepEqual(result.columns, ["a", "a", "__proto__", 'x"y', "é"]);
    equal(rowListText(result, "number"), '{"items":[{"a":2,"__proto__":3,"x\\"y":4,"é":5}],"count":1}');
  },

  "text in double quotes is a name, and text where there is none": async (db) => {
    await db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES ('x')");
    deepEqual(await db.rows('SELECT "a", "b" FROM t'), [["x", "b"]]);
  },

  "text with U+0000 is refused, and invalid surrogates become U+FFFD": async (db) => {
    await rejects(db.query("SELECT ?", "a\0b"), is("INVALID_REQUEST", "args.0"));
    await rejects(db.query("SELECT 'a\0b'"), is("SQL_INVALID", "U+0000"));
    deepEqual(await db.rows("SELECT ?", "a\ud800b"), [["a\ufffdb"]]);
  },

  "text that holds U+0000 is whole as a BLOB; as text SQLite shows what stands before it": async (db) => {
    const text = "'a' || char(0) || 'b'";
    equal(
      await db.json(`SELECT CAST(char(0) AS BLOB) AS a, CAST(${text} AS BLOB) AS b, hex(${text}) AS c`),
      '{"items":[{"a":"\\u0000","b":"a\\u0000b","c":"610062"}],"count":1}',
    );
    const { driver } = await db.database.health(request.signal);
    equal(
      await db.json(`SELECT char(0) AS a, ${text} AS b`),
      driver === "sqlite"
        ? '{"items":[{"a":"","b":"a"}],"count":1}'
        : '{"items":[{"a":"\\u0000","b":"a\\u0000b"}],"count":1}',
    );
  },

  "values that SQLite cannot hold are refused": async (db) => {
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n, NaN, Infinity, { real: -Infinity }]) {
      await rejects(db.query("SELECT ?", value), is("INVALID_REQUEST", "args.0"));
    }
  },

  "the number of arguments must be that of the placeholders": async (db) => {
    await rejects(db.query("SELECT ?"), is("SQL_INVALID", "1 placeholders"));
    await rejects(db.query("SELECT ?", 1, 2), is("SQL_INVALID", "args has 2"));
    await rejects(db.query("SELECT '?', [?], \"?\" /* ? */ -- ?", 1), is("SQL_INVALID", "0 placeholders"));
    await rejects(db.query("SELECT :a"), is("SQL_INVALID", '":a"'));
  },

  "an INSERT tells its row id and how many rows it made": async (db) => {
    await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, s TEXT UNIQUE)");
    deepEqual(await db.exec("INSERT INTO t (s) VALUES ('a')"), { rowsAffected: 1, lastInsertId: 1 });
    deepEqual(await db.exec("INSERT INTO t (s) VALUES ('b'), ('c')"), { rowsAffected: 2, lastInsertId: 3 });
    deepEqual(await db.exec("WITH x(s) AS (SELECT 'd') INSERT INTO t (s) SELECT s FROM x"), {
      rowsAffected: 1,
      lastInsertId: 4,
    });
    deepEqual(await db.exec("REPLACE INTO t (s) VALUES ('a')"), { rowsAffected: 1, lastInsertId: 5 });
    deepEqual(await db.exec("INSERT INTO t (id) VALUES (?)", 2n ** 60n), {
      rowsAffected: 1,
      lastInsertId: 2n ** 60n,
    });
  },

  "what inserts nothing has no row id": async (db) => {
    await db.execAll(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE)",
      "INSERT INTO t VALUES (7, 'a')",
    );
    const none = (rowsAffected: number) => ({ rowsAffected, lastInsertId: 0 });
    deepEqual(await db.exec("INSERT OR IGNORE INTO t (s) VALUES ('a')"), none(0));
    deepEqual(await db.exec("INSERT INTO t SELECT * FROM t WHERE 0"), none(0));
    deepEqual(await db.exec("UPDATE t SET s = 'b'"), none(1));
    deepEqual(await db.exec("INSERT INTO t (s) VALUES ('b') ON CONFLICT (s) DO UPDATE SET s = 'c'"), none(1));
    deepEqual(await db.exec("INSERT INTO t (s) VALUES ('c') ON CONFLICT DO NOTHING"), none(0));
    deepEqual(await db.exec("INSERT INTO t (s) VALUES ('d') ON CONFLICT (s) DO UPDATE SET s = 'c'"), {
      rowsAffected: 1,
      lastInsertId: 8,
    });
    deepEqual(await db.exec("DELETE FROM t"), none(2));
    deepEqual(await db.exec("CREATE TABLE u (a)"), none(0));
    deepEqual(await db.exec("CREATE INDEX i ON u (a)"), none(0));
    deepEqual(await db.exec("ALTER TABLE u ADD COLUMN b"), none(0));
    deepEqual(await db.exec("SELECT 1"), none(0));
    deepEqual(await db.exec("DROP TABLE u"), none(0));
  },

  "RETURNING gives rows beside the figures": async (db) => {
    await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE, ok BOOLEAN)");
    const returned = async (sql: string, ...args: SqlArgument[]) => {
      const { returning, ...figures } = await db.exec(sql, ...args);
      return [figures.rowsAffected, figures.lastInsertId, returning?.rows];
    };
    deepEqual(await returned("INSERT INTO t (s, ok) VALUES ('a', 1) RETURNING id, s, ok"), [1, 1, [[1, "a", true]]]);
    deepEqual(await returned("INSERT INTO t (s) VALUES (?), ('c') RETURNING\n\t*", "b"), [2, 3, [[2, "b", null], [
      3,
      "c",
      null,
    ]]]);
    const upsert = "INSERT INTO t (s) VALUES ('a') ON CONFLICT (s) DO UPDATE SET s = 'A' RETURNING id";
    deepEqual(await returned(upsert), [1, 0, [[1]]]);
    deepEqual(await returned(upsert), [1, 4, [[4]]]);
    deepEqual(await returned("UPDATE t SET s = t.s || q.x FROM (SELECT 'y' AS x) AS q WHERE id = 2 RETURNING s"), [
      1,
      0,
      [["by"]],
    ]);
    deepEqual(await returned("DELETE FROM t WHERE id > 2 RETURNING/**/id"), [2, 0, [[3], [4]]]);
    deepEqual(await returned("DELETE FROM t WHERE 0 RETURNING id"), [0, 0, []]);
    deepEqual(await returned("INSERT INTO t (s) VALUES (hex(randomblob(0))) returning (id)"), [1, 3, [[3]]]);
    deepEqual(await returned("INSERT INTO t (s) SELECT 'returning ' RETURNING s"), [1, 4, [["returning "]]]);
    await rejects(db.exec("INSERT INTO t (s) VALUES ('A') RETURNING id"), is("CONSTRAINT_FAILED"));
  },

  "mistakes in the statement are SQL_INVALID with SQLite's own sentence": async (db) => {
    await db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY)");
    for (
      const [sql, sentence] of [
        ["SELEC 1", "syntax error"],
        ["SELECT FROM", "syntax error"],
        ["SELECT * FROM nosuch", "no such table: nosuch"],
        ["SELECT nosuch FROM t", "no such column: nosuch"],
        ["INSERT INTO t VALUES (1, 2)", "2 values"],
        ["INSERT INTO t VALUES ('x')", "datatype mismatch"],
        ["CREATE TABLE t (a)", "already exists"],
        ["SELECT nosuch(1)", "no such function"],
        ["SELECT json('x')", "malformed JSON"],
        ["", "empty"],
        [" ; -- nothing", "empty"],
        ["SELECT (1", ""],
      ] as const
    ) await rejects(db.exec(sql), is("SQL_INVALID", sentence), sql);
  },

  "constraints are CONSTRAINT_FAILED, foreign keys among them": async (db) => {
    await db.execAll(
      "CREATE TABLE p (id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL, c CHECK (c > 0))",
      "CREATE TABLE k (p REFERENCES p (id))",
      "INSERT INTO p VALUES (1, 1, 1, 1)",
    );
    const refused = (sentence: string) => is("CONSTRAINT_FAILED", sentence);
    await rejects(db.exec("INSERT INTO p VALUES (1, 2, 1, 1)"), refused("UNIQUE constraint failed: p.id"));
    await rejects(db.exec("INSERT INTO p VALUES (2, 1, 1, 1)"), refused("UNIQUE constraint failed: p.u"));
    await rejects(db.exec("INSERT INTO p VALUES (2, 2, NULL, 1)"), refused("NOT NULL constraint failed: p.n"));
    await rejects(db.exec("INSERT INTO p VALUES (2, 2, 1, 0)"), refused("CHECK constraint failed"));
    await rejects(db.exec("INSERT INTO k VALUES (9)"), refused("FOREIGN KEY constraint failed"));
    await db.exec("INSERT INTO k VALUES (1)");
    await rejects(db.exec("DELETE FROM p"), refused("FOREIGN KEY constraint failed"));
  },

  "a write that is refused leaves nothing behind, also with OR FAIL": async (db) => {
    await db.execAll("CREATE TABLE t (a UNIQUE)", "INSERT INTO t VALUES (1)");
    for (
      const insert of [
        "INSERT OR FAIL INTO t VALUES (50), (1)",
        "INSERT OR/**/FAIL INTO t SELECT 60 UNION ALL SELECT 1",
      ]
    ) {
      await rejects(db.exec(insert), is("CONSTRAINT_FAILED", "UNIQUE constraint failed: t.a"));
    }
    await rejects(db.exec("UPDATE OR FAIL t SET a = 2 RETURNING a / 0, abs(-9223372036854775808)"));
    deepEqual(await db.exec("INSERT OR FAIL INTO t VALUES (7), (8)"), { rowsAffected: 2, lastInsertId: 3 });
    deepEqual(await db.rows("SELECT a FROM t ORDER BY a"), [[1], [7], [8]]);
  },

  "what a trigger raises is SQL_INVALID with its own sentence, and nothing is applied": async (db) => {
    await db.execAll(
      "CREATE TABLE t (a)",
      "CREATE TRIGGER tr AFTER INSERT ON t WHEN new.a < 0 BEGIN SELECT RAISE(ABORT, 'no debts'); END",
      "INSERT INTO t VALUES (1)",
    );
    await rejects(db.exec("INSERT INTO t VALUES (2), (-1)"), is("SQL_INVALID", "no debts"));
    deepEqual(await db.rows("SELECT a FROM t"), [[1]]);
  },

  "query() refuses what writes, and nothing of it happens": async (db) => {
    await db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    for (
      const sql of [
        "INSERT INTO t VALUES (2)",
        "DELETE FROM t RETURNING a",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "WITH x(a) AS (VALUES (1)), y AS (SELECT * FROM x) UPDATE t SET a = 9",
        "CREATE TABLE u (a)",
        "REPLACE INTO t VALUES (3)",
        "DROP TABLE t",
      ]
    ) await rejects(db.query(sql), is("SQL_NOT_ALLOWED"), sql);
    deepEqual(await db.rows("SELECT a FROM t"), [[1]]);
    deepEqual(await db.rows("WITH replace(a) AS (SELECT a FROM t) SELECT * FROM replace"), [[1]]);
    deepEqual(await db.rows("VALUES (1), (2)"), [[1], [2]]);
    equal((await db.query("EXPLAIN QUERY PLAN DELETE FROM t")).columns[0], "id");
    ok((await db.rows("EXPLAIN INSERT INTO t VALUES (1)")).length > 3);
    deepEqual((await db.rows("PRAGMA table_info(t)")).map((row) => row[1]), ["a"]);
    deepEqual(await db.rows("SELECT a FROM t"), [[1]]);
  },

  "statements that reach beyond the namespace are refused": async (db) => {
    const dir = await Deno.makeTempDir();
    try {
      for (
        const sql of [
          `ATTACH '${dir}/x.db' AS x`,
          `attach database '${dir}/x.db' as x`,
          "DETACH x",
          "VACUUM",
          `VACUUM INTO '${dir}/x.db'`,
          "BEGIN",
          "BEGIN IMMEDIATE",
          "COMMIT",
          "END",
          "ROLLBACK",
          "SAVEPOINT a",
          "RELEASE a",
          "PRAGMA journal_mode = DELETE",
          "PRAGMA query_only = 1",
          "PRAGMA hard_heap_limit(1)",
          "PRAGMA writable_schema=ON",
          "PRAGMA user_version = 5",
          "PRAGMA foreign_keys",
          "PRAGMA database_list",
          "SELECT 1; DROP TABLE t",
          `SELECT 1; ATTACH '${dir}/x.db' AS x`,
          "SELECT load_extension('x')",
          "SELECT readfile('/etc/passwd')",
          `SELECT writefile('${dir}/x', 'a')`,
          "SELECT * FROM pragma_database_list",
          "SELECT * FROM pragma_optimize(-1)",
          "CREATE TEMP TABLE x (a)",
          "CREATE TABLE temp.x (a)",
          "CREATE VIRTUAL TABLE x USING fts3tokenize",
          "SELECT * FROM _orama_x",
          "CREATE TABLE _orama_x (a)",
        ]
      ) {
        await rejects(db.exec(sql), is("SQL_NOT_ALLOWED"), sql);
        await rejects(db.query(sql), is("SQL_NOT_ALLOWED"), sql);
        await rejects(db.transaction(exec(sql)), is("SQL_NOT_ALLOWED"), sql);
      }
      deepEqual([...Deno.readDirSync(dir)], []);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },

  "triggers with several statements, full-text search and JSON work": async (db) => {
    await db.execAll(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT)",
      "CREATE TABLE log (what, at DEFAULT 'now')",
      "CREATE VIRTUAL TABLE f USING fts5(s)",
      `CREATE TRIGGER tr AFTER INSERT ON t BEGIN
        INSERT INTO log (what) VALUES (CASE WHEN new.id > 0 THEN 'in; sert' ELSE 'END' END);
        INSERT INTO f (rowid, s) VALUES (new.id, new.s);
      END;`,
      "INSERT INTO t (s) VALUES ('hello world')",
    );
    deepEqual(await db.rows("SELECT what FROM log"), [["in; sert"]]);
    deepEqual(await db.rows("SELECT rowid FROM f WHERE f MATCH ?", "world"), [[1]]);
    deepEqual(await db.rows("SELECT json_extract(?, '$.a[1]')", '{"a":[1,2]}'), [[2]]);
  },

  "a transaction gives each step its result, and steps see what those before them did": async (db) => {
    deepEqual(
      await db.transaction(
        exec("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE, b BOOLEAN)"),
        exec("INSERT INTO t (s, b) VALUES (?, ?)", "a", true),
        query("SELECT s, b FROM t"),
        exec("UPDATE t SET s = 'b' WHERE id = ?", 1),
        exec("INSERT INTO t (s) VALUES ('b') ON CONFLICT (s) DO UPDATE SET s = 'c'"),
        exec("INSERT INTO t (s) VALUES ('d') RETURNING id"),
        query("SELECT count(*) AS n FROM t WHERE s IN (?, ?)", "c", "d"),
      ),
      [
        { kind: "exec", result: { rowsAffected: 0, lastInsertId: 0 } },
        { kind: "exec", result: { rowsAffected: 1, lastInsertId: 1 } },
        { kind: "query", result: { columns: ["s", "b"], types: ["text", "boolean"], rows: [["a", true]] } },
        { kind: "exec", result: { rowsAffected: 1, lastInsertId: 0 } },
        { kind: "exec", result: { rowsAffected: 1, lastInsertId: 0 } },
        {
          kind: "exec",
          result: { rowsAffected: 1, lastInsertId: 2, returning: { columns: ["id"], types: ["integer"], rows: [[2]] } },
        },
        { kind: "query", result: { columns: ["n"], types: ["integer"], rows: [[2]] } },
      ],
    );
    deepEqual(await db.transaction(), []);
  },

  "a transaction of writes alone, and of reads alone": async (db) => {
    deepEqual(
      await db.transaction(
        exec("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE)"),
        exec("INSERT INTO t (s) VALUES ('a')"),
        exec("INSERT INTO t (s) VALUES ('a') ON CONFLICT (s) DO UPDATE SET s = 'A'"),
        exec("INSERT INTO t (s) VALUES ('b')"),
      ),
      [[0, 0], [1, 1], [1, 0], [1, 2]].map(([rowsAffected, lastInsertId]) => ({
        kind: "exec",
        result: { rowsAffected, lastInsertId },
      })),
    );
    const [first, second] = await db.transaction(query("SELECT s FROM t ORDER BY 1"), query("PRAGMA table_info(t)"));
    ok(first?.kind === "query" && second?.kind === "query");
    deepEqual([first.result?.rows, second.result?.rows.length], [[["A"], ["b"]], 2]);
  },

  "last_insert_rowid() and changes() mean the step before": async (db) => {
    const steps = await db.transaction(
      exec("CREATE TABLE t (id INTEGER PRIMARY KEY, s UNIQUE)"),
      exec("CREATE TABLE k (t INTEGER, n INTEGER)"),
      exec("INSERT INTO t VALUES (41, 'a'), (42, 'b')"),
      exec("INSERT INTO k VALUES (last_insert_rowid(), changes())"),
      exec("INSERT INTO t VALUES (43, 'a') ON CONFLICT (s) DO UPDATE SET s = 'c'"),
      query("SELECT t, n FROM k"),
    );
    ok(steps[5]?.kind === "query");
    deepEqual(steps[5].result?.rows, [[42, 2]]);
  },

  "any error of a transaction undoes all of it and says at which step": async (db) => {
    await db.execAll("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT UNIQUE)", "INSERT INTO t VALUES (1, 'a')");
    const insert = (s: string) => exec("INSERT INTO t (s) VALUES (?)", s);
    const failing: [TransactionStep, ErrorCode, string][] = [
      [insert("a"), "CONSTRAINT_FAILED", "UNIQUE constraint failed: t.s"],
      [exec("INSERT INTO t (s) VALUES ('a') RETURNING id"), "CONSTRAINT_FAILED", "UNIQUE constraint failed: t.s"],
      [exec("INSERT OR ROLLBACK INTO t (s) VALUES ('a')"), "CONSTRAINT_FAILED", "UNIQUE constraint failed: t.s"],
      [exec("INSERT OR ROLLBACK INTO t (s) VALUES ('a') RETURNING id"), "CONSTRAINT_FAILED", "UNIQUE"],
      [exec("INSERT INTO nosuch VALUES (?)", 1), "SQL_INVALID", "no such table: nosuch"],
      [exec("INSERT INTO nosuch VALUES (1) RETURNING a"), "SQL_INVALID", "no such table: nosuch"],
      [exec("CREATE TABLE t (a)"), "SQL_INVALID", "already exists"],
      [exec("UPDATE t SET s = json(s)"), "SQL_INVALID", "malformed JSON"],
      [exec("SELECT FROM"), "SQL_INVALID", "syntax error"],
      [query("SELECT * FROM nosuch"), "SQL_INVALID", "no such table: nosuch"],
      [query("SELECT json(s) FROM t"), "SQL_INVALID", "malformed JSON"],
      [query("DELETE FROM t"), "SQL_NOT_ALLOWED", "kind must be exec"],
      [exec("BEGIN"), "SQL_NOT_ALLOWED", "BEGIN is not allowed"],
      [exec("SELECT ?"), "SQL_INVALID", "1 placeholders"],
    ];
    for (const [step, code, sentence] of failing) {
      for (
        const others of [[insert("x"), insert("y"), insert("z")], [
          insert("x"),
          query("SELECT count(*) FROM t"),
          insert("z"),
        ]]
      ) {
        const steps = [others[0]!, others[1]!, step, others[2]!];
        await rejects(db.transaction(...steps), atStep(2, code, sentence), `${step.sql} after ${others[1]!.sql}`);
        deepEqual(await db.rows("SELECT * FROM t"), [[1, "a"]], `${step.sql} after ${others[1]!.sql}`);
      }
    }
    await db.exec("INSERT INTO t (s) VALUES ('after')");
    deepEqual(await db.rows("SELECT s FROM t"), [["a"], ["after"]]);
  },

  "definitions roll back with the rest": async (db) => {
    await rejects(
      db.transaction(
        exec("CREATE TABLE t (a)"),
        exec("INSERT INTO t VALUES (1)"),
        query("SELECT * FROM t"),
        exec("DROP TABLE nosuch"),
      ),
      atStep(3, "SQL_INVALID", "no such table: nosuch"),
    );
    deepEqual(await db.database.schema(NAMESPACE, request), []);
  },

  "a constraint deferred to the end rolls back, and the last step is named": async (db) => {
    await db.execAll(
      "CREATE TABLE p (id INTEGER PRIMARY KEY)",
      "CREATE TABLE k (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)",
    );
    const failed = atStep(1, "CONSTRAINT_FAILED", "FOREIGN KEY constraint failed");
    await rejects(db.transaction(exec("INSERT INTO k VALUES (1)"), exec("INSERT INTO p VALUES (2)")), failed);
    deepEqual(await db.rows("SELECT * FROM p"), []);
    await db.transaction(exec("INSERT INTO k VALUES (1)"), exec("INSERT INTO p VALUES (1)"));
    deepEqual(await db.rows("SELECT * FROM k"), [[1]]);
  },

  "a large transaction is one transaction": async (db) => {
    await db.exec("CREATE TABLE t (a INTEGER UNIQUE)");
    const steps = Array.from({ length: 999 }, (_, i) => exec("INSERT INTO t VALUES (?)", i));
    await rejects(db.transaction(...steps, exec("INSERT INTO t VALUES (5)")), atStep(999, "CONSTRAINT_FAILED", ""));
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[0]]);
    equal((await db.transaction(...steps, query("SELECT count(*) FROM t"))).length, 1000);
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[999]]);
  },

  "select() builds joins of every kind, groups, orders and pages": async (db) => {
    await db.execAll(
      'CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, "group" TEXT)',
      "CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER, total REAL)",
      "INSERT INTO users VALUES (1, 'ann', 'a'), (2, 'bob', NULL), (3, 'cyd', 'a')",
      "INSERT INTO orders VALUES (1, 1, 5), (2, 1, 7), (3, 9, 1)",
    );
    const select = async (spec: Parameters<Database["select"]>[1]) =>
      (await db.database.select(NAMESPACE, spec, request)).rows;
    const pairs = (kind: string) =>
      select({
        table: "users u",
        select: ["u.id", "o.id AS oid"],
        joins: [{ kind, table: "orders AS o", on: "o.user = u.id" }],
        orderBy: ["u.id", "o.id"],
      });
    for (const kind of ["", "JOIN", "inner", "INNER JOIN"]) deepEqual(await pairs(kind), [[1, 1], [1, 2]]);
    for (const kind of ["left", "LEFT OUTER JOIN"]) {
      deepEqual(await pairs(kind), [[1, 1], [1, 2], [2, null], [3, null]]);
    }
    deepEqual(await pairs("RIGHT"), [[null, 3], [1, 1], [1, 2]]);
    deepEqual(await pairs("full outer"), [[null, 3], [1, 1], [1, 2], [2, null], [3, null]]);
    equal((await select({ table: "users", joins: [{ kind: "cross", table: "orders", on: "" }] })).length, 9);
    deepEqual(await select({ table: "users", select: ["name"], offset: 2 }), [["cyd"]]);
    deepEqual(await select({ table: "users", select: ["name"], limit: 0 }), []);
    deepEqual(await select({ table: "users", select: ["id"], criteria: [["group", null]] }), [[2]]);
    deepEqual(await select({ table: "users", select: ["id"], criteria: [["group", "a"], ["users.id", 3]] }), [[3]]);
    deepEqual(
      await select({
        table: "orders",
        select: ["user", "COUNT(*) AS n", "SUM(total)"],
        groupBy: ["user"],
        orderBy: ["n DESC, user ASC NULLS LAST"],
      }),
      [[1, 2, 12], [9, 1, 1]],
    );
    deepEqual(
      await select({
        table: "users",
        select: ["id"],
        criteria: [["group", "a"]],
        where: [{ expr: "name = ?", args: ["ann"] }, { conj: "OR", expr: "name = ?", args: ["bob"] }],
      }),
      [[1]],
    );
    equal((await select({ table: "users", orderBy: ["RANDOM()"] })).length, 3);
    for (const spec of [{ select: ["nosuch"] }, { criteria: [["nosuch", 1]] as const }, { orderBy: ["nosuch"] }]) {
      await rejects(select({ table: "users", ...spec }), is("SQL_INVALID", "no such column: nosuch"));
    }
    await rejects(select({ table: "users; DROP TABLE users" }), is("INVALID_REQUEST", "table"));
  },

  "select() names unaliased calls as they were written": async (db) => {
    await db.exec("CREATE TABLE t (a)");
    const { columns } = await db.database.select(
      NAMESPACE,
      { table: "t", select: ["COUNT( a )", "max(t.a)", "a", "t.a AS b"] },
      request,
    );
    deepEqual(columns, ["COUNT( a )", "max(t.a)", "a", "b"]);
  },

  "schema() lists tables and views by name, without those of SQLite and of the gateway": async (db) => {
    await db.execAll(
      "CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT, s UNIQUE)",
      "CREATE VIEW a AS SELECT id FROM b",
      "CREATE INDEX i ON b (s)",
      "CREATE TABLE sqliteish (x)",
      "INSERT INTO b (s) VALUES (1)",
      "ANALYZE",
    );
    deepEqual(await db.database.schema(NAMESPACE, request), [
      { name: "a", type: "view", sql: "CREATE VIEW a AS SELECT id FROM b" },
      { name: "b", type: "table", sql: "CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT, s UNIQUE)" },
      { name: "sqliteish", type: "table", sql: "CREATE TABLE sqliteish (x)" },
    ]);
  },

  "dropTable() drops, and says NOT_FOUND for none": async (db) => {
    await db.exec('CREATE TABLE "odd `name" (a)');
    await db.database.dropTable(NAMESPACE, "odd `name", request);
    await rejects(db.database.dropTable(NAMESPACE, "odd `name", request), is("NOT_FOUND", "no such table"));
  },

  "purge() leaves an empty database that works, also when asked again": async (db) => {
    await db.execAll(
      "CREATE TABLE a (id INTEGER PRIMARY KEY, b REFERENCES b (id))",
      "CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a (id))",
      "CREATE VIEW v AS SELECT * FROM a",
      "INSERT INTO a VALUES (1, NULL)",
      "INSERT INTO b VALUES (1, 1)",
      "UPDATE a SET b = 1",
    );
    await db.database.purge(NAMESPACE, request.signal);
    await db.database.purge(NAMESPACE, request.signal);
    deepEqual(await db.database.schema(NAMESPACE, request), []);
    deepEqual(await db.exec("CREATE TABLE a (id INTEGER PRIMARY KEY, s UNIQUE)"), { rowsAffected: 0, lastInsertId: 0 });
    deepEqual(await db.exec("INSERT INTO a (s) VALUES (1) ON CONFLICT (s) DO UPDATE SET s = 2"), {
      rowsAffected: 1,
      lastInsertId: 1,
    });
  },

  "usage() grows with the data, and health() is ok": async (db) => {
    await db.exec("CREATE TABLE t (a)");
    const before = (await db.database.usage(NAMESPACE, request.signal))["database_bytes"] ?? NaN;
    await db.exec("INSERT INTO t VALUES (zeroblob(1000000))");
    const after = (await db.database.usage(NAMESPACE, request.signal))["database_bytes"] ?? NaN;
    ok(after - before > 900_000, `${before} → ${after}`);
    equal((await db.database.health(request.signal)).status, "ok");
  },

  "a changed table is seen at once by statements that were used before": async (db) => {
    await db.execAll("CREATE TABLE t (a BOOLEAN)", "INSERT INTO t VALUES (1)");
    deepEqual(await db.rows("SELECT * FROM t"), [[true]]);
    await db.execAll("ALTER TABLE t ADD COLUMN b DATE DEFAULT '2026-01-18'");
    deepEqual(await db.query("SELECT * FROM t"), {
      columns: ["a", "b"],
      types: ["boolean", "date"],
      rows: [[true, "2026-01-18T00:00:00Z"]],
    });
    await db.execAll("DROP TABLE t", "CREATE TABLE t (b TEXT)");
    deepEqual(await db.query("SELECT * FROM t"), { columns: ["b"], types: ["text"], rows: [] });
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  Deno.test(`sqlite: ${name}`, async () => {
    const dir = await Deno.makeTempDir();
    const database = new SqlDatabase(new SqliteDriver({ dir }));
    try {
      await scenario(new Subject(database));
    } finally {
      await database.close();
      await Deno.remove(dir, { recursive: true });
    }
  });

  engineTest(`rqlite: ${name}`, ["rqlited"], async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    const database = new SqlDatabase(rqliteDriver(urls));
    try {
      await scenario(new Subject(database));
    } finally {
      await database.close();
    }
  });
}

async function stopsWhatDoesNotEnd(db: Subject): Promise<void> {
  const endless = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) ";
  await db.exec("CREATE TABLE t (a)");
  await rejects(db.query(`${endless} SELECT count(*) FROM c`), is("STATEMENT_TIMEOUT"));
  await rejects(db.exec(`${endless} INSERT INTO t SELECT count(*) FROM c`), is("STATEMENT_TIMEOUT"));
  await rejects(
    db.transaction(exec("INSERT INTO t VALUES (1)"), query(`${endless} SELECT count(*) FROM c`)),
    is("STATEMENT_TIMEOUT"),
  );
  deepEqual(await db.rows("SELECT a FROM t"), []);
}

Deno.test("sqlite: a statement that runs out of its time is STATEMENT_TIMEOUT, and the next one works", async () => {
  const dir = await Deno.makeTempDir();
  const rules = { ...DEFAULT_RULES, timeout: 200 };
  const database = new SqlDatabase(new SqliteDriver({ dir }), { rulesOf: () => rules });
  try {
    await stopsWhatDoesNotEnd(new Subject(database));
  } finally {
    await database.close();
    await Deno.remove(dir, { recursive: true });
  }
});

engineTest(
  "rqlite: a statement that runs out of its time is STATEMENT_TIMEOUT, and the next one works",
  ["rqlited"],
  async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    const rules = { ...DEFAULT_RULES, timeout: 200 };
    const db = new Subject(new SqlDatabase(rqliteDriver(urls), { rulesOf: () => rules }));
    try {
      await stopsWhatDoesNotEnd(db);
    } finally {
      await db.database.close();
    }
  },
);

engineTest("rqlite: purge() empties all nodes", ["rqlited"], async (engines) => {
  const { urls } = await engines.rqlite({ nodes: 3 });
  const nodes = urls.map((url, i) => new RqliteCluster({ name: `${i}`, urls: [url] }));
  const db = new Subject(new SqlDatabase(rqliteDriver(urls)));
  try {
    await db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    await db.database.purge(NAMESPACE, request.signal);
    await db.exec("CREATE TABLE last (a)");
    for (const node of nodes) {
      await until("the node has applied what was acknowledged", async () => {
        const sql = "SELECT group_concat(name) FROM sqlite_schema";
        const [result] = await node.query([{ sql, args: [] }], { level: "none" });
        return result?.kind === "rows" && result.rows[0]?.[0] === "last";
      });
    }
  } finally {
    await db.database.close();
    for (const node of nodes) await node.close();
  }
});
