import { deepEqual, equal, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { newOwner, type Owner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { RawConnection } from "../support/raw_http.ts";
import { SqlCaller } from "../support/sql.ts";
import { runProgram, TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";
import { until } from "../engines/support/wait.ts";

const suite = gatewaySuite();
const { test } = suite;
const FILE = "application/vnd.sqlite3", TEXT = "application/sql";

/** One namespace for all of them, one after the other. */
let made: Promise<Owner> | undefined;
const owner = () => made ??= newOwner(suite.gateway);
const key = async () => (await owner()).apiKey;
const sql = async () => new SqlCaller(suite.gateway, { key: await key() });

async function download(format: string, init: RequestInit = {}): Promise<Response> {
  const headers = { "x-api-key": await key() };
  return await fetch(`${suite.gateway.url}/v1/rqlite/backup?format=${format}`, { headers, ...init });
}

async function restore(type: string, raw: Uint8Array<ArrayBuffer> | string): Promise<Answer> {
  const options = { key: await key(), raw, headers: { "content-type": type } };
  return await suite.gateway.call("POST", "/v1/rqlite/restore", options);
}

/** Begins a test with an empty database and these. */
async function begin(...statements: string[]): Promise<SqlCaller> {
  (await restore(TEXT, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX i ON t (v)")).expect(200);
  const db = await sql();
  await db.run(...statements);
  return db;
}

test("a backup is a SQLite file that anybody can open, and can be put back", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'one'), (2, 'it''s')");
  const response = await download("sqlite");
  equal(response.status, 200);
  equal(response.headers.get("content-type"), FILE);
  match(response.headers.get("content-disposition")!, /^attachment; filename="[\w.-]+\.sqlite"$/);
  const bytes = await response.bytes();
  equal(Number(response.headers.get("content-length")), bytes.length);
  const path = await Deno.makeTempFile({ suffix: ".sqlite" });
  await Deno.writeFile(path, bytes);
  using copy = new DatabaseSync(path, { readOnly: true });
  deepEqual(copy.prepare("SELECT v FROM t ORDER BY id").all().map(({ v }) => v), ["one", "it's"]);
  equal(copy.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name LIKE '\\_orama%' ESCAPE '\\'").get()!["n"], 0);
  await Deno.remove(path);
  await db.run("DELETE FROM t", "CREATE TABLE later (a)");
  const restored = (await restore(FILE, bytes)).expect(200);
  deepEqual(restored.body, { status: "ok", tables: 1, bytes: bytes.length });
  deepEqual(await db.rows("SELECT v FROM t ORDER BY id"), [{ v: "one" }, { v: "it's" }]);
  equal((await db.query("SELECT * FROM later")).status, 400);
});

test("a backup as text makes the same database again", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'one'), (9007199254740993, char(0))");
  const response = await download("sql");
  equal(response.headers.get("content-type"), TEXT);
  const text = await response.text();
  match(text, /^PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t /);
  match(text, /\(9007199254740993,CAST\(x'00' AS TEXT\)\)/);
  await db.run("DROP TABLE t");
  (await restore(TEXT, text)).expect(200);
  equal(await (await download("sql")).text(), text);
});

test("HEAD tells how large a backup is", async () => {
  await begin();
  for (let i = 0; i < 3; i++) {
    const head = await download("sqlite", { method: "HEAD" });
    equal(head.status, 200);
    ok(Number(head.headers.get("content-length")) >= 4096);
  }
});

test("a backup and a restore right behind another one need not be repeated", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'one')");
  for (const [format, type] of [["sqlite", FILE], ["sql", TEXT]] as const) {
    for (let i = 0; i < 3; i++) {
      const copy = await download(format);
      equal(copy.status, 200);
      (await restore(type, await copy.bytes())).expect(200);
    }
    const left = await download(format);
    await left.body?.cancel();
    equal((await download(format, { method: "HEAD" })).status, 200);
  }
  deepEqual(await db.rows("SELECT v FROM t"), [{ v: "one" }]);
});

