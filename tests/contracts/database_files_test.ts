import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { namespaceFile } from "../../services/database/sqlite/namespace_file.ts";
import type { FileFormat } from "../../src/contracts/database_files.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { is, NAMESPACE, REQUEST } from "./sql_databases.ts";
import { onSqlite, onWholeDatabases, type Whole, withBothDrivers } from "./whole_databases.ts";

const encoder = new TextEncoder();
/** Who restores. */
const ACTOR = { subject: "0xa" };

async function backup({ files }: Whole, format: FileFormat): Promise<Uint8Array<ArrayBuffer>> {
  const { bytes, chunks } = await files.backup(NAMESPACE, format, REQUEST);
  const all = new Uint8Array(await new Blob(await Array.fromAsync(chunks)).arrayBuffer());
  if (bytes !== undefined) equal(all.length, bytes);
  return all;
}

const textOf = async (whole: Whole) => new TextDecoder().decode(await backup(whole, "sql"));

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield await Promise.resolve(bytes.subarray(at, at + 65_536));
}

const restore = ({ files }: Whole, format: FileFormat, bytes: Uint8Array | string) =>
  files.restore(NAMESPACE, format, pieces(typeof bytes === "string" ? encoder.encode(bytes) : bytes), ACTOR, REQUEST);

/** A file made by statements, with rights that no client has. */
async function fileOf({ folder }: Whole, sql: string, finish = "PRAGMA journal_mode = DELETE"): Promise<Uint8Array> {
  const path = `${folder}/${crypto.randomUUID()}.sqlite`;
  const options = { defensive: false, enableDoubleQuotedStringLiterals: true };
  const db = new DatabaseSync(path, options);
  db.exec(sql);
  db.exec(finish);
  db.close();
  return await Deno.readFile(path);
}

/** Makes a table of every kind that both drivers have. */
const fill = async ({ db }: Whole) => {
  await db.execAll(
    "CREATE TABLE plain (a, b TEXT, c REAL, d BLOB)",
    "CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
    "CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
    "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE child (p REFERENCES parent (id))",
    "CREATE VIRTUAL TABLE words USING fts5 (title, body)",
    "CREATE INDEX i ON plain (b)",
    "CREATE VIEW both AS SELECT a, v FROM plain, auto",
    "CREATE TRIGGER t AFTER INSERT ON plain BEGIN INSERT INTO auto (v) VALUES (new.a || ';'); END",
    "INSERT INTO keyed VALUES ('x', 1)",
    "INSERT INTO parent VALUES (1)",
    "INSERT INTO child VALUES (1)",
    "INSERT INTO words VALUES ('hello', 'it''s a world; of text')",
    "INSERT INTO plain (a) VALUES (char(0)), ('a' || char(0) || 'b'), (CAST(x'ff' AS TEXT)), (9e999)",
  );
  const values = ["it's", "é😀\n", 0.1, { real: 1 }, 2n ** 63n - 1n, new Uint8Array([0, 255]), null, "_orama_x"];
  for (const value of values) await db.exec("INSERT INTO plain VALUES (?, 'b', 1, x'00')", [value]);
};

