import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { loadDump } from "../../../services/database/files/dump_loader.ts";
import { StatementSplitter, withoutLead } from "../../../services/database/files/dump_splitter.ts";
import { dumpOf } from "../../../services/database/files/dump_writer.ts";
import { OK, openSqlite, prepareExact, type SqliteDatabase } from "../../../services/database/sqlite/node_sqlite.ts";
import { authorize } from "../../../services/database/sqlite/authorizer.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";

const empty = () =>
  openSqlite(":memory:", {
    defensive: false,
    timeout: 0,
    limits: { attach: 0, length: 2 ** 28, sqlLength: 2 ** 28, triggerDepth: 100 },
  });

const dumped = (db: SqliteDatabase) => [...dumpOf(db)].join("");
const loaded = (...texts: string[]) => {
  const db = empty();
  db.exec("PRAGMA foreign_keys = OFF");
  db.setAuthorizer((action, first, second, _schema, trigger) => authorize("write", action, first, second, trigger));
  loadDump(db, texts);
  db.setAuthorizer(() => OK);
  return db;
};
const all = (db: SqliteDatabase, sql: string) => prepareExact(db, sql).all();
const is = (code: ErrorCode, sentence: RegExp) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  ok(sentence.test(error.message), error.message);
  return true;
};

/** Everything that a table holds: storage classes, and bytes. */
const contents = (db: SqliteDatabase, table: string, columns: readonly string[]) =>
  all(db, `SELECT ${columns.map((name) => `typeof("${name}"), hex("${name}")`)} FROM "${table}"`);

Deno.test("what a dump makes is what was dumped: values, row ids, objects, in the order in which they can be made", () => {
  const db = empty();
  db.exec(`
    CREATE TABLE plain (a, b TEXT, c REAL, d BLOB, e INTEGER);
    CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
    CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    CREATE TABLE made (a INT, b INT GENERATED ALWAYS AS (a * 2) VIRTUAL, c INT AS (a + 1) STORED);
    CREATE TABLE strict_one (a INT, b TEXT) STRICT;
    CREATE TABLE "we""ird; -- name" ("co""l'1" INT, "sel ect", [x y], rowid TEXT);
    CREATE TABLE backwards (id INTEGER PRIMARY KEY DESC, v);
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (p REFERENCES parent (id));
    CREATE VIRTUAL TABLE words USING fts5 (title, body);
    CREATE VIRTUAL TABLE bare USING fts5 (x, content='');
    CREATE VIRTUAL TABLE outside USING fts5 (b, content='plain', content_rowid='rowid');
    CREATE VIRTUAL TABLE old USING fts4 (y);
    CREATE VIRTUAL TABLE boxes USING rtree (id, a, b);
    CREATE INDEX i1 ON plain (b) WHERE b IS NOT NULL;
    CREATE UNIQUE INDEX i2 ON plain (abs(e));
    CREATE VIEW later AS SELECT * FROM sooner;
    CREATE VIEW sooner AS SELECT a, b FROM plain;
    CREATE TRIGGER t1 AFTER INSERT ON plain BEGIN INSERT INTO auto (v) VALUES (';'); SELECT 1; END;
    CREATE TRIGGER t2 INSTEAD OF INSERT ON sooner BEGIN INSERT INTO plain (a, b) VALUES (new.a, new.b); END;
    INSERT INTO auto (v) VALUES (1), (2), (3); DELETE FROM auto WHERE id = 3;
    INSERT INTO keyed VALUES ('x', 1), ('y', 2);
    INSERT INTO made (a) VALUES (1), (2);
    INSERT INTO strict_one VALUES (1, 'a');
    INSERT INTO "we""ird; -- name" VALUES (1, 2, 3, 'r');
    INSERT INTO backwards VALUES (5, 'a'), (3, 'b');
    PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (99);
    INSERT INTO words VALUES ('hello', 'world of text'), ('it''s', '-- comment ; ');
    INSERT INTO bare (rowid, x) VALUES (5, 'contentless words');
    INSERT INTO old VALUES ('four'); INSERT INTO boxes VALUES (1, 0.1, 0.2), (2, 1.5, 3);
  `);
  const insert = db.prepare("INSERT INTO plain VALUES (?, ?, ?, ?, ?)");
  const values = [
    "x",
    "it's",
    "a\nb\r\n",
    ";--/*",
    "é😀",
    "",
    "_orama_x",
    "_ORAMA_",
    "\ufeffmark",
    null,
    1.5,
    1,
    -0,
    new Uint8Array([0, 1, 255]),
    new Uint8Array(),
    9007199254740993n,
    -(2n ** 63n),
    2n ** 63n - 1n,
    0.1,
    1e300,
    5e-324,
    2.2250738585072014e-308,
    1e21,
    1e15,
    123456789012345680,
    Infinity,
    -Infinity,
  ];
  values.forEach((value, at) => insert.run(value, `t${at}`, 0.5, new Uint8Array(3), BigInt(at)));
  db.exec(`INSERT INTO plain (a, b, e) VALUES ('a' || char(0) || 'b', char(0), 100),
    (CAST(x'ff00fe' AS TEXT), 'bad', 101), (CAST(x'c328' AS TEXT), 'bad', 102), (CAST(x'eda080' AS TEXT), 'bad', 103)`);
  db.exec("DELETE FROM plain WHERE rowid IN (3, 4)");

  const text = dumped(db);
  const copy = loaded(text);
  equal(dumped(copy), text);
  for (
    const [table, columns] of [
      ["plain", ["rowid", "a", "b", "c", "d", "e"]],
      ["auto", ["id", "v"]],
      ["keyed", ["k", "v"]],
      ["made", ["a", "b", "c"]],
      ["backwards", ["_rowid_", "id", "v"]],
      ["child", ["rowid", "p"]],
      ["sqlite_sequence", ["name", "seq"]],
      ["words_data", ["id", "block"]],
      ["boxes", ["id", "a", "b"]],
    ] as const
  ) deepEqual(contents(copy, table, columns), contents(db, table, columns), table);
  const found = (sql: string) => deepEqual(all(copy, sql), all(db, sql), sql);
  found("SELECT rowid FROM bare WHERE bare MATCH 'contentless'");
  found("SELECT title FROM words WHERE words MATCH 'world'");
  found("SELECT id FROM boxes WHERE a > 1");
  found("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name");
  deepEqual(all(copy, "PRAGMA integrity_check"), [["ok"]]);
});

