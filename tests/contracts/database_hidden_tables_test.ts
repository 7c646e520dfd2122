import { deepEqual, equal, rejects } from "node:assert/strict";
import { exec, is, NAMESPACE, onBothDrivers, query, REQUEST, type Subject } from "./sql_databases.ts";

/** Makes both tables of the gateway's, with a row each, and some of the client's. */
async function prepare(db: Subject): Promise<void> {
  await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a)", [], { idempotencyKey: "secret" });
  await db.database.migrate(NAMESPACE, [{ version: 1, name: "m", statements: "INSERT INTO t VALUES (1, 1)" }], REQUEST);
}

const NAMES = [
  "_orama_idempotency",
  "_ORAMA_Idempotency",
  '"_orama_idempotency"',
  "`_orama_idempotency`",
  "[_orama_idempotency]",
  "'_orama_idempotency'",
  "main._orama_idempotency",
  'main . "_Orama_idempotency"',
  "/**/_orama_migrations--\n",
];

onBothDrivers({
  "the gateway's tables can be neither read nor changed, however they are written": async ({ db }) => {
    await prepare(db);
    const attacks = NAMES.flatMap((name) => [
      `SELECT * FROM ${name}`,
      `SELECT (SELECT count(*) FROM ${name})`,
      `WITH x AS (SELECT * FROM ${name}) SELECT * FROM x`,
      `INSERT INTO ${name} DEFAULT VALUES`,
      `INSERT INTO t SELECT 5, key FROM ${name}`,
      `UPDATE ${name} SET key = 1`,
      `UPDATE t SET a = x.key FROM ${name} AS x`,
      `DELETE FROM ${name}`,
      `REPLACE INTO ${name} (key) VALUES (1)`,
      `DROP TABLE ${name}`,
      `DROP TABLE IF EXISTS ${name}`,
      `ALTER TABLE ${name} RENAME TO mine`,
      `ALTER TABLE ${name} ADD COLUMN x`,
      `CREATE INDEX i ON ${name} (key)`,
      `CREATE VIEW v AS SELECT * FROM ${name}`,
      `CREATE TABLE copy AS SELECT * FROM ${name}`,
      `CREATE TRIGGER r AFTER INSERT ON ${name} BEGIN DELETE FROM t; END`,
      `CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO t SELECT 7, key FROM ${name}; END`,
      `CREATE TABLE c (k REFERENCES ${name} (key))`,
      `ALTER TABLE t ADD COLUMN k REFERENCES ${name} (key) ON DELETE CASCADE`,
      `CREATE VIRTUAL TABLE f USING fts5(key, content=${name})`,
      `CREATE VIRTUAL TABLE f USING fts4(key, content=${name})`,
      `CREATE VIRTUAL TABLE f USING fts5vocab(${name}, row)`,
      `EXPLAIN SELECT * FROM ${name}`,
      `PRAGMA table_info(${name})`,
      `ANALYZE ${name}`,
      `REINDEX ${name}`,
    ]);
    for (const sql of attacks) {
      await rejects(db.exec(sql), is("SQL_NOT_ALLOWED"), sql);
      await rejects(db.transaction([exec("INSERT INTO t (a) VALUES (9)"), exec(sql)]), is("SQL_NOT_ALLOWED"), sql);
    }
    for (const name of ["_orama_idempotency", "_Orama_migrations", "_orama_"]) {
      await rejects(db.database.dropTable(NAMESPACE, name, REQUEST), is("SQL_NOT_ALLOWED"));
      await rejects(db.database.select(NAMESPACE, { table: name }, REQUEST), is("SQL_NOT_ALLOWED"));
      await rejects(
        db.database.select(NAMESPACE, { table: "t", joins: [{ table: name, on: "1" }] }, REQUEST),
        is("SQL_NOT_ALLOWED"),
      );
    }
    deepEqual(await db.rows("SELECT * FROM t"), [[1, 1]]);
  },

  "nothing of the client's can take a name of the gateway's": async ({ db }) => {
    await prepare(db);
    for (const name of ["_orama_mine", '"_orama_mine"', "'_orama_mine'", "_ORAMA_MINE"]) {
      for (
        const sql of [
          `CREATE TABLE ${name} (a)`,
          `ALTER TABLE t RENAME TO ${name}`,
          `ALTER TABLE t RENAME COLUMN a TO ${name}`,
          `CREATE VIEW ${name} AS SELECT 1`,
          `CREATE INDEX ${name} ON t (a)`,
          `CREATE TRIGGER ${name} AFTER INSERT ON t BEGIN SELECT 1; END`,
        ]
      ) await rejects(db.exec(sql), is("SQL_NOT_ALLOWED"), sql);
    }
  },

  "the schema leaves them out; sqlite_schema names them, for their rows are not in it": async ({ db }) => {
    await prepare(db);
    deepEqual((await db.database.schema(NAMESPACE, REQUEST)).map(({ name }) => name), ["t"]);
    const names = new Set((await db.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")).flat());
    deepEqual(names.isSupersetOf(new Set(["_orama_idempotency", "_orama_migrations", "t"])), true);
    deepEqual([...names].filter((name) => !String(name).startsWith("_orama_")), ["t"]);
    for (
      const sql of [
        "UPDATE sqlite_schema SET sql = 'x'",
        "DELETE FROM sqlite_schema",
        "INSERT INTO sqlite_master (name) VALUES (1)",
      ]
    ) {
      // SQLite refuses it by itself, or the authorizer before it.
      await rejects(db.exec(sql), ({ code }) => code === "SQL_INVALID" || code === "SQL_NOT_ALLOWED", sql);
    }
    equal(JSON.stringify(await db.rows("SELECT * FROM sqlite_schema")).includes("secret"), false);
  },

  "what concerns all tables goes on working beside them": async ({ db }) => {
    await prepare(db);
    for (
      const sql of [
        "ANALYZE",
        "REINDEX",
        "ALTER TABLE t RENAME COLUMN a TO b",
        "ALTER TABLE t RENAME TO u",
        "ALTER TABLE u ADD COLUMN c",
        "CREATE VIEW v AS SELECT * FROM u",
        "ALTER TABLE u DROP COLUMN c",
        "DROP VIEW v",
        "DROP TABLE u",
      ]
    ) await db.exec(sql, [], { idempotencyKey: sql });
    for (const sql of ["PRAGMA table_list", "PRAGMA foreign_key_check"]) await db.transaction([query(sql)]);
    deepEqual(await db.database.schema(NAMESPACE, REQUEST), []);
  },
});
