import { deepEqual, equal } from "node:assert/strict";
import { Calls, refused, textOf, valueOf } from "./support/calls.ts";

const CREATE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, flag BOOLEAN, data BLOB)";

Deno.test("rows come as JSON objects, as the HTTP interface gives them", async () => {
  await using calls = await Calls.start();
  equal(valueOf(await calls.perform("db_execute", CREATE, "")), 0);
  const args = `[9007199254740993, "Zoë", true, {"type": "blob", "base64": "AAEC"}]`;
  equal(valueOf(await calls.perform("db_execute", "INSERT INTO t VALUES (?, ?, ?, ?)", args)), 1);
  equal(
    textOf(await calls.perform("db_query", "SELECT * FROM t", "")),
    `[{"id":9007199254740993,"name":"Zoë","flag":true,"data":"AAEC"}]`,
  );
  equal(
    textOf(await calls.perform("db_query", "SELECT 1 AS a, 2 AS a, NULL AS n, 1.5 AS r", "[]")),
    `[{"a":2,"n":null,"r":1.5}]`,
  );
  equal(
    textOf(
      await calls.perform("db_query", "SELECT typeof(?) AS a, typeof(?) AS b", `[1.0, {"type":"float","value":1}]`),
    ),
    `[{"a":"integer","b":"real"}]`,
  );
});

Deno.test("a query that finds nothing is the text null", async () => {
  await using calls = await Calls.start();
  equal(textOf(await calls.perform("db_query", "SELECT 1 WHERE ? = 2", "[1]")), "null");
});

Deno.test("all 64 bits of an integer arrive, and come back", async () => {
  await using calls = await Calls.start();
  for (const integer of ["9223372036854775807", "-9223372036854775808", "9007199254740993", "-0", "0"]) {
    const expected = integer === "-0" ? "0" : integer;
    equal(textOf(await calls.perform("db_query", "SELECT ? AS n", `[${integer}]`)), `[{"n":${expected}}]`);
  }
});

Deno.test("a write is refused by db_query with the call that does it, and does nothing", async () => {
  await using calls = await Calls.start();
  await calls.perform("db_execute", CREATE, "");
  for (
    const sql of [
      "INSERT INTO t (id) VALUES (1)",
      "INSERT INTO t (id) VALUES (1) RETURNING id",
      "WITH n(i) AS (VALUES (1)) INSERT INTO t (id) SELECT i FROM n",
      "/* SELECT */ DELETE FROM t",
      "DROP TABLE t",
    ]
  ) refused(await calls.perform("db_query", sql, ""), "SQL_NOT_ALLOWED", "db_execute");
  equal(textOf(await calls.perform("db_query", "SELECT count(*) AS n FROM t", "")), `[{"n":0}]`);
});

Deno.test("mistakes in SQL are told in the words of the HTTP interface", async () => {
  await using calls = await Calls.start();
  refused(await calls.perform("db_query", "SELEC 1", ""), "SQL_INVALID", "syntax error");
  refused(await calls.perform("db_query", "SELECT * FROM nowhere", ""), "SQL_INVALID", "no such table");
  refused(await calls.perform("db_execute", "INSERT INTO nowhere VALUES (1)", ""), "SQL_INVALID", "no such table");
  refused(await calls.perform("db_query", "SELECT ?", ""), "SQL_INVALID");
  refused(await calls.perform("db_execute", "ATTACH '/etc/passwd' AS x", ""), "SQL_NOT_ALLOWED");
  refused(await calls.perform("db_execute", "BEGIN", ""), "SQL_NOT_ALLOWED");
  await calls.perform("db_execute", CREATE, "");
  await calls.perform("db_execute", "INSERT INTO t (id) VALUES (1)", "");
  refused(await calls.perform("db_execute", "INSERT INTO t (id) VALUES (1)", ""), "CONSTRAINT_FAILED");
  deepEqual(calls.errors, []);
});

Deno.test("arguments that cannot be are refused, each by its place", async () => {
  await using calls = await Calls.start();
  const ask = (args: string) => calls.perform("db_query", "SELECT ?", args);
  refused(await ask("[1"), "INVALID_REQUEST", "args: must be JSON");
  refused(await ask("{}"), "INVALID_REQUEST", "args: must be a JSON array");
  refused(await ask("7"), "INVALID_REQUEST", "args: must be a JSON array");
  refused(await ask("[1, [2]]"), "INVALID_REQUEST", "args.1: must be null");
  refused(await ask(`[{"a": 1}]`), "INVALID_REQUEST", "args.0: must be null");
  refused(await ask(`["a\\u0000b"]`), "INVALID_REQUEST", "args.0: text cannot hold U+0000");
  refused(await ask(`[{"type":"integer","value":"9223372036854775808"}]`), "INVALID_REQUEST", "64 bits");
  refused(await ask(`[{"type":"blob","base64":"***"}]`), "INVALID_REQUEST", "base64: must be base64");
  refused(await ask("[[[1]]]"), "INVALID_REQUEST", "args: must not nest deeper than 2 levels");
  refused(await ask("[".repeat(1_000_000)), "INVALID_REQUEST", "nest deeper");
  refused(await ask(`[${"1,".repeat(200_000)}1]`), "INVALID_REQUEST", /at most \d+ values/);
  refused(await ask(`[${"1,".repeat(40_000)}1]`), "INVALID_REQUEST", "at most 32766 values");
  refused(await ask(`[${"1,".repeat(150_000)}1]`), "INVALID_REQUEST", "at most 32766 values");
  refused(await ask(`["${"a".repeat(5_000_000)}"]`), "INVALID_REQUEST", "args: must have at most");
  refused(await ask("[1e400]"), "INVALID_REQUEST");
  refused(await calls.perform("db_query", " ", ""), "INVALID_REQUEST", "sql: must be an SQL statement");
  refused(await calls.perform("db_query", `SELECT '${"a".repeat(1_000_000)}'`, ""), "INVALID_REQUEST", "sql:");
});

