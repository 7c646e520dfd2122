import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** One namespace for all of them: each test has tables and keys of its own. */
let made: Promise<Owner> | undefined;
const owner = () => made ??= newOwner(suite.gateway);
const sql = async () => new SqlCaller(suite.gateway, { key: (await owner()).apiKey });

test("exec with an Idempotency-Key is applied once, and answered as before", async () => {
  const db = await sql();
  await db.run("CREATE TABLE once (id INTEGER PRIMARY KEY AUTOINCREMENT, a)");
  const body = { sql: "INSERT INTO once (a) VALUES (?), (?)", args: ["x", "y"] };
  const first = (await db.once("exec-1", "exec", body)).expect(200);
  deepEqual(first.body, { rows_affected: 2, last_insert_id: 2, execution_state: "ok" });
  for (const key of ["exec-1", '"exec-1"', " exec-1 "]) {
    deepEqual((await db.once(key, "exec", body)).expect(200).body, { ...first.body, replayed: true });
  }
  // How figures are written is no part of the request that the key stands for.
  const strings = (await db.once("exec-1", "exec", { ...body, integers: "string", timeout: "5s" })).expect(200);
  deepEqual(strings.body, { rows_affected: "2", last_insert_id: "2", execution_state: "ok", replayed: true });
  deepEqual(await db.rows("SELECT count(*) AS n FROM once"), [{ n: 2 }]);
});

test("a key that stands for another request is refused", async () => {
  const db = await sql();
  await db.run("CREATE TABLE reused (a)");
  (await db.once("reused", "exec", { sql: "INSERT INTO reused VALUES (1)" })).expect(200);
  for (
    const [operation, body] of [
      ["exec", { sql: "INSERT INTO reused VALUES (2)" }],
      ["exec", { sql: "INSERT INTO reused VALUES (?)", args: [1] }],
      ["transaction", { statements: ["INSERT INTO reused VALUES (1)"] }],
      ["create-table", { schema: "CREATE TABLE reused2 (a)" }],
      ["drop-table", { table: "reused" }],
    ] as const
  ) {
    const answer = (await db.once("reused", operation, body)).expect(422);
    equal(answer.get("code"), "IDEMPOTENCY_KEY_REUSED");
    equal(answer.headers.get("retry-after"), null);
  }
  deepEqual(await db.rows("SELECT a FROM reused"), [{ a: 1 }]);
});

test("a key must be one, of 1 to 255 printable ASCII characters", async () => {
  const db = await sql();
  await db.run("CREATE TABLE keyed (a)");
  const insert = { sql: "INSERT INTO keyed VALUES (1)" };
  for (const key of ["", '""', '"open', "a, b", "x".repeat(256), "\u00e9"]) {
    for (
      const [operation, body] of [
        ["exec", insert],
        ["transaction", { statements: [insert.sql] }],
        ["create-table", { schema: "CREATE TABLE no (a)" }],
        ["drop-table", { table: "keyed" }],
      ] as const
    ) {
      const answer = (await db.once(key, operation, body)).expect(400);
      deepEqual([answer.get("code"), answer.get("details.0.field")], ["INVALID_REQUEST", "Idempotency-Key"]);
    }
  }
  (await db.once("x".repeat(255), "exec", insert)).expect(200);
  (await db.once('"with, comma \\" and quote"', "exec", insert)).expect(200);
  deepEqual(await db.rows("SELECT count(*) AS n FROM keyed"), [{ n: 2 }]);
});

