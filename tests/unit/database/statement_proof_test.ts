import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { openSqlite, type SqliteDatabase } from "../../../services/database/sqlite/node_sqlite.ts";
import { isShort } from "../../../services/database/gate/statement_proof.ts";
import { randomNumbers } from "./random.ts";

const SCHEMA = `
  PRAGMA foreign_keys = ON;
  CREATE TABLE person (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, age INT CHECK (age >= 0), name TEXT, doc JSON);
  CREATE INDEX person_age ON person (age);
  CREATE INDEX person_upper ON person (upper(name));
  CREATE TABLE note (id INTEGER PRIMARY KEY AUTOINCREMENT, person_id INT REFERENCES person (id), text TEXT,
    made DATETIME DEFAULT CURRENT_TIMESTAMP);
  CREATE TABLE pair (a INT, b TEXT, v, PRIMARY KEY (a, b)) WITHOUT ROWID;
  CREATE TABLE log (x);
  CREATE TABLE logged (id INTEGER PRIMARY KEY, x);
  CREATE TRIGGER logs AFTER INSERT ON logged BEGIN INSERT INTO log VALUES (new.x); END;
  CREATE TABLE heavy (id INTEGER PRIMARY KEY, x);
  CREATE TRIGGER counts AFTER INSERT ON heavy BEGIN UPDATE log SET x = x + 1; END;
  CREATE TABLE chain (id INTEGER PRIMARY KEY, before INT UNIQUE REFERENCES chain (id) ON DELETE CASCADE);
  CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INT REFERENCES tree (id) ON DELETE CASCADE);
  CREATE TABLE only (id INTEGER PRIMARY KEY, owner INT UNIQUE REFERENCES logged (id) ON DELETE SET NULL);
  CREATE TABLE checked (id INTEGER PRIMARY KEY, x TEXT CHECK (x LIKE '%a%b%c%'));
  CREATE VIEW adults AS SELECT id, name FROM person WHERE age >= 18;
  CREATE VIEW loud AS SELECT id, upper(name) AS name FROM person;
`;

const SHORT = [
  "SELECT 1",
  "SELECT ? + 1, date('now'), coalesce(?, 'x')",
  "SELECT * FROM person WHERE id = ?",
  "SELECT name, age + 1, upper(name) FROM person WHERE id = ? AND age > 3",
  "select p.name || ' <' || p.mail || '>' from person as p where p.mail = ?",
  "SELECT doc ->> '$.a', json_extract(doc, '$.b') FROM person WHERE id = ?",
  "SELECT * FROM pair WHERE a = ? AND b = ?",
  "SELECT * FROM person WHERE rowid = ? LIMIT 1",
  "SELECT count(*), max(age) FROM person WHERE id = ?",
  "SELECT max(id) FROM person",
  "SELECT EXISTS (SELECT 1 FROM person WHERE mail = ?)",
  "SELECT n.text, p.name FROM note n JOIN person p ON p.id = n.person_id WHERE n.id = ?",
  "SELECT name FROM adults WHERE id = ?",
  "SELECT name FROM loud WHERE id = ?",
  "WITH one AS (SELECT * FROM person WHERE id = ?) SELECT name FROM one",
  "INSERT INTO log VALUES (?)",
  "INSERT INTO log DEFAULT VALUES",
  "INSERT INTO person (mail, age, name) VALUES (?, ?, ?)",
  "INSERT OR IGNORE INTO person (id, mail) VALUES (?, ?)",
  "INSERT OR REPLACE INTO pair VALUES (?, ?, ?)",
  "INSERT INTO person (mail) VALUES (?) ON CONFLICT DO NOTHING",
  "INSERT INTO person (id, mail) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET mail = excluded.mail",
  "INSERT INTO note (person_id, text) VALUES (?, ?)",
  "INSERT INTO note (text) VALUES (?), (?), (?)",
  `INSERT INTO log VALUES ${Array(100).fill("(?)").join(", ")}`,
  "INSERT INTO log SELECT name FROM person WHERE id = ?",
  "UPDATE person SET name = ?, age = age + 1 WHERE id = ?",
  "UPDATE person SET mail = ? WHERE mail = ?",
  "UPDATE pair SET v = ? WHERE a = ? AND b = ?",
  "DELETE FROM log WHERE rowid = ?",
  "DELETE FROM pair WHERE a = ? AND b = ?",
  "DELETE FROM logged WHERE id = ?",
  "UPDATE sqlite_sequence SET seq = 0 WHERE rowid = 1",
];

