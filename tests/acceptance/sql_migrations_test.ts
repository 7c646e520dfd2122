import { deepEqual, equal, match, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { runProgram } from "../support/gateway.ts";
import { SqlCaller } from "../support/sql.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

const callerOf = ({ apiKey }: Owner) => new SqlCaller(suite.gateway, { key: apiKey });
const list = ({ apiKey }: Owner) => suite.gateway.call("GET", "/v1/rqlite/migrations", { key: apiKey });
const USERS = { version: 1, name: "users", statements: ["CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)"] };
const ADMIN = {
  version: 2,
  name: "admin",
  sql: "ALTER TABLE users ADD COLUMN admin; INSERT INTO users VALUES (1, 'a', 1);",
};

test("migrations are applied once, listed, and never seen in the schema", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = callerOf(owner);
  deepEqual((await list(owner)).expect(200).body, { migrations: [], count: 0 });
  const first = (await db.call("migrations", { migrations: [USERS, ADMIN] })).expect(200);
  equal(first.get("version"), 2);
  deepEqual(first.list("migrations").map(({ version, name, state }) => [version, name, state]), [
    [1, "users", "applied_now"],
    [2, "admin", "applied_now"],
  ]);
  const again = (await db.call("migrations", { migrations: [USERS, ADMIN] })).expect(200);
  deepEqual(again.list("migrations").map(({ state }) => state), ["applied", "applied"]);
  const applied = (await list(owner)).expect(200);
  equal(applied.get("count"), 2);
  for (const [at, one] of applied.list("migrations").entries()) {
    equal(one["checksum"], first.list("migrations")[at]!["checksum"]);
    match(String(one["applied_at"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    ok(Number(one["duration"]) >= 0);
  }
  deepEqual((await db.schema()).expect(200).list("tables").map(({ name }) => name), ["users"]);
  deepEqual(await db.rows("SELECT * FROM users"), [{ id: 1, name: "a", admin: 1 }]);
});

test("a failure names the migration and the statement, and what stays", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = callerOf(owner);
  const wrong = { version: 3, name: "wrong", statements: ["CREATE TABLE t (a)", "INSERT INTO missing VALUES (1)"] };
  const failed = (await db.call("migrations", { migrations: [USERS, ADMIN, wrong] })).expect(400);
  match(failed.string("error"), /^migration 3 \(wrong\), statement 2: no such table: missing$/);
  deepEqual([failed.get("code"), failed.get("details")], [
    "SQL_INVALID",
    { version: 3, statement: 1, applied: [1, 2] },
  ]);
  equal((await list(owner)).get("count"), 2);
  const changed = { ...USERS, statements: ["CREATE TABLE other (a)"] };
  const refused = (await db.call("migrations", { migrations: [changed] })).expect(409);
  deepEqual([refused.get("code"), refused.get("details.version")], ["CONFLICT", 1]);
  const gap = { version: 5, name: "gap", sql: "SELECT 1" };
  match((await db.call("migrations", { migrations: [gap] })).expect(400).string("error"), /3 is missing/);
});

test("a dry run leaves nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = callerOf(owner);
  const dry = (await db.call("migrations", { migrations: [USERS, ADMIN], dry_run: true })).expect(200);
  deepEqual([dry.get("version"), dry.get("dry_run"), dry.get("problem")], [0, true, undefined]);
  deepEqual(dry.list("migrations").map(({ state }) => state), ["pending", "pending"]);
  const wrong =
    (await db.call("migrations", { migrations: [ADMIN].map((one) => ({ ...one, version: 1 })), dry_run: true }))
      .expect(200);
  deepEqual([wrong.get("problem.version"), wrong.get("problem.statement"), wrong.get("problem.code")], [
    1,
    0,
    "SQL_INVALID",
  ]);
  deepEqual((await db.schema()).expect(200).list("tables"), []);
  equal((await list(owner)).get("count"), 0);
});

test("a restored list of migrations that no gateway wrote is told, with what to mend", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = callerOf(owner), { apiKey: key } = owner;
  (await db.call("migrations", { migrations: [USERS] })).expect(200);
  const folder = await Deno.makeTempDir();
  const path = `${folder}/copy.sqlite`;
  const change = async (statement: string) => {
    const headers = { "content-type": "application/vnd.sqlite3" };
    const backup = await fetch(`${suite.gateway.url}/v1/rqlite/backup`, { headers: { "x-api-key": key } });
    await Deno.writeFile(path, await backup.bytes());
    const copy = new DatabaseSync(path);
    copy.exec(statement);
    copy.close();
    const raw = await Deno.readFile(path);
    const restore = () => suite.gateway.call("POST", "/v1/rqlite/restore", { key, raw, headers });
    // A backup is over a moment after its last byte has come, and one task runs at a time.
    let restored = await restore();
    await until(
      "the task before is over",
      async () => restored.status !== 429 || (restored = await restore()).status !== 429,
    );
    restored.expect(200);
  };
  try {
    const before = (await list(owner)).expect(200).text;
    for (const value of ["9e999", "'yesterday'", "9223372036854775807"]) {
      await change(`UPDATE _orama_migrations SET applied_at = ${value}`);
      for (const answer of [await list(owner), await db.call("migrations", { migrations: [USERS, ADMIN] })]) {
        deepEqual([answer.expect(409).get("code"), answer.get("details")], [
          "CONFLICT",
          { version: 1, column: "applied_at" },
        ]);
        match(answer.string("error"), /applied_at of version 1 must be a time in Unix milliseconds/);
      }
    }
    await change(
      `UPDATE _orama_migrations SET applied_at = ${Date.parse(JSON.parse(before).migrations[0].applied_at)}`,
    );
    equal((await list(owner)).expect(200).text, before);
    (await db.call("migrations", { migrations: [USERS, ADMIN] })).expect(200);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("what is no list of migrations is refused", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = callerOf(owner);
  for (
    const body of [
      {},
      { migrations: [] },
      { migrations: [{}] },
      { migrations: [{ ...USERS, version: 0 }] },
      { migrations: [{ ...USERS, version: 1.5 }] },
      { migrations: [{ ...USERS, version: "1" }] },
      { migrations: [{ ...USERS, name: " " }] },
      { migrations: [{ version: 1, name: "none" }] },
      { migrations: [{ ...USERS, sql: "SELECT 1" }] },
      { migrations: [{ ...USERS, statements: [] }] },
      { migrations: [{ ...USERS, statements: ["", "SELECT 1"] }] },
      { migrations: [{ ...USERS, statements: ["BEGIN"] }] },
      { migrations: [{ ...USERS, statements: ["DROP TABLE _orama_migrations"] }] },
      { migrations: [USERS], target: 0 },
      { migrations: [USERS], target: 7 },
      { migrations: [USERS], timeout: "10000h" },
    ]
  ) {
    const answer = await db.call("migrations", body);
    ok(["INVALID_REQUEST", "SQL_INVALID", "SQL_NOT_ALLOWED"].includes(answer.expect(400).string("code")), answer.text);
  }
  equal((await list(owner)).get("count"), 0);
});

test("migrations need the rights to define and to write", async () => {
  await using owner = await newOwner(suite.gateway);
  for (
    const [scopes, status] of [["sql:admin", 403], ["sql:write,sql:read", 403], ["sql:admin,sql:write", 200]] as const
  ) {
    const { key } = await suite.gateway.makeKey("--namespace", owner.namespace, "--scopes", scopes);
    const body = { migrations: [USERS] };
    (await suite.gateway.call("POST", "/v1/rqlite/migrations", { key, body })).expect(status);
  }
});

test("two callers at once apply each migration once", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = callerOf(owner);
  const migrations = [
    { version: 1, name: "n", sql: "CREATE TABLE n (v)" },
    ...Array.from({ length: 9 }, (_, i) => ({ version: i + 2, name: "n", sql: `INSERT INTO n VALUES (${i})` })),
  ];
  const answers = await Promise.all(Array.from({ length: 5 }, () => db.call("migrations", { migrations })));
  for (const answer of answers) equal(answer.expect(200).get("version"), 10);
  const applied = answers.flatMap((answer) => answer.list("migrations")).filter(({ state }) => state === "applied_now");
  deepEqual(applied.map(({ version }) => version).toSorted((a, b) => Number(a) - Number(b)), [
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
  ]);
  deepEqual(await db.rows("SELECT count(*) AS n, count(DISTINCT v) AS d FROM n"), [{ n: 9, d: 9 }]);
});

test("the command applies a folder of scripts, and says what became of each", async () => {
  await using owner = await newOwner(suite.gateway);
  const folder = await Deno.makeTempDir();
  try {
    const run = (...args: string[]) =>
      runProgram([
        "database",
        "migrate",
        "--dir",
        folder,
        "--url",
        suite.gateway.url,
        "--key-file",
        `${folder}/key`,
        ...args,
      ]);
    await Deno.writeTextFile(`${folder}/key`, `${owner.apiKey}\n`);
    equal((await run()).code, 2);
    await Deno.writeTextFile(`${folder}/0001_users.sql`, "CREATE TABLE users (id INTEGER PRIMARY KEY);\n");
    await Deno.writeTextFile(
      `${folder}/2-admin.sql`,
      "-- the first\nINSERT INTO users VALUES (1); INSERT INTO users VALUES (2);",
    );
    await Deno.writeTextFile(`${folder}/README.md`, "not a script");
    const linesOf = ({ stdout }: { readonly stdout: string }) =>
      stdout.trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    const dry = await run("--dry-run");
    deepEqual([dry.code, linesOf(dry)], [0, [
      { version: 1, name: "users", state: "pending" },
      { version: 2, name: "admin", state: "pending" },
    ]]);
    deepEqual(linesOf(await run("--target", "1")).map(({ state }) => state), ["applied_now", "pending"]);
    const all = await run();
    deepEqual([all.code, linesOf(all).map(({ state }) => state)], [0, ["applied", "applied_now"]]);
    match(all.stderr, /version 2/);
    await Deno.writeTextFile(`${folder}/3_wrong.sql`, "INSERT INTO nowhere VALUES (1)");
    for (const args of [[], ["--dry-run"]]) {
      const failed = await run(...args);
      equal(failed.code, 1);
      match(failed.stderr, /migration 3.*statement 1: no such table: nowhere/);
    }
    deepEqual(await callerOf(owner).rows("SELECT count(*) AS n FROM users"), [{ n: 2 }]);
    await Deno.rename(`${folder}/3_wrong.sql`, `${folder}/wrong.sql`);
    const unnamed = await run();
    deepEqual([unnamed.code, unnamed.stdout], [2, ""]);
    match(unnamed.stderr, /wrong\.sql: a script is named after its version/);
    ok(!(await run()).stderr.includes(owner.apiKey));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