test("a replay has the figures of each step, and says that rows are lost", async () => {
  const db = await sql();
  await db.run("CREATE TABLE steps (id INTEGER PRIMARY KEY, a)");
  const returning = { sql: "INSERT INTO steps (a) VALUES (1) RETURNING id" };
  deepEqual((await db.once("returning", "exec", returning)).expect(200).body, {
    rows_affected: 1,
    last_insert_id: 1,
    items: [{ id: 1 }],
    count: 1,
    execution_state: "ok",
  });
  deepEqual((await db.once("returning", "exec", returning)).expect(200).body, {
    rows_affected: 1,
    last_insert_id: 1,
    execution_state: "ok",
    replayed: true,
  });
  const body = {
    ops: [
      { kind: "exec", sql: "INSERT INTO steps (a) VALUES (?), (?)", args: [2, 3] },
      { kind: "query", sql: "SELECT count(*) AS n FROM steps" },
      { kind: "exec", sql: "UPDATE steps SET a = a + 1 RETURNING a" },
    ],
    return_results: true,
  };
  const first = (await db.once("steps", "transaction", body)).expect(200);
  deepEqual(first.body, {
    status: "ok",
    results: [
      { rows_affected: 2, last_insert_id: 3 },
      [{ n: 3 }],
      { rows_affected: 3, last_insert_id: 0, items: [{ a: 2 }, { a: 3 }, { a: 4 }], count: 3 },
    ],
  });
  deepEqual((await db.once("steps", "transaction", body)).expect(200).body, {
    status: "ok",
    results: [{ rows_affected: 2, last_insert_id: 3 }, null, { rows_affected: 3, last_insert_id: 0 }],
    replayed: true,
  });
  const brief = (await db.once("steps", "transaction", { ...body, return_results: false })).expect(200);
  deepEqual(brief.body, { status: "ok", replayed: true });
});

test("definitions take a key too", async () => {
  const db = await sql();
  const create = () => db.once("create", "create-table", { schema: "CREATE TABLE defined (a)" });
  const drop = () => db.once("drop", "drop-table", { table: "defined" });
  deepEqual((await create()).expect(201).body, { status: "ok" });
  deepEqual((await create()).expect(201).body, { status: "ok", replayed: true });
  deepEqual((await drop()).expect(200).body, { status: "ok" });
  deepEqual((await drop()).expect(200).body, { status: "ok", replayed: true });
  (await db.call("drop-table", { table: "defined" })).expect(404);
});

test("what failed may be repeated with its key", async () => {
  const db = await sql();
  const insert = () => db.once("failed", "exec", { sql: "INSERT INTO failed VALUES (1)" });
  (await insert()).expect(400);
  await db.run("CREATE TABLE failed (a UNIQUE)", "INSERT INTO failed VALUES (1)");
  equal((await insert()).expect(409).get("code"), "CONSTRAINT_FAILED");
  await db.run("DELETE FROM failed");
  equal((await insert()).expect(200).get("replayed"), undefined);
  equal((await insert()).expect(200).get("replayed"), true);
});

test("of many at once with one key exactly one is applied", async () => {
  const db = await sql();
  await db.run("CREATE TABLE raced (round)");
  for (let round = 0; round < 5; round++) {
    const body = { sql: "INSERT INTO raced VALUES (?)", args: [round] };
    const answers = await Promise.all(Array.from({ length: 20 }, () => db.once(`race ${round}`, "exec", body)));
    const applied = answers.filter(({ status, text }) => status === 200 && !text.includes("replayed"));
    equal(applied.length, 1);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      equal(answer.expect(409).get("code"), "IDEMPOTENCY_KEY_IN_USE");
      match(answer.headers.get("retry-after")!, /^\d+$/);
    }
    equal((await db.once(`race ${round}`, "exec", body)).expect(200).get("replayed"), true);
  }
  deepEqual(await db.rows("SELECT count(*) AS n, count(DISTINCT round) AS d FROM raced"), [{ n: 5, d: 5 }]);
});

test("the keys are the namespace's: all of its credentials share them, others do not", async () => {
  await using stranger = await newOwner(suite.gateway);
  const mine = await sql();
  const alsoMine = new SqlCaller(suite.gateway, { token: (await owner()).accessToken });
  const theirs = new SqlCaller(suite.gateway, { key: stranger.apiKey });
  for (const db of [mine, theirs]) await db.run("CREATE TABLE shared (a)");
  const body = { sql: "INSERT INTO shared VALUES (1)" };
  equal((await mine.once("shared", "exec", body)).expect(200).get("replayed"), undefined);
  equal((await alsoMine.once("shared", "exec", body)).expect(200).get("replayed"), true);
  equal((await theirs.once("shared", "exec", body)).expect(200).get("replayed"), undefined);
}, { namespaces: 2 });