Deno.test("brackets and commas within texts count for nothing", async () => {
  await using calls = await Calls.start();
  const text = `[[[{,"\\${",".repeat(200_000)}`;
  equal(textOf(await calls.perform("db_query", "SELECT length(?) AS n", JSON.stringify([text]))), `[{"n":200007}]`);
});

Deno.test("a transaction gives what the HTTP interface has in results", async () => {
  await using calls = await Calls.start();
  const steps = [
    { sql: CREATE },
    { sql: "INSERT INTO t (name) VALUES (?)", args: ["one"], kind: "exec" },
    { sql: "INSERT INTO t (name) VALUES (?) RETURNING id", args: ["two"] },
    { sql: "SELECT name FROM t ORDER BY id" },
    { sql: "SELECT 1 WHERE 0", kind: "query", args: null },
  ];
  deepEqual(JSON.parse(textOf(await calls.perform("db_transaction", JSON.stringify(steps)))), [
    { rows_affected: 0, last_insert_id: 0 },
    { rows_affected: 1, last_insert_id: 1 },
    { rows_affected: 1, last_insert_id: 2, items: [{ id: 2 }], count: 1 },
    [{ name: "one" }, { name: "two" }],
    [],
  ]);
});

Deno.test("a transaction is all or nothing, and says which step it was", async () => {
  await using calls = await Calls.start();
  await calls.perform("db_execute", CREATE, "");
  const steps = [{ sql: "INSERT INTO t (id) VALUES (1)" }, { sql: "INSERT INTO t (id) VALUES (1)" }];
  refused(await calls.perform("db_transaction", JSON.stringify(steps)), "CONSTRAINT_FAILED", /^steps\.1: /);
  equal(textOf(await calls.perform("db_query", "SELECT count(*) AS n FROM t", "")), `[{"n":0}]`);
});

Deno.test("steps that cannot be are refused, each by its place", async () => {
  await using calls = await Calls.start();
  const ask = (steps: unknown) => calls.perform("db_transaction", JSON.stringify(steps));
  refused(await calls.perform("db_transaction", ""), "INVALID_REQUEST", "steps: must be a JSON array of 1 to 1000");
  refused(await ask([]), "INVALID_REQUEST", "steps: must be");
  refused(await ask({}), "INVALID_REQUEST", "steps: must be");
  refused(await ask(Array(1_001).fill({ sql: "SELECT 1" })), "INVALID_REQUEST", "steps: must be");
  refused(await ask([null]), "INVALID_REQUEST", "steps.0: must be an object");
  refused(await ask([["SELECT 1"]]), "INVALID_REQUEST", "steps.0: must be an object");
  refused(await ask([{}]), "INVALID_REQUEST", "steps.0.sql");
  refused(await ask([{ sql: 7 }]), "INVALID_REQUEST", "steps.0.sql");
  refused(await ask([{ sql: "SELECT 1" }, { sql: "SELECT ?", args: [{}] }]), "INVALID_REQUEST", "steps.1.args.0");
  refused(await ask([{ sql: "SELECT 1", kind: "maybe" }]), "INVALID_REQUEST", "steps.0.kind");
  refused(await ask([{ sql: "SELECT 1", expect: { rows: 1 } }]), "INVALID_REQUEST", "no members but");
  refused(await ask([{ sql: "SELECT 1" }, { sql: "BEGIN" }]), "SQL_NOT_ALLOWED", /^steps\.1\.sql: /);
  refused(await ask([{ sql: "SELECT 1", kind: "query" }, { sql: "ROLLBACK", kind: "exec" }]), "SQL_NOT_ALLOWED");
});

Deno.test("each namespace has a database of its own", async () => {
  await using calls = await Calls.start();
  await calls.perform("db_execute", CREATE, "");
  for (const table of ["t", "main.t", "shop.t", "'shop'.t", `"../shop".t`]) {
    refused(await calls.performIn("shop-2", "db_query", `SELECT * FROM ${table}`, ""), "SQL_INVALID");
  }
});