const LONG = [
  "SELECT * FROM person",
  "SELECT * FROM person LIMIT 1",
  "SELECT * FROM person WHERE age = ?",
  "SELECT * FROM person WHERE id > ?",
  "SELECT * FROM person WHERE id IN (SELECT age FROM person)",
  "SELECT * FROM person WHERE name = ? ORDER BY age LIMIT 1",
  "SELECT * FROM person ORDER BY name LIMIT 1",
  "SELECT count(*) FROM person",
  "SELECT min(name) FROM person",
  "SELECT * FROM pair WHERE a = ?",
  "SELECT * FROM pair WHERE b = ?",
  "SELECT EXISTS (SELECT 1 FROM person WHERE name = ?)",
  "SELECT p.name FROM person p JOIN note n ON p.id = n.person_id WHERE p.id = ?",
  "SELECT * FROM person WHERE id = ? UNION ALL SELECT * FROM person",
  "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
  "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 9) SELECT max(x) FROM c",
  "SELECT * FROM adults",
  "SELECT * FROM (VALUES (1), (2)) a, (VALUES (1), (2)) b",
  "SELECT row_number() OVER (ORDER BY name) FROM person",
  "SELECT * FROM sqlite_sequence",
  "SELECT * FROM person WHERE id = ? AND name LIKE ?",
  "SELECT name GLOB ? FROM person WHERE id = ?",
  "SELECT randomblob(1000000000)",
  "SELECT zeroblob(1000000000)",
  "SELECT printf('%1000000000d', 1)",
  "SELECT format('%s', name) FROM person WHERE id = ?",
  "SELECT replace(?, ?, ?)",
  "SELECT instr(?, ?)",
  "SELECT trim(?, ?)",
  "SELECT group_concat(name) FROM person WHERE id = ?",
  `SELECT ${Array(12).fill("?").join(" || ")}`,
  "SELECT hex(hex(hex(hex(hex(hex(hex(hex(hex(?)))))))))",
  "SELECT * FROM json_each(?)",
  "SELECT * FROM pragma_table_info('person')",
  "SELECT * FROM dbstat",
  "INSERT INTO log SELECT name FROM person",
  `INSERT INTO log VALUES ${Array(101).fill("(?)").join(", ")}`,
  "INSERT INTO log VALUES (?) RETURNING x",
  "INSERT INTO log VALUES ((SELECT count(*) FROM person))",
  "INSERT INTO heavy (x) VALUES (?)",
  "INSERT INTO logged (x) VALUES (?), (?)",
  "INSERT INTO checked (x) VALUES (?)",
  "UPDATE person SET age = age + 1",
  "UPDATE person SET age = 1 WHERE age = ?",
  "UPDATE person SET name = (SELECT max(name) FROM person) WHERE id = ?",
  "DELETE FROM log",
  "DELETE FROM log WHERE x = ?",
  "DELETE FROM person WHERE id = ?",
  "DELETE FROM chain WHERE id = ?",
  "DELETE FROM tree WHERE id = ?",
  "CREATE TABLE u (x)",
  "CREATE TABLE u AS SELECT * FROM person",
  "DROP TABLE log",
  "CREATE INDEX i ON log (x)",
  "REINDEX",
  "ANALYZE",
  "PRAGMA integrity_check",
  "PRAGMA table_info(person)",
  "EXPLAIN SELECT 1",
  "VACUUM",
  "BEGIN",
];