test("a statement that asks for what was done last is refused with a key", async () => {
  const db = await sql();
  await db.run("CREATE TABLE asked (a)");
  const body = { statements: ["INSERT INTO asked VALUES (1)", "INSERT INTO asked VALUES (last_insert_rowid())"] };
  const refused = (await db.once("asked", "transaction", body)).expect(400);
  deepEqual([refused.get("code"), refused.get("details.field")], ["SQL_NOT_ALLOWED", "statements.1"]);
  ok(refused.string("error").startsWith("statements.1: with an idempotency key"));
  (await db.call("transaction", body)).expect(200);
});

test("a restore takes no key, and says so before anything is done", async () => {
  const db = await sql(), { apiKey } = await owner();
  await db.run("CREATE TABLE kept (a)", "INSERT INTO kept VALUES (1)");
  for (const key of ["restore-1", '"restore-1"', ""]) {
    const answer = (await suite.gateway.call("POST", "/v1/rqlite/restore", {
      key: apiKey,
      raw: "CREATE TABLE other (a)",
      headers: { "content-type": "application/sql", "idempotency-key": key },
    })).expect(400);
    deepEqual([answer.get("code"), answer.get("details.0.field")], ["INVALID_REQUEST", "Idempotency-Key"]);
    match(answer.string("error"), /takes back what was written since/);
  }
  deepEqual(await db.rows("SELECT a FROM kept"), [{ a: 1 }]);
  (await db.once("restore-1", "exec", { sql: "INSERT INTO kept VALUES (2)" })).expect(200);
});

test("what may be repeated in any case ignores a key: it is done each time, and the key is not used up", async () => {
  const db = await sql();
  await db.run("CREATE TABLE seen (id INTEGER PRIMARY KEY)");
  const reads: readonly (readonly [string, unknown])[] = [
    ["query", { sql: "SELECT count(*) AS n FROM seen" }],
    ["find-one", { table: "seen", options: { select: ["count(*) AS n"] } }],
    ["find", { table: "seen", options: { select: ["count(*) AS n"] } }],
    ["select", { table: "seen", select: ["count(*) AS n"] }],
    ["transaction", { ops: [{ kind: "query", sql: "SELECT count(*) AS n FROM seen" }], return_results: true }],
  ];
  for (const [n, [operation, body]] of reads.entries()) {
    const before = (await db.once("ignored", operation, body)).expect(200);
    match(before.text, new RegExp(`"n":${n}\\b`), operation);
    equal(before.get("replayed"), undefined);
    await db.run("INSERT INTO seen VALUES (NULL)");
    match((await db.once("ignored", operation, body)).expect(200).text, new RegExp(`"n":${n + 1}\\b`), operation);
  }
  const migrate = (version: number) => ({ version, name: "m", sql: `CREATE TABLE migrated${version} (a)` });
  for (const versions of [[1], [1], [1, 2]]) {
    (await db.once("ignored", "migrations", { migrations: versions.map(migrate) })).expect(200);
  }
  for (let i = 1; i <= 2; i++) {
    (await db.once("ignored", "changes/tables", { table: "seen" })).expect(200);
    const count = await suite.gateway.call("POST", "/v1/cache/incr", {
      key: (await owner()).apiKey,
      body: { dmap: "ignored", key: "n" },
      headers: { "idempotency-key": "ignored" },
    });
    equal(count.expect(200).get("value"), i, "the cache knows no such keys");
  }
  await db.run("INSERT INTO migrated2 VALUES (1)");
  const once = (await db.once("ignored", "exec", { sql: "INSERT INTO seen VALUES (NULL)" })).expect(200);
  equal(once.get("replayed"), undefined, "nothing has used it up");
});

test("a browser page may send the key", async () => {
  const answer = await suite.gateway.call("OPTIONS", "/v1/rqlite/exec", {
    headers: { origin: "https://app.example", "access-control-request-method": "POST" },
  });
  match(answer.headers.get("access-control-allow-headers")!, /Idempotency-Key/);
});