Deno.test("REAL values come back to the last bit", () => {
  const db = empty();
  db.exec("CREATE TABLE t (a REAL)");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  const bits = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < 20_000; i++) {
    crypto.getRandomValues(new Uint8Array(bits.buffer));
    const value = bits.getFloat64(0);
    if (Number.isFinite(value)) insert.run(value);
  }
  const copy = loaded(dumped(db));
  ok(all(db, "SELECT count(*) FROM t").length === 1);
  deepEqual(all(copy, "SELECT a FROM t"), all(db, "SELECT a FROM t"));
});

Deno.test("a large table is written piece by piece", () => {
  const db = empty();
  db.exec(
    "CREATE TABLE t (a); INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50000) " +
      "SELECT 'some text of row ' || i FROM n",
  );
  const pieces = [...dumpOf(db)];
  ok(pieces.length > 10, String(pieces.length));
  ok(pieces.every((piece) => piece.length < 200_000));
  deepEqual(
    all(loaded(...pieces), "SELECT count(*), sum(length(a)) FROM t"),
    all(db, "SELECT count(*), sum(length(a)) FROM t"),
  );
});

Deno.test("the gateway's own tables and statistics are neither dumped nor loaded", () => {
  const db = empty();
  db.exec(
    `CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b); CREATE INDEX i ON t (b); INSERT INTO t VALUES (1, 2);
    CREATE TABLE _orama_idempotency (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO _orama_idempotency VALUES (7);
    CREATE TRIGGER _orama_feed AFTER INSERT ON t BEGIN INSERT INTO _orama_idempotency VALUES (NULL); END; ANALYZE`,
  );
  const text = dumped(db);
  ok(!/_orama_|sqlite_stat/i.test(text), text);
  const copy = loaded(
    `CREATE TABLE "_orama_x"(a); INSERT INTO _orama_x VALUES (1); INSERT INTO sqlite_stat1 VALUES ('t', 'i', '9');
    CREATE TABLE [_ORAMA_y] (a); ANALYZE sqlite_schema; CREATE TABLE ok (a);`,
  );
  deepEqual(all(copy, "SELECT name FROM sqlite_schema"), [["ok"]]);
});

Deno.test("a dump of the SQLite shell or of rqlite is loaded", () => {
  const copy = loaded(`PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
INSERT INTO t VALUES(1,'it''s');
INSERT INTO t VALUES(2,replace('a\\nb','\\n',char(10)));
INSERT INTO t VALUES(3,unistr('a\\u000ab'));
CREATE TRIGGER r AFTER DELETE ON t BEGIN
  INSERT INTO t(b) VALUES ('gone; END');
END;
COMMIT;
`);
  deepEqual(all(copy, "SELECT b FROM t"), [["it's"], ["a\nb"], ["a\nb"]]);
});