test("restores and migrations are in the namespace's audit log, and what was refused is not", async () => {
  await begin();
  const { namespace, accessToken: token, wallet } = await owner();
  const events = async () => {
    const answer = await suite.gateway.call("GET", `/v1/namespaces/${namespace}/audit?limit=200`, { token });
    return answer.expect(200).list("events") as Record<string, unknown>[];
  };
  const before = await events();
  (await restore(TEXT, "CREATE TABLE")).expect(400);
  const restored = (await restore(TEXT, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")).expect(200);
  const migrated = await suite.gateway.call("POST", "/v1/rqlite/migrations", {
    key: await key(),
    body: { migrations: [{ version: 1, name: "m", sql: "CREATE TABLE m (a)" }] },
  });
  const [last, first, ...others] = await events();
  deepEqual(others, before);
  const acts = [first, last].map(({ id: _id, at: _at, address: _address, ...act } = {}) => act);
  const requestIdOf = ({ headers }: Answer) => headers.get("x-request-id");
  deepEqual(acts, [{
    actor: wallet.address,
    action: "database.restored",
    resource: namespace,
    request_id: requestIdOf(restored),
    details: { format: "sql", tables: 1, bytes: restored.get("bytes") },
  }, {
    actor: wallet.address,
    action: "database.migrated",
    resource: namespace,
    request_id: requestIdOf(migrated.expect(200)),
    details: { versions: [1] },
  }]);
});

test("what is no database is refused, and what was there stays", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'kept')");
  const good = await (await download("sqlite")).bytes();
  const wal = good.slice();
  wal.set([2, 2], 18);
  const refused: [string, Uint8Array<ArrayBuffer> | string, RegExp][] = [
    [FILE, "", /empty/],
    [FILE, "hello", /no SQLite file/],
    [FILE, crypto.getRandomValues(new Uint8Array(50_000)), /no SQLite file, or an encrypted one/],
    [FILE, good.slice(0, good.length - 100), /shorter than it says/],
    [FILE, wal, /WAL mode/],
    [TEXT, "", /no statement/],
    [TEXT, "CREATE TABLE x (a); ATTACH '/etc/passwd' AS p", /statement 2.*ATTACH is not allowed/],
    [
      TEXT,
      "CREATE TABLE x (a); CREATE TRIGGER r AFTER INSERT ON x BEGIN SELECT load_extension('x'); END",
      /load_extension/,
    ],
    [TEXT, "CREATE TABLE x (a); INSERT INTO y VALUES (1)", /statement 2.*no such table: y/],
  ];
  for (const [type, body, sentence] of refused) {
    const answer = (await restore(type, body)).expect(400);
    match(answer.string("error"), sentence);
    ok(!/\/data\/|\/tmp\/|copies/.test(answer.text), answer.text);
    deepEqual(await db.rows("SELECT v FROM t"), [{ v: "kept" }]);
  }
  equal((await restore("application/json", "{}")).expect(415).get("code"), "UNSUPPORTED_MEDIA_TYPE");
});

test("a restore whose client leaves in the middle changes nothing", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'kept')");
  const refusals = () => suite.gateway.log().split('"route":"/v1/rqlite/restore","status":400').length;
  const before = refusals();
  const connection = await RawConnection.open(suite.gateway.url);
  await connection.send(
    `POST /v1/rqlite/restore HTTP/1.1\r\nhost: x\r\nx-api-key: ${await key()}\r\ncontent-type: ${TEXT}\r\n` +
      `content-length: 1000000\r\n\r\nDROP TABLE IF EXISTS t; CREATE TABLE gone (a);`,
  );
  await connection.close();
  await until("the log says how it ended", () => refusals() > before);
  deepEqual(await db.rows("SELECT v FROM t"), [{ v: "kept" }]);
  (await restore(TEXT, "CREATE TABLE t (v); INSERT INTO t VALUES ('new')")).expect(200);
  deepEqual(await db.rows("SELECT v FROM t"), [{ v: "new" }]);
});

test("whole databases are for administrators alone", async () => {
  const { accessToken: token } = await owner();
  const body = { name: "writer", scopes: ["sql:read", "sql:write"] };
  const weak = (await suite.gateway.call("POST", "/v1/auth/keys", { token, body })).expect(201).string("api_key");
  for (const [method, path] of [["GET", "/v1/rqlite/backup"], ["POST", "/v1/rqlite/restore"]] as const) {
    const answer = await suite.gateway.call(method, path, { key: weak });
    deepEqual([answer.status, answer.get("code")], [403, "INSUFFICIENT_SCOPE"]);
  }
});

test("writes that were acknowledged before a restore are gone, those after it stay, also over a restart of the database", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'before')");
  const file = await (await download("sqlite")).bytes();
  await db.run("INSERT INTO t VALUES (2, 'between')");
  (await restore(FILE, file)).expect(200);
  await db.run("INSERT INTO t VALUES (3, 'after')");
  deepEqual(await db.rows("SELECT v FROM t ORDER BY id"), [{ v: "before" }, { v: "after" }]);
  const again = await (await download("sqlite")).bytes();
  (await restore(FILE, again)).expect(200);
  deepEqual(await db.rows("SELECT v FROM t ORDER BY id"), [{ v: "before" }, { v: "after" }]);
});