function database(rows = 0): SqliteDatabase {
  const db = openSqlite(":memory:", {
    timeout: 0,
    limits: { attach: 0, length: 1_000_000_000, sqlLength: 1_000_000, triggerDepth: 100 },
  });
  db.exec(SCHEMA);
  const series = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${rows})`;
  if (rows > 0) {
    db.exec(`${series} INSERT INTO person SELECT i, 'm' || i, i % 90, 'name' || i, '{"a":1,"b":2}' FROM n`);
    db.exec(`${series} INSERT INTO note (person_id, text) SELECT i, 'text' FROM n`);
    db.exec(`${series} INSERT INTO pair SELECT 1, 'b' || i, i FROM n`);
    db.exec(`${series} INSERT INTO log SELECT i FROM n`);
    db.exec(`${series} INSERT INTO logged SELECT i, i FROM n`);
    db.exec(`${series} INSERT INTO only SELECT i, i FROM n`);
  }
  return db;
}

Deno.test("isShort() proves what finds its rows by a key", () => {
  const db = database();
  deepEqual(SHORT.filter((sql) => !isShort(db, sql)), []);
  db.close();
});

Deno.test("isShort() does not prove what goes through a table, runs triggers that do, or calls what may take long", () => {
  const db = database();
  deepEqual(LONG.filter((sql) => isShort(db, sql)), []);
  db.close();
});

Deno.test("isShort() runs nothing", () => {
  const db = database(10);
  for (const sql of [...SHORT, ...LONG]) isShort(db, sql);
  equal(db.prepare("SELECT count(*) AS n FROM log").get()?.["n"], 20);
  equal(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name IN ('u', 'i')").get()?.["n"], 0);
  db.close();
});

Deno.test("isShort() gives SQLite's words for what cannot be compiled", () => {
  const db = database();
  throws(() => isShort(db, "SELECT * FROM missing"), /no such table: missing/);
  throws(() => isShort(db, "SELECT FROM"), /syntax error/);
  db.close();
});

Deno.test("isShort() does not take a loop over another table for the search of sqlite_sequence", () => {
  const db = database();
  db.exec("CREATE TABLE like_it (name, seq)");
  for (const table of ["like_it", "sqlite_sequence"]) {
    equal(isShort(db, `SELECT rowid, seq FROM ${table} WHERE name = ?`), false);
    equal(isShort(db, `UPDATE ${table} SET seq = 0 WHERE name = ?`), false);
  }
  db.close();
});

/** Milliseconds of the quickest of some runs, each undone. */
function quickest(db: SqliteDatabase, sql: string, random: (n: number) => number, rows: number): number {
  const statement = db.prepare(sql);
  const places = sql.match(/\?/g)?.length ?? 0;
  let best = Infinity;
  for (let run = 0; run < 7; run++) {
    const args = Array.from({ length: places }, () => random(2) ? random(rows) + 1 : `m${random(rows) + 1}`);
    db.exec("SAVEPOINT one");
    const start = performance.now();
    try {
      statement.all(...args);
    } catch (error) {
      // A key that is there already, an age that is no number: those runs count like the others.
      ok(/constraint failed|datatype mismatch|malformed JSON/.test(String(error)), String(error));
    }
    best = Math.min(best, performance.now() - start);
    db.exec("ROLLBACK TO one; RELEASE one");
  }
  return best;
}

Deno.test("what isShort() proves takes no longer on a hundred thousand rows than on ten, and a scan does", () => {
  const small = database(10), large = database(100_000), random = randomNumbers(11);
  const scan = quickest(large, "SELECT * FROM person WHERE name = 'x'", random, 1);
  const slow = SHORT.filter((sql) => {
    const allowed = Math.max(scan / 10, 20 * quickest(small, sql, random, 10));
    return quickest(large, sql, random, 100_000) > allowed;
  });
  deepEqual(slow, []);
  small.close();
  large.close();
});

/** A statement of random parts: keys and other columns, joins, functions, lists of values. */
function randomStatement(random: (n: number) => number): string {
  const pick = (...from: string[]) => from[random(from.length)]!;
  const column = () => pick("id", "mail", "age", "name", "doc");
  const value = () =>
    pick("?", "?", "7", "'m7'", `abs(${column()})`, `length(${column()})`, "(SELECT max(id) FROM note)", "random()");
  const condition = () => `${column()} ${pick("=", "=", "=", ">", "IS", "<>")} ${value()}`;
  const where = () =>
    pick("", ...Array<string>(5).fill(` WHERE ${condition()}${pick("", ` AND ${condition()}`, ` OR ${condition()}`)}`));
  switch (random(5)) {
    case 0:
      return `SELECT ${pick("*", "count(*)", "max(age)", "DISTINCT name", "name")} FROM person${where()}${
        pick("", " ORDER BY name", " ORDER BY id DESC LIMIT 1", " LIMIT 1")
      }`;
    case 1:
      return `SELECT p.name, n.text FROM person p ${pick("JOIN", "LEFT JOIN")} note n ON ${
        pick("n.id = p.id", "n.person_id = p.id", "p.id = n.person_id AND n.id = 3")
      } WHERE p.${condition()}`;
    case 2:
      return `UPDATE person SET ${pick("name", "age", "mail")} = ${
        pick("?", "age + 1", "(SELECT count(*) FROM log)")
      }${where()}`;
    case 3: {
      const key = pick("id = ?", "id > ?", "id = ? OR id = 3", "id = ? AND x = ?", "x = ?");
      return `DELETE FROM logged${pick("", ` WHERE ${key}`, ` WHERE ${key}`)}`;
    }
    default:
      return `INSERT INTO ${pick("log", "logged (x)", "note (text)")} ${
        pick("VALUES (?)", "VALUES (?), (?)", "SELECT name FROM person" + where())
      }`;
  }
}

Deno.test("no random statement that isShort() proves takes longer on a hundred thousand rows than on ten", () => {
  const small = database(10), large = database(100_000), random = randomNumbers(12);
  const scan = quickest(large, "SELECT * FROM person WHERE name = 'x'", random, 1);
  const slow: string[] = [];
  let short = 0, long = 0;
  for (let n = 0; n < 2_000; n++) {
    const sql = randomStatement(random);
    let proven: boolean;
    try {
      proven = isShort(small, sql);
    } catch {
      continue; // not everything that is put together makes sense
    }
    if (!proven) long++;
    else if (short++ < 400) {
      const allowed = Math.max(scan / 10, 20 * quickest(small, sql, random, 10));
      if (quickest(large, sql, random, 100_000) > allowed) slow.push(sql);
    }
  }
  deepEqual(slow, []);
  ok(short > 200 && long > 200, `${short} short and ${long} long ones say little`);
  small.close();
  large.close();
});
