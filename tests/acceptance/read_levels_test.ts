import { deepEqual, equal, match } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

let made: Promise<Owner> | undefined;
const sql = async () => new SqlCaller(suite.gateway, { key: (await (made ??= newOwner(suite.gateway))).apiKey });

const LEVELS = ["none", "weak", "linearizable", "strong"];
const HEADER = "orama-read-level";

/** The operations that read, each with a body that finds something. */
const READS: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["query", { sql: "SELECT 1 AS one" }],
  ["find", { table: "sqlite_schema" }],
  ["find-one", { table: "sqlite_schema" }],
  ["select", { table: "sqlite_schema" }],
  ["select", { table: "sqlite_schema", one: true }],
];

test("each read says the level that it was read at, the one that was asked for", async () => {
  const db = await sql();
  await db.run("CREATE TABLE IF NOT EXISTS something (a)");
  for (const [operation, body] of READS) {
    match((await db.call(operation, body)).expect(200).headers.get(HEADER)!, /^(none|weak|linearizable|strong)$/);
    match((await db.call(operation, { ...body, level: null })).expect(200).headers.get(HEADER)!, /^\w+$/);
    for (const level of LEVELS) {
      // A node that was just asked to may not have the table yet.
      const answer = await db.call(operation, { ...body, level, freshness: "1h" });
      if (level !== "none") answer.expect(200);
      if (answer.status === 200) equal(answer.headers.get(HEADER), level, `${operation} ${level}`);
    }
  }
});

test("what stands beside find's criteria is no part of the SELECT", async () => {
  const db = await sql();
  await db.run("CREATE TABLE leveled (level, freshness)", "INSERT INTO leveled VALUES ('a', 1), ('b', 2)");
  const body = { table: "leveled", criteria: { level: "b" }, options: { limit: 5 }, level: "strong", timeout: 1_000 };
  deepEqual((await db.call("find", body)).expect(200).list("items"), [{ level: "b", freshness: 2 }]);
  deepEqual((await db.call("find-one", body)).expect(200).body, { level: "b", freshness: 2 });
});

test("options that make no sense are refused, and named", async () => {
  const db = await sql();
  for (const [operation, body] of READS) {
    for (
      const [name, value] of [
        ["level", "auto"],
        ["level", ""],
        ["level", 1],
        ["freshness", 0],
        ["freshness", "soon"],
        ["freshness", "-1s"],
        ["timeout", 0],
        ["timeout", -5],
        ["timeout", "1d"],
        ["timeout", "0s"],
        ["timeout", true],
      ] as const
    ) {
      const answer = (await db.call(operation, { ...body, [name]: value })).expect(400);
      deepEqual([answer.get("code"), answer.get("details.0.field")], ["INVALID_REQUEST", name]);
    }
  }
});

test("a timeout above the namespace's ceiling is refused, one below bounds the statement", async () => {
  const db = await sql();
  const endless = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) AS n FROM c";
  const operations: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ...READS,
    ["exec", { sql: "CREATE TABLE no (a)" }],
    ["transaction", { statements: ["CREATE TABLE no (a)"] }],
    ["create-table", { schema: "CREATE TABLE no (a)" }],
    ["drop-table", { table: "no" }],
  ];
  for (const [operation, body] of operations) {
    const answer = (await db.call(operation, { ...body, timeout: "10000h" })).expect(400);
    deepEqual([answer.get("code"), answer.get("details.0.field")], ["INVALID_REQUEST", "timeout"]);
    match(answer.string("error"), /ceiling/);
  }
  await db.run("CREATE TABLE bounded (a)");
  for (
    const [operation, body] of [
      ["query", { sql: endless }],
      ["exec", { sql: `INSERT INTO bounded ${endless}` }],
      ["transaction", { statements: ["INSERT INTO bounded VALUES (1)", `INSERT INTO bounded ${endless}`] }],
    ] as const
  ) {
    const start = performance.now();
    equal((await db.call(operation, { ...body, timeout: "300ms" })).expect(422).get("code"), "STATEMENT_TIMEOUT");
    const took = performance.now() - start;
    equal(took < 5_000, true, `${operation} took ${took} ms`);
  }
  deepEqual(await db.rows("SELECT count(*) AS n FROM bounded"), [{ n: 0 }]);
});

test("a transaction takes a level where every step reads", async () => {
  const db = await sql();
  const reading = { ops: [{ kind: "query", sql: "SELECT 1 AS one" }], level: "strong" };
  equal((await db.call("transaction", reading)).expect(200).headers.get(HEADER), "strong");
  const writing = { ops: [...reading.ops, { kind: "exec", sql: "CREATE TABLE no (a)" }] };
  const refused = (await db.call("transaction", { ...writing, level: "weak" })).expect(400);
  deepEqual([refused.get("code"), refused.get("details.0.field")], ["INVALID_REQUEST", "level"]);
  equal((await db.call("transaction", { ...writing, level: null })).expect(200).headers.get(HEADER), null);
});

test("a browser page may read the level", async () => {
  const { apiKey: key } = await made!;
  const answer = await suite.gateway.call("POST", "/v1/rqlite/query", {
    key,
    body: { sql: "SELECT 1" },
    headers: { origin: "https://app.example" },
  });
  match(answer.expect(200).headers.get("access-control-expose-headers")!, /Orama-Read-Level/);
});