onWholeDatabases({
  "a database comes back as a file or as text, to the bit": async (whole) => {
    await fill(whole);
    const text = await textOf(whole);
    const file = await backup(whole, "sqlite");
    for (const [format, bytes] of [["sqlite", file], ["sql", encoder.encode(text)]] as const) {
      await whole.db.execAll("DROP TABLE words", "DELETE FROM plain", "CREATE TABLE other (a)");
      const { tables, bytes: size } = await restore(whole, format, bytes);
      equal(tables, 6);
      ok(size >= 4096);
      equal(await textOf(whole), text, format);
      deepEqual(await whole.db.rows("SELECT title FROM words WHERE words MATCH 'world'"), [["hello"]]);
      await whole.db.exec("INSERT INTO plain (a) VALUES ('later')");
      deepEqual(await whole.db.rows("SELECT v FROM auto ORDER BY id DESC LIMIT 1"), [["later;"]]);
      await rejects(whole.db.exec("INSERT INTO child VALUES (99)"), is("CONSTRAINT_FAILED", "FOREIGN KEY"));
      await restore(whole, "sqlite", file);
    }
  },

  "a database that nobody has written to is an empty one": async (whole) => {
    const file = await backup(whole, "sqlite");
    equal(await textOf(whole), "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCOMMIT;\n");
    await whole.db.exec("CREATE TABLE t (a)");
    equal((await restore(whole, "sqlite", file)).tables, 0);
    await rejects(whole.db.rows("SELECT * FROM t"), is("SQL_INVALID", "no such table"));
    await whole.db.exec("CREATE TABLE t (b)");
    await whole.db.exec("INSERT INTO t (b) VALUES (1)");
  },

  "a backup is sound and of one moment, while others write": async (whole) => {
    await whole.db.execAll(
      "CREATE TABLE accounts (id INTEGER PRIMARY KEY, amount INTEGER)",
      "CREATE TABLE log (id INTEGER PRIMARY KEY, filler TEXT)",
      "INSERT INTO accounts VALUES (1, 1000), (2, 0)",
      "INSERT INTO log (filler) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) SELECT hex(zeroblob(400)) FROM n",
    );
    let over = false, moved = 0;
    const writer = awaitedLater((async () => {
      while (!over) {
        await whole.db.transaction([
          { kind: "exec", sql: "UPDATE accounts SET amount = amount - 1 WHERE id = 1", args: [] },
          { kind: "exec", sql: "INSERT INTO log (filler) VALUES ('moved')", args: [] },
          { kind: "exec", sql: "UPDATE accounts SET amount = amount + 1 WHERE id = 2", args: [] },
        ]);
        moved++;
      }
    })());
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) {
      const before = moved;
      const path = `${whole.folder}/copy-${i}.sqlite`;
      await Deno.writeFile(path, await backup(whole, "sqlite"));
      const copy = new DatabaseSync(path, { readOnly: true });
      equal(copy.prepare("PRAGMA integrity_check").get()!["integrity_check"], "ok");
      const { sum, second } = copy.prepare(
        "SELECT sum(amount) AS sum, max(amount) FILTER (WHERE id = 2) AS second FROM accounts",
      )
        .get() as { sum: number; second: number };
      const { lines } = copy.prepare("SELECT count(*) AS lines FROM log WHERE filler = 'moved'").get() as {
        lines: number;
      };
      copy.close();
      equal(sum, 1000);
      equal(lines, second);
      ok(second >= before && second <= moved + 1, `${before} ≤ ${second} ≤ ${moved}`);
      seen.push(second);
    }
    over = true;
    await writer;
    ok(moved > 3, String(moved));
  },

  "what is no database is refused, with the reason, and changes nothing": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    const good = await backup(whole, "sqlite");
    const changed = (change: (bytes: Uint8Array) => void) => {
      const copy = good.slice();
      change(copy);
      return copy;
    };
    const refused: [string, FileFormat, Uint8Array | string, RegExp][] = [
      ["nothing", "sqlite", new Uint8Array(), /empty/],
      ["a text", "sqlite", "CREATE TABLE t (a)", /no SQLite file/],
      ["chance", "sqlite", crypto.getRandomValues(new Uint8Array(10_000)), /no SQLite file, or an encrypted one/],
      ["a beginning", "sqlite", good.subarray(0, 50), /ends within its header/],
      ["half of it", "sqlite", good.subarray(0, 5_000), /shorter than it says/],
      ["a page too few", "sqlite", good.subarray(0, good.length - 4096), /shorter than it says/],
      ["WAL mode", "sqlite", changed((bytes) => bytes.fill(2, 18, 20)), /WAL mode/],
      ["a later format", "sqlite", changed((bytes) => bytes.fill(9, 18, 20)), /does not know/],
      ["another page size", "sqlite", changed((bytes) => bytes.set([0, 7], 16)), /page size/],
      ["UTF-16", "sqlite", await fileOf(whole, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a)"), /UTF-16/],
      ["a damaged schema", "sqlite", changed((bytes) => bytes.fill(0xff, 100, 2_000)), /damaged/],
      [
        "a damaged table",
        "sqlite",
        changed((bytes) => bytes.fill(0xff, bytes.length - 4096, bytes.length - 2048)),
        /damaged/,
      ],
      ["no SQL", "sql", "hello", /syntax error/],
      ["nothing as SQL", "sql", "", /no statement/],
      ["no text", "sql", new Uint8Array([0xff, 0xfe, 0x00]), /UTF-8/],
      ["half a statement", "sql", "CREATE TABLE t (a); INSERT INTO t VALUES ('x", /statement 2/],
      [
        "a row twice",
        "sql",
        "CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)",
        /statement 3.*UNIQUE/,
      ],
    ];
    for (const [what, format, bytes, sentence] of refused) {
      await rejects(restore(whole, format, bytes), (error) => {
        ok(error instanceof GatewayError, `${what}: ${error}`);
        ok(error.status === 400 || error.status === 409, `${what}: ${error.code}`);
        ok(sentence.test(error.message), `${what}: ${error.message}`);
        ok(!error.message.includes(whole.folder), error.message);
        return true;
      });
      deepEqual(await whole.db.rows("SELECT a FROM t"), [[1]], what);
    }
  },

  "a file may hold nothing that statements could not have made": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    const schema = (set: string) =>
      `CREATE TABLE x (a); PRAGMA writable_schema = ON; UPDATE sqlite_schema SET ${set}; PRAGMA writable_schema = OFF`;
    const refused: [string, RegExp][] = [
      [
        "CREATE TABLE x (a); CREATE TRIGGER r AFTER INSERT ON x BEGIN DELETE FROM _orama_changes; END",
        /trigger "r": names that begin/,
      ],
      ["CREATE VIEW v AS SELECT load_extension('x')", /view "v": the function load_extension/],
      ["CREATE VIEW v AS SELECT * FROM pragma_database_list", /pragma_database_list/],
      [schema("sql = 'CREATE TABLE y (a)'"), /damaged|not what its definition says/],
      [schema("sql = 'CREATE TABLE x (a); DROP TABLE y'"), /damaged|only one statement/],
      [schema("sql = 'CREATE TABLE x (a CHECK (a <> ''_orama_x''))'"), /names that begin/],
      [schema("type = 'view', sql = 'CREATE TABLE x (a)'"), /damaged|not what/],
      [schema("name = 'sqlite_evil', tbl_name = 'sqlite_evil', sql = 'CREATE TABLE sqlite_evil (a)'"), /sqlite_evil/],
    ];
    for (const [sql, sentence] of refused) {
      await rejects(restore(whole, "sqlite", await fileOf(whole, sql)), (error) => {
        ok(error instanceof GatewayError && error.status === 400, `${sql}: ${error}`);
        ok(sentence.test(error.message), `${sql}: ${error.message}`);
        return true;
      });
      deepEqual(await whole.db.rows("SELECT a FROM t"), [[1]]);
    }
  },

  "the gateway's own tables are neither given nor taken": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a)");
    await whole.db.database.execute(NAMESPACE, { sql: "INSERT INTO t VALUES (1)", args: [] }, REQUEST, {
      idempotencyKey: "k-1",
    });
    const file = await backup(whole, "sqlite");
    ok(!new TextDecoder("latin1").decode(file).includes("_orama_"), "nor a trace of them");
    const planted = await fileOf(
      whole,
      `CREATE TABLE t (a); INSERT INTO t VALUES (7);
       CREATE TABLE _orama_idempotency (key, fingerprint); CREATE VIEW _orama_view AS SELECT 1;
       CREATE TRIGGER _orama_t AFTER INSERT ON t BEGIN DELETE FROM t; END; CREATE INDEX _orama_i ON t (a); ANALYZE`,
    );
    await restore(whole, "sqlite", planted);
    await whole.db.exec("INSERT INTO t VALUES (8)");
    deepEqual(await whole.db.rows("SELECT a FROM t"), [[7], [8]]);
    deepEqual(await whole.db.rows("SELECT name FROM sqlite_schema WHERE name GLOB '*_[vit]*'"), []);
    const once = { idempotencyKey: "k-1" };
    const again = await whole.db.database.execute(
      NAMESPACE,
      { sql: "INSERT INTO t VALUES (9)", args: [] },
      REQUEST,
      once,
    );
    equal(again.replayed, undefined, "keys begin anew with another database");
  },

  "a file carries along which migrations were applied, and takes no other table for that list": async (whole) => {
    const migrations = [{ version: 1, name: "t", statements: "CREATE TABLE t (a)" }];
    await whole.db.database.migrate(NAMESPACE, migrations, REQUEST);
    const file = await backup(whole, "sqlite");
    await restore(whole, "sql", "CREATE TABLE other (a)");
    deepEqual(await whole.db.database.migrations(NAMESPACE, REQUEST), []);
    await restore(whole, "sqlite", file);
    deepEqual((await whole.db.database.migrations(NAMESPACE, REQUEST)).map(({ version, name }) => [version, name]), [[
      1,
      "t",
    ]]);
    const report = await whole.db.database.migrate(NAMESPACE, migrations, REQUEST);
    deepEqual(report.migrations.map(({ state }) => state), ["applied"]);
    for (
      const planted of [
        "CREATE TABLE _orama_migrations (version, name, checksum, applied_at, duration)",
        "CREATE VIEW _orama_migrations AS SELECT 1 AS version",
      ]
    ) {
      await restore(whole, "sqlite", await fileOf(whole, `CREATE TABLE t (a); ${planted}`));
      deepEqual(await whole.db.database.migrations(NAMESPACE, REQUEST), []);
    }
  },

  "no more is taken than the namespace may hold": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    const big = await fileOf(whole, "CREATE TABLE big (a); INSERT INTO big VALUES (hex(zeroblob(500000)))");
    whole.rules = { ...whole.rules, maxDatabaseBytes: 100_000 };
    await rejects(restore(whole, "sqlite", big), is("QUOTA_EXCEEDED"));
    const rows = Array.from({ length: 100 }, () => `INSERT INTO big VALUES ('${"x".repeat(10_000)}');`).join("\n");
    await rejects(restore(whole, "sql", `CREATE TABLE big (a);\n${rows}`), is("QUOTA_EXCEEDED"));
    deepEqual(await whole.db.rows("SELECT a FROM t"), [[1]]);
    whole.rules = { ...whole.rules, maxDatabaseBytes: 2_000_000 };
    equal((await restore(whole, "sqlite", big)).tables, 1);
  },

  "a body that breaks off changes nothing and leaves nothing behind": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)");
    const body = (async function* () {
      yield await Promise.resolve(new Uint8Array(10_000));
      throw new GatewayError("INVALID_REQUEST", "the body ended before it was complete");
    })();
    await rejects(
      whole.files.restore(NAMESPACE, "sqlite", body, ACTOR, REQUEST),
      is("INVALID_REQUEST", "ended before"),
    );
    deepEqual(await whole.db.rows("SELECT a FROM t"), [[1]]);
    deepEqual([...Deno.readDirSync(`${whole.folder}/copies`)], []);
  },

  "a namespace has one copy under way at a time; one that is left takes its folder with it": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (hex(zeroblob(2000000)))");
    const copy = await whole.files.backup(NAMESPACE, "sql", REQUEST);
    await rejects(whole.files.backup(NAMESPACE, "sqlite", REQUEST), is("TOO_MANY_STATEMENTS", "under way"));
    await rejects(restore(whole, "sql", "CREATE TABLE x (a)"), is("TOO_MANY_STATEMENTS"));
    const iterator = copy.chunks[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
    deepEqual([...Deno.readDirSync(`${whole.folder}/copies`)], []);
    await restore(whole, "sql", "CREATE TABLE x (a)");
  },

  "statements that run while a database is restored see the old one or the new one": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES ('old')");
    const file = await fileOf(whole, "CREATE TABLE t (a); INSERT INTO t VALUES ('new')");
    const seen = new Set<unknown>();
    let over = false;
    const readers = awaitedLater(Array.from({ length: 4 }, async () => {
      while (!over) {
        try {
          const rows = await whole.db.rows("SELECT a FROM t");
          seen.add(JSON.stringify(rows));
        } catch (error) {
          ok(error instanceof GatewayError && error.code === "UNAVAILABLE", String(error));
        }
      }
    }));
    await restore(whole, "sqlite", file);
    deepEqual(await whole.db.rows("SELECT a FROM t"), [["new"]]);
    over = true;
    await Promise.all(readers);
    ok([...seen].every((rows) => rows === '[["old"]]' || rows === '[["new"]]'), [...seen].join());
  },
});