test("the command line downloads and restores", async () => {
  const db = await begin("INSERT INTO t VALUES (1, 'one')");
  const folder = await Deno.makeTempDir();
  const keyFile = `${folder}/key`;
  await Deno.writeTextFile(keyFile, `${await key()}\n`);
  const remote = ["--url", suite.gateway.url, "--key-file", keyFile];
  const run = (...args: string[]) => runProgram(["database", ...args, ...remote]);
  const saved = await run("backup", `${folder}/copy.sqlite`);
  equal(saved.code, 0, saved.stderr);
  const text = await run("export");
  equal(text.code, 0, text.stderr);
  match(text.stdout, /INSERT INTO "t"/);
  await db.run("DELETE FROM t");
  const restored = await run("restore", `${folder}/copy.sqlite`);
  equal(restored.code, 0, restored.stderr);
  equal(JSON.parse(restored.stdout).status, "ok");
  deepEqual(await db.rows("SELECT v FROM t"), [{ v: "one" }]);
  await Deno.writeTextFile(`${folder}/wrong.sql`, "ATTACH 'x' AS y");
  const refused = await run("restore", `${folder}/wrong.sql`);
  equal(refused.code, 1);
  match(refused.stderr, /^error: statement 1 .*ATTACH is not allowed/m);
  deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).toSorted(), ["copy.sqlite", "key", "wrong.sql"]);
  equal((await run("backup", `${folder}/nowhere/copy.sqlite`)).code, 2);
  equal((await run("restore", `${folder}/missing.sqlite`)).code, 2);
  await Deno.remove(folder, { recursive: true });
});

if (chosenDriver() === "sqlite") {
  test("namespaces that send their databases drop by drop keep no other one from its restore", async () => {
    await begin();
    const senders = await Promise.all(Array.from({ length: 10 }, async () => {
      const { apiKey } = await newOwner(suite.gateway);
      const connection = await RawConnection.open(suite.gateway.url);
      await connection.send(
        `POST /v1/rqlite/restore HTTP/1.1\r\nhost: x\r\nx-api-key: ${apiKey}\r\ncontent-type: ${TEXT}\r\n` +
          `content-length: 100\r\n\r\nCREATE TABLE`,
      );
      return connection;
    }));
    try {
      const copies = `${suite.gateway.dataFolder}/copies`;
      await until("all of them are taken in", () => [...Deno.readDirSync(copies)].length >= senders.length);
      (await restore(TEXT, "CREATE TABLE quick (a)")).expect(200);
      equal((await download("sqlite", { method: "HEAD" })).status, 200);
    } finally {
      await Promise.all(senders.map((connection) => connection.close()));
    }
  });

  test("a gateway that is killed while it restores has the old database or the new one afterwards", async () => {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/new.sqlite`;
    {
      using db = new DatabaseSync(path);
      db.exec(
        "CREATE TABLE t (v); INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40000) " +
          "SELECT hex(zeroblob(200)) FROM n",
      );
    }
    const file = await Deno.readFile(path);
    const found = new Set<unknown>();
    for (const wait of [20, 100, 150, 200, 250, 300, 400]) {
      const first = await TestGateway.start({ folder });
      const key = await first.defaultKey();
      const body = { statements: ["DROP TABLE IF EXISTS t", "CREATE TABLE t (v)", "INSERT INTO t VALUES ('old')"] };
      (await first.call("POST", "/v1/rqlite/transaction", { key, body })).expect(200);
      const restoring = first.call("POST", "/v1/rqlite/restore", { key, raw: file, headers: { "content-type": FILE } })
        .catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, wait));
      first.signal("SIGKILL");
      const answer = await restoring;
      await first.exitCode();
      await using second = await TestGateway.start({ folder });
      const sql = new SqlCaller(second, { key });
      const [{ n } = {}] = await sql.rows("SELECT count(*) AS n FROM t");
      ok(n === 1 || n === 40_000, `${n} rows`);
      if (answer?.status === 200) equal(n, 40_000, "what was acknowledged is there");
      found.add(n);
      await sql.run("INSERT INTO t VALUES ('later')");
    }
    ok(found.size > 0);
    await Deno.remove(folder, { recursive: true });
  });
}