Deno.test("a dump does nothing that a client's statement could not do", () => {
  const refused: [string, ErrorCode, RegExp][] = [
    ["ATTACH 'x' AS y", "SQL_NOT_ALLOWED", /^statement 1 \(ATTACH/],
    ["VACUUM INTO 'x'", "SQL_NOT_ALLOWED", /VACUUM/],
    ["PRAGMA writable_schema=ON", "SQL_NOT_ALLOWED", /PRAGMA/],
    ["PRAGMA journal_mode=WAL", "SQL_NOT_ALLOWED", /PRAGMA/],
    ["SAVEPOINT a", "SQL_NOT_ALLOWED", /SAVEPOINT/],
    ["ROLLBACK", "SQL_INVALID", /broken off/],
    ["SELECT 1", "SQL_NOT_ALLOWED", /literal values/],
    ["CREATE TABLE t (a); INSERT INTO t VALUES (?)", "SQL_NOT_ALLOWED", /^statement 2 .*literal/],
    ["CREATE TEMP TABLE t (a)", "SQL_NOT_ALLOWED", /temporary/],
    ["CREATE VIRTUAL TABLE t USING csv (filename='/etc/passwd')", "SQL_NOT_ALLOWED", /module/],
    ["CREATE VIEW v AS SELECT load_extension('x')", "SQL_NOT_ALLOWED", /load_extension/],
    ["CREATE VIEW v AS SELECT * FROM _orama_x", "SQL_NOT_ALLOWED", /_orama_/],
    ["CREATE TRIGGER _orama_t AFTER INSERT ON x BEGIN SELECT 1; END", "SQL_NOT_ALLOWED", /_orama_/],
    [
      "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x (a)')",
      "SQL_INVALID",
      /may not be modified/,
    ],
    ["CREATE TABLE t (a); INSERT INTO t VALUES (1", "SQL_INVALID", /^statement 2/],
    ["CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1), (1)", "CONSTRAINT_FAILED", /^statement 2 .*UNIQUE/],
    ["nonsense", "SQL_INVALID", /^statement 1 .*syntax error/],
    ["", "SQL_INVALID", /no statement/],
    [" -- a\n/* b */ ;;", "SQL_INVALID", /no statement/],
  ];
  for (const [text, code, sentence] of refused) throws(() => loaded(text), is(code, sentence), text);
});

const split = (pieces: readonly string[], most = 1_000_000) => {
  const splitter = new StatementSplitter(most);
  const found = pieces.flatMap((piece) => [...splitter.push(piece)]);
  return [...found, ...splitter.end()];
};

Deno.test("text is cut at the semicolons that end statements, wherever its pieces end", () => {
  const statements = [
    "SELECT ';'",
    " SELECT ''';'''",
    '\nSELECT ";" FROM `a;` JOIN [b;]',
    " -- a; b\nSELECT 1",
    " /* a; b * / */ SELECT 1 - -1 / 2",
    " CREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT ';END;'; INSERT INTO y VALUES (1); /* end */ END",
    " create temp trigger t after insert on x begin select case when 1 then 2 end; end",
    " CREATE TABLE trigger_like (a)",
    " -- the end",
  ];
  const text = statements.join(";");
  deepEqual(split([text]), statements);
  for (let at = 0; at <= text.length; at++) {
    deepEqual(split([text.slice(0, at), text.slice(at)]), statements, `at ${at}`);
  }
  deepEqual(split([...text]), statements, "letter by letter");
});

Deno.test("a statement without an end is refused before it fills the memory", () => {
  throws(() => split(Array(20).fill("'".padEnd(100, "x")), 1_000), RangeError);
  throws(() => split(["CREATE TRIGGER a BEGIN ".padEnd(2_000, ";x")], 1_000), RangeError);
});

Deno.test("hostile text is cut in time that grows with its length", () => {
  const start = performance.now();
  for (const piece of [";", "/*", "*/", "--\n", "'", "''", "[", "`", "CREATE TRIGGER ;", "END;", "/* */", "- / * "]) {
    try {
      split(Array(16).fill(piece.repeat(Math.ceil(65_536 / piece.length))), 4_000_000);
    } catch (error) {
      ok(error instanceof RangeError);
    }
  }
  ok(performance.now() - start < 20_000, `${performance.now() - start} ms`);
});

Deno.test("what stands before a statement may be long, and of many pieces", () => {
  for (
    const lead of ["", " ".repeat(20_000_000), "-- x\n".repeat(4_000_000), "/* a; */ -- b\n\ufeff ", "-- x\n/* y */"]
  ) {
    equal(withoutLead(`${lead}SELECT 1 -- z`), "SELECT 1 -- z");
  }
  equal(withoutLead(" -- nothing but a comment"), "");
  equal(withoutLead("/* without an end"), "/* without an end");
});
