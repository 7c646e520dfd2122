import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { SqlDatabase } from "../../../services/database/database.ts";
import { namespaceFile } from "../../../services/database/sqlite/namespace_file.ts";
import { SqliteDriver, type SqliteDriverOptions } from "../../../services/database/sqlite/driver.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";

const request = { requestId: "test", signal: new AbortController().signal, clientAddress: "" };
const is = (code: ErrorCode) => (error: unknown) => error instanceof GatewayError && error.code === code;

interface Place {
  readonly dir: string;
  readonly db: SqlDatabase;
  /** Closes it and opens the same folder again. */
  readonly reopen: () => Promise<void>;
  readonly exec: (namespace: string, sql: string, ...args: SqlArgument[]) => Promise<unknown>;
  readonly rows: (namespace: string, sql: string) => Promise<readonly (readonly unknown[])[]>;
}

async function inFolder(
  run: (place: Place) => Promise<void>,
  options: Partial<SqliteDriverOptions> = {},
): Promise<void> {
  const dir = `${await Deno.makeTempDir()}/namespaces`;
  const open = () => new SqlDatabase(new SqliteDriver({ dir, hosts: { spares: 0 }, ...options }));
  let db = open();
  try {
    await run({
      dir,
      get db() {
        return db;
      },
      async reopen() {
        await db.close();
        db = open();
      },
      exec: (namespace, sql, ...args) => db.execute(namespace, { sql, args }, request),
      rows: async (namespace, sql) => (await db.query(namespace, { sql, args: [] }, request)).rows,
    });
  } finally {
    await db.close();
    await Deno.remove(dir.replace(/\/namespaces$/, ""), { recursive: true });
  }
}

Deno.test("namespaceFile() gives different names different files, on every file system", () => {
  const names = [
    "shop",
    "Shop",
    "SHOP",
    "sHop",
    "s%68op",
    "%73hop",
    "shop.",
    "../shop",
    "a/b",
    "a\\b",
    "",
    "con",
    "é",
    "e\u0301",
  ];
  names.push("x".repeat(64), "X".repeat(64), "x".repeat(300), `${"x".repeat(299)}y`, "ns-shop", "long-shop");
  const files = names.map(namespaceFile);
  equal(new Set(files.map((file) => file.toLowerCase())).size, names.length);
  for (const file of files) ok(/^(ns|long)-[a-z0-9_%-]*\.sqlite$/.test(file) && file.length < 240, file);
  equal(namespaceFile("shop-1_a"), "ns-shop-1_a.sqlite");
});

Deno.test("namespaces do not see each other, also when their names differ in case alone", () =>
  inFolder(async ({ exec, rows, db }) => {
    await exec("shop", "CREATE TABLE t (a)");
    await exec("Shop", "CREATE TABLE t (a)");
    await exec("shop", "INSERT INTO t VALUES (1)");
    deepEqual([await rows("shop", "SELECT a FROM t"), await rows("Shop", "SELECT a FROM t")], [[[1]], []]);
    await db.purge("shop", request.signal);
    deepEqual(await db.schema("shop", request), []);
    equal((await db.schema("Shop", request)).length, 1);
  }));

Deno.test("more namespaces than may be open work, and only so many stay open", () =>
  inFolder(async ({ exec, rows, db }) => {
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
    for (const name of names) await exec(name, "CREATE TABLE t AS SELECT ? AS a", name);
    for (const name of names) deepEqual(await rows(name, "SELECT a FROM t"), [[name]]);
    const { details } = await db.health(request.signal);
    ok(Number(details?.["hosts_running"]) <= 3, JSON.stringify(details));
  }, { hosts: { max: 3, spares: 0 } }));

Deno.test("purge() removes the files", () =>
  inFolder(async ({ exec, db, dir }) => {
    await exec("shop", "CREATE TABLE t (a)");
    await exec("other", "CREATE TABLE t (a)");
    await db.purge("shop", request.signal);
    await db.purge("never-was", request.signal);
    deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name).filter((name) => !/^ns-other\.sqlite/.test(name)), []);
    deepEqual(await db.usage("shop", request.signal), { database_bytes: 0 });
  }));

Deno.test("a file that is no database is UNAVAILABLE for its namespace alone, with the path and advice for the log", () =>
  inFolder(async ({ exec, rows, dir }) => {
    const file = `${dir}/${namespaceFile("shop")}`;
    await Deno.writeTextFile(file, "garbage ".repeat(1000));
    await exec("other", "CREATE TABLE t (a)");
    for (let tries = 0; tries < 2; tries++) {
      await rejects(rows("shop", "SELECT 1"), (error) => {
        ok(is("UNAVAILABLE")(error));
        const { message, cause } = error as GatewayError;
        ok(!message.includes(dir), message);
        ok(cause instanceof Error && cause.message.includes(file) && cause.message.includes("backup"), String(cause));
        return true;
      });
    }
    deepEqual(await rows("other", "SELECT a FROM t"), []);
    await Deno.remove(file);
    deepEqual(await rows("shop", "SELECT 1"), [[1]]);
  }));