onSqlite("a database that cannot be opened any more is replaced", async (whole) => {
  await whole.db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES ('good')");
  const good = await backup(whole, "sqlite");
  await restore(whole, "sql", "CREATE TABLE t (a)");
  const [name] = [...Deno.readDirSync(`${whole.folder}/namespaces`)].map(({ name }) => name)
    .filter((name) => name.endsWith(".sqlite"));
  const path = `${whole.folder}/namespaces/${name}`;
  await Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(20_000)));
  await Deno.writeFile(`${path}-wal`, crypto.getRandomValues(new Uint8Array(20_000)));
  await rejects(whole.db.rows("SELECT a FROM t"), is("UNAVAILABLE"));
  await restore(whole, "sqlite", good);
  deepEqual(await whole.db.rows("SELECT a FROM t"), [["good"]]);
});

onSqlite("a database made of text gives free space back; a file goes on as it was made", async (whole) => {
  const path = `${whole.folder}/namespaces/${namespaceFile(NAMESPACE)}`;
  const mode = async () => {
    await whole.db.exec("INSERT INTO t VALUES (1)");
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      return db.prepare("PRAGMA auto_vacuum").get()?.["auto_vacuum"];
    } finally {
      db.close();
    }
  };
  const [none, incremental] = [0, 2];
  await restore(whole, "sqlite", await fileOf(whole, "CREATE TABLE t (a)"));
  equal(await mode(), none);
  await restore(whole, "sql", await textOf(whole));
  equal(await mode(), incremental);
  await restore(whole, "sqlite", await backup(whole, "sqlite"));
  equal(await mode(), incremental);
});

withBothDrivers("a backup of either driver is restored into the other", async (sqlite, rqlite) => {
  await fill(sqlite);
  const text = await textOf(sqlite);
  await restore(rqlite, "sqlite", await backup(sqlite, "sqlite"));
  equal(await textOf(rqlite), text);
  await sqlite.db.exec("DROP TABLE plain");
  await restore(sqlite, "sqlite", await backup(rqlite, "sqlite"));
  equal(await textOf(sqlite), text);
  await rqlite.db.exec("DROP TABLE plain");
  await restore(rqlite, "sql", text);
  equal(await textOf(rqlite), text);
});
