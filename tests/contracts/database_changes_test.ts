import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { changeText } from "../../routes/database/change_json.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { brief, disposable, feedTests, is, NAMESPACE, numberOf, request, take } from "./change_feeds.ts";

feedTests({
  "what is committed is told with key, row before and row after": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    deepEqual(await db.on("T"), { table: "t", columns: undefined, key: ["id"] });
    using listener = disposable(await db.listen(["t"]));
    await db.run("INSERT INTO t VALUES (1, 'x')", "UPDATE t SET a = 'y'", "DELETE FROM t");
    const events = await take(listener.value, 3);
    deepEqual(events.map(brief), [
      'insert t {"id":1} null {"id":1,"a":"x"}',
      'update t {"id":1} {"id":1,"a":"x"} {"id":1,"a":"y"}',
      'delete t {"id":1} {"id":1,"a":"y"} null',
    ]);
    for (const { position } of events) match(position, /^[0-9a-f]{16}-\d+$/);
    equal(listener.value.position, events.at(-1)!.position);
  },

  "values are exact, and presented as a query presents them": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, i, r REAL, s TEXT, b BLOB, ok BOOLEAN, at DATETIME, inf)");
    await db.on("t");
    const bytes = new Uint8Array([0, 255, 39]);
    const text = "it's, \"é😀\"\r\n\u2028X'00',NULL";
    await db.exec("INSERT INTO t VALUES (1, ?, ?, ?, ?, ?, ?, 9e999)", 2n ** 63n - 1n, 0.1, text, bytes, true, 0);
    await db.exec("INSERT INTO t VALUES (2, ?, ?, '', x'', 0, 'never', -9e999)", -(2n ** 63n), 5e-324);
    await db.exec("INSERT INTO t (id, r, i) VALUES (3, 1.7976931348623157e308, 3.0)");
    const shown = (await db.log()).changes.map((event) => event.after!.values);
    deepEqual(shown, [
      [1, 2n ** 63n - 1n, 0.1, text, bytes, true, "1970-01-01T00:00:00Z", "Infinity"],
      [2, -(2n ** 63n), 5e-324, "", new Uint8Array(), false, "0001-01-01T00:00:00Z", "-Infinity"],
      [3, 3, 1.7976931348623157e308, null, null, null, null, null],
    ]);
    match(changeText((await db.log()).changes[0]!, "number"), /"i":9223372036854775807,/);
    match(changeText((await db.log()).changes[0]!, "string"), /"i":"9223372036854775807",/);
  },

  "nothing is told of what is rolled back, and a large transaction comes whole and in order": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)");
    await db.on("t");
    using listener = disposable(await db.listen(["t"]));
    await rejects(
      db.transaction("INSERT INTO t VALUES (1, 1)", "INSERT INTO t VALUES (2, 1)"),
      is("CONSTRAINT_FAILED"),
    );
    await db.transaction(...Array.from({ length: 1_000 }, (_, i) => `INSERT INTO t VALUES (${i}, ${i})`));
    const events = await take(listener.value, 1_000);
    deepEqual(events.map((event) => event.kind === "truncated" || event.key!.values[0]), [...Array(1_000).keys()]);
    const numbers = events.map(({ position }) => numberOf(position));
    ok(numbers.every((number, at) => at === 0 || number > numbers[at - 1]!));
  },

  "a row that REPLACE takes away is deleted, whatever it stood in the way of": async (db) => {
    await db.run(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE UNIQUE, b, c, live)",
      "CREATE UNIQUE INDEX by_expression ON t (lower(c) || 'x' DESC)",
      "CREATE UNIQUE INDEX partial ON t (b) WHERE live AND b <> 'AS'",
    );
    await db.run("INSERT INTO t VALUES (1,'a',1,'c',1), (2,'b',2,'d',1), (3,'c',3,'e',1), (-1,'m',9,'m',1)");
    await db.on("t", ["id"]);
    const replaced = async (sql: string) => {
      const { next } = await db.log("now");
      await db.run(sql);
      return (await db.log(next)).changes.map(({ kind, key }) => `${kind} ${String(key?.values[0])}`);
    };
    deepEqual(await replaced("REPLACE INTO t VALUES (1,'a',1,'c',1)"), ["delete 1", "insert 1"]);
    deepEqual(await replaced("INSERT OR REPLACE INTO t (a) VALUES ('A')"), ["delete 1", "insert 4"]);
    deepEqual(await replaced("REPLACE INTO t VALUES (5,'b',3,'y',1)"), ["delete 3", "delete 2", "insert 5"]);
    deepEqual(await replaced("INSERT INTO t (id, c) VALUES (6, 'K')"), ["insert 6"]);
    deepEqual(await replaced("REPLACE INTO t (c) VALUES ('k')"), ["delete 6", "insert 7"]);
    deepEqual(await replaced("REPLACE INTO t (id, b, live) VALUES (8, 3, 0)"), ["insert 8"]);
    deepEqual(await replaced("UPDATE OR REPLACE t SET live = 1 WHERE id = 8"), ["delete 5"]);
    deepEqual(await replaced("UPDATE OR REPLACE t SET id = 4 WHERE id = 7"), ["delete 4", "update 4"]);
    deepEqual(await replaced("UPDATE t SET id = id + 100 WHERE id = 4"), ["update 104"]);
    deepEqual(await replaced("REPLACE INTO t (id) SELECT 8 UNION ALL SELECT 104"), [
      "delete 8",
      "insert 8",
      "delete 104",
      "insert 104",
    ]);
  },

  "a conflict that is ignored or updated deletes nothing": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, n DEFAULT 0)", "INSERT INTO t VALUES (-1, 'z', 0)");
    await db.on("t");
    const { next } = await db.log("now");
    await db.run(
      "INSERT INTO t (a) VALUES ('x')",
      "INSERT OR IGNORE INTO t (a) VALUES ('x')",
      "INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET n = n + 1",
      "INSERT INTO t (a) VALUES ('x') ON CONFLICT DO NOTHING",
      "UPDATE OR IGNORE t SET a = 'z' WHERE a = 'x'",
      "UPDATE t SET n = 7 WHERE a = 'x'",
      "DELETE FROM t WHERE a = 'x'",
      "INSERT INTO t (a) VALUES ('y')",
    );
    deepEqual((await db.log(next)).changes.map(({ kind, key }) => `${kind} ${String(key?.values[0])}`), [
      "insert 0",
      "update 0",
      "update 0",
      "delete 0",
      "insert 0",
    ]);
    await rejects(db.exec("INSERT INTO t (a) VALUES ('y')"), is("CONSTRAINT_FAILED"));
  },

  "a table WITHOUT ROWID has its whole key told": async (db) => {
    await db.run("CREATE TABLE t (a TEXT, b INTEGER, c, PRIMARY KEY (b, a)) WITHOUT ROWID");
    deepEqual((await db.on("t")).key, ["b", "a"]);
    await db.run("INSERT INTO t VALUES ('x', 1, 2)", "REPLACE INTO t VALUES ('x', 1, 3)", "UPDATE t SET b = 2");
    deepEqual(await db.told(), [
      'insert t {"b":1,"a":"x"} null {"a":"x","b":1,"c":2}',
      'delete t {"b":1,"a":"x"} {"a":"x","b":1,"c":2} null',
      'insert t {"b":1,"a":"x"} null {"a":"x","b":1,"c":3}',
      'update t {"b":2,"a":"x"} {"a":"x","b":1,"c":3} {"a":"x","b":2,"c":3}',
    ]);
  },

  "a table without a primary key has its row id told, also where a column is called so": async (db) => {
    await db.run("CREATE TABLE t (a)", "CREATE TABLE u (rowid, _rowid_)", "CREATE TABLE w (rowid, _rowid_, oid)");
    deepEqual((await db.on("t")).key, ["rowid"]);
    await db.on("u");
    await rejects(db.on("w"), is("SQL_NOT_ALLOWED", "primary key"));
    await db.run("INSERT INTO t VALUES (5)", "INSERT INTO u VALUES (6, 7)", "REPLACE INTO t (rowid, a) VALUES (1, 8)");
    deepEqual(await db.told(), [
      'insert t {"rowid":1} null {"a":5}',
      'insert u {"rowid":1} null {"rowid":6,"_rowid_":7}',
      'delete t {"rowid":1} {"a":5} null',
      'insert t {"rowid":1} null {"a":8}',
    ]);
  },

  "generated columns are told, and columns can be chosen": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a, v AS (a * 2), s AS (a * 3) STORED, secret)");
    await db.on("t");
    await db.run("INSERT INTO t (a, secret) VALUES (1, 'x')");
    deepEqual(await db.on("t", ["S", "v"]), { table: "t", columns: ["id", "v", "s"], key: ["id"] });
    await db.run("UPDATE t SET secret = 'y'", "UPDATE t SET a = 2", "ALTER TABLE t RENAME COLUMN s TO ss");
    await db.run("DELETE FROM t");
    deepEqual(await db.told(), [
      'insert t {"id":1} null {"id":1,"a":1,"v":2,"s":3,"secret":"x"}',
      'update t {"id":1} {"id":1,"v":2,"s":3} {"id":1,"v":4,"s":6}',
      'delete t {"id":1} {"id":1,"v":4,"ss":6} null',
    ]);
    await rejects(db.on("t", ["nothing"]), is("INVALID_REQUEST", "columns.0"));
  },

  "tables and columns may have any name": async (db) => {
    const names = [
      'a"b',
      "c.d",
      "e'f",
      "😀",
      "new",
      "select",
      "g`h",
      "[i]",
      "j,k",
      "returning x",
      "time(",
      "--",
      "old;",
    ];
    for (const name of names) {
      const quoted = `"${name.replaceAll('"', '""')}"`;
      await db.run(`CREATE TABLE ${quoted} (${quoted} TEXT PRIMARY KEY, "r.x" UNIQUE)`);
      await db.on(name);
      await db.run(`REPLACE INTO ${quoted} VALUES ('k', 1)`, `REPLACE INTO ${quoted} VALUES ('l', 1)`);
      deepEqual(
        (await db.log("0", [name])).changes.map((
          { kind, table, key },
        ) => [kind, table, key?.columns, key?.values]),
        [["insert", name, [name], ["k"]], ["delete", name, [name], ["k"]], ["insert", name, [name], ["l"]]],
      );
    }
    for (const name of ["", "nothing", "sqlite_schema", "_orama_changes", "_ORAMA_x", "a\0b"]) {
      await rejects(db.on(name), is("NOT_FOUND"), name);
    }
  },

  "views and virtual tables have no feed": async (db) => {
    await db.run("CREATE TABLE t (a)", "CREATE VIEW v AS SELECT a FROM t", "CREATE VIRTUAL TABLE f USING fts5 (a)");
    await rejects(db.on("v"), is("SQL_NOT_ALLOWED", "view"));
    await rejects(db.on("f"), is("SQL_NOT_ALLOWED", "virtual"));
    await rejects(db.on("f_content"), is("SQL_NOT_ALLOWED"));
  },

  "triggers and foreign keys of the owner go on working, and what they do is told": async (db) => {
    await db.run(
      "CREATE TABLE p (id INTEGER PRIMARY KEY)",
      "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)",
      "CREATE TABLE audit (text)",
      "CREATE TRIGGER told AFTER INSERT ON c BEGIN INSERT INTO audit VALUES ('c' || new.id); END",
      "CREATE TRIGGER moved BEFORE INSERT ON p WHEN new.id = 7 BEGIN UPDATE p SET id = 8 WHERE id = 7; END",
    );
    for (const table of ["p", "c", "audit"]) await db.on(table);
    await db.run("INSERT INTO p VALUES (1)");
    const { lastInsertId, rowsAffected } = await db.exec("INSERT INTO c VALUES (5, 1)");
    deepEqual([lastInsertId, rowsAffected], [5, 1]);
    const short = (await db.log()).changes.map(({ kind, table }) => `${kind} ${table}`);
    deepEqual(short.toSorted(), ["insert audit", "insert c", "insert p"]);
    const { next } = await db.log("now");
    await db.run("REPLACE INTO p VALUES (1)", "INSERT INTO p VALUES (7)", "REPLACE INTO p VALUES (7)");
    const after = (await db.log(next)).changes.map(({ kind, table, key }) =>
      `${kind} ${table} ${String(key?.values[0])}`
    );
    deepEqual(after.filter((one) => one.endsWith("c 5")), ["delete c 5"]);
    deepEqual(after.filter((one) => !one.endsWith("c 5")), [
      "delete p 1",
      "insert p 1",
      "insert p 7",
      "update p 8",
      "insert p 7",
    ]);
  },

  "clients can neither read, write, drop nor mislead what the feed keeps": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)");
    await db.on("t");
    await db.run("INSERT INTO t (a) VALUES (1)");
    for (
      const sql of [
        "SELECT * FROM _orama_changes",
        'DELETE FROM main."_orama_changes"',
        "UPDATE [_orama_feed_state] SET epoch = 'x'",
        "DROP TRIGGER _orama_feed_1_insert",
        "DROP TRIGGER IF EXISTS main.'_orama_feed_1_insert'",
        "DROP TABLE _orama_feeds",
        "CREATE TRIGGER _orama_feed_9_insert AFTER INSERT ON t BEGIN DELETE FROM _orama_changes; END",
        "CREATE VIEW v AS SELECT * FROM _orama_changes",
        "ALTER TABLE _orama_changes RENAME TO mine",
        "ALTER TABLE t RENAME TO _orama_t",
        "PRAGMA recursive_triggers = ON",
        "PRAGMA writable_schema = ON",
        "DELETE FROM sqlite_schema",
      ]
    ) {
      await rejects(db.exec(sql), (error) => error instanceof GatewayError && error.status === 400, sql);
    }
    await db.exec("DELETE FROM sqlite_sequence");
    await db.run("ANALYZE", "REINDEX", "INSERT INTO t (a) VALUES (2)");
    const { changes } = await db.log();
    deepEqual(changes.map(({ kind, position }) => `${kind} ${numberOf(position)}`), ["insert 1", "insert 2"]);
    deepEqual((await db.database.schema(NAMESPACE, request)).map(({ name }) => name), ["t"]);
  },

  "a row that is too large is told by its key alone, and a wide one whole": async (db) => {
    const columns = Array.from({ length: 1_200 }, (_, i) => `c${i}`);
    await db.run(`CREATE TABLE w (${columns.join(", ")})`, "CREATE TABLE t (id TEXT PRIMARY KEY, a)");
    await db.on("w");
    await db.on("t");
    await db.run("INSERT INTO w (c7, c1199) VALUES (1, 2)");
    equal((await db.log()).changes[0]!.after!.values.length, 1_200);
    const { next } = await db.log("now");
    await db.exec("INSERT INTO t VALUES ('k', ?)", "x".repeat(300_000));
    await db.run("UPDATE t SET a = 'small'", "INSERT INTO t SELECT hex(zeroblob(200000)), 1");
    deepEqual(await db.told(next), [
      'insert t {"id":"k"} null null too large',
      'update t {"id":"k"} null {"id":"k","a":"small"} too large',
      "insert t null null null too large",
    ]);
  },
});