Deno.test("a page of garbage in an open database is UNAVAILABLE until the file is put right", () =>
  inFolder(async ({ exec, rows, dir, reopen }) => {
    await exec("shop", "CREATE TABLE t (a)");
    await exec(
      "shop",
      "INSERT INTO t WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < 5000) SELECT hex(zeroblob(100)) FROM c",
    );
    await reopen();
    const file = `${dir}/${namespaceFile("shop")}`;
    const good = await Deno.readFile(file);
    const bad = good.slice();
    bad.fill(0xab, 4096 * 3, 4096 * 40);
    await Deno.writeFile(file, bad);
    await rejects(rows("shop", "SELECT sum(length(a)) FROM t"), is("UNAVAILABLE"));
    await Deno.writeFile(file, good);
    deepEqual(await rows("shop", "SELECT count(*) FROM t"), [[5000]]);
  }));

Deno.test("a file that another process holds is UNAVAILABLE after the wait, and nothing is applied", () =>
  inFolder(async ({ exec, rows, dir }) => {
    await exec("shop", "CREATE TABLE t (a)");
    const { DatabaseSync } = await import("node:sqlite");
    const other = new DatabaseSync(`${dir}/${namespaceFile("shop")}`);
    other.exec("BEGIN IMMEDIATE");
    try {
      await rejects(exec("shop", "INSERT INTO t VALUES (1)"), is("UNAVAILABLE"));
      deepEqual(await rows("shop", "SELECT * FROM t"), []);
    } finally {
      other.exec("ROLLBACK");
      other.close();
    }
    await exec("shop", "INSERT INTO t VALUES (2)");
    deepEqual(await rows("shop", "SELECT * FROM t"), [[2]]);
  }, { busyTimeout: 20 }));

Deno.test("a write whose rows cannot be presented is undone, alone and in a transaction", () =>
  inFolder(async ({ exec, rows, db }) => {
    await exec("shop", "CREATE TABLE t (a)");
    await rejects(exec("shop", "INSERT INTO t VALUES (1e999) RETURNING a"), is("SQL_INVALID"));
    const steps = [
      { kind: "exec", sql: "INSERT INTO t VALUES (1)", args: [] },
      { kind: "query", sql: "SELECT 1e999", args: [] },
    ] as const;
    await rejects(db.transaction("shop", steps, request), is("SQL_INVALID"));
    deepEqual(await rows("shop", "SELECT * FROM t"), []);
  }));

Deno.test("a table WITHOUT ROWID and a view with a trigger give no row id of something else", () =>
  inFolder(async ({ exec }) => {
    await exec("shop", "CREATE TABLE r (id INTEGER PRIMARY KEY)");
    await exec("shop", "CREATE TABLE w (id INTEGER PRIMARY KEY) WITHOUT ROWID");
    await exec("shop", "CREATE VIEW v AS SELECT * FROM r");
    await exec("shop", "CREATE TRIGGER tr INSTEAD OF INSERT ON v BEGIN SELECT 1; END");
    deepEqual(await exec("shop", "INSERT INTO r VALUES (42)"), { rowsAffected: 1, lastInsertId: 42 });
    deepEqual(await exec("shop", "INSERT INTO w VALUES (7)"), { rowsAffected: 1, lastInsertId: 0 });
    equal((await exec("shop", "INSERT INTO v VALUES (7)") as { lastInsertId: number }).lastInsertId, 0);
  }));

Deno.test("what was compiled before a rolled back definition is compiled again", () =>
  inFolder(async ({ exec, rows, db }) => {
    await exec("shop", "CREATE TABLE t (a)");
    await exec("shop", "INSERT INTO t VALUES (1)");
    const steps = [
      { kind: "exec", sql: "ALTER TABLE t ADD COLUMN b DEFAULT 2", args: [] },
      { kind: "query", sql: "SELECT * FROM t", args: [] },
      { kind: "exec", sql: "INSERT INTO nosuch VALUES (1)", args: [] },
    ] as const;
    await rejects(db.transaction("shop", steps, request), is("SQL_INVALID"));
    deepEqual(await rows("shop", "SELECT * FROM t"), [[1]]);
  }));

Deno.test("an acknowledged write is there after the database was opened anew, and space can be given back", () =>
  inFolder(async (place) => {
    await place.exec("shop", "CREATE TABLE t (a)");
    await place.exec("shop", "INSERT INTO t VALUES (?)", 2n ** 62n);
    await place.reopen();
    deepEqual(await place.rows("shop", "SELECT a FROM t"), [[2n ** 62n]]);
    deepEqual(await place.rows("shop", "SELECT page_size > 0 FROM pragma_page_size"), [[1]]);
    notEqual((await place.db.usage("shop", request.signal))["database_bytes"], 0);
  }));

Deno.test("health() is down when the folder is gone", () =>
  inFolder(async ({ db, dir }) => {
    equal((await db.health(request.signal)).status, "ok");
    await Deno.remove(dir, { recursive: true });
    equal((await db.health(request.signal)).status, "down");
    await Deno.mkdir(dir);
  }));
