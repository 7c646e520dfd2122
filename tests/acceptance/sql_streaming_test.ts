import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";

const suite = gatewaySuite();
const { test } = suite;
const LINES = "application/x-ndjson";
const NEWLINE = 10;
const NEVER = new AbortController().signal;

/** One namespace for all of them: each test has tables of its own. */
let made: Promise<Owner> | undefined;
const owner = () => made ??= newOwner(suite.gateway);
const sql = async () => new SqlCaller(suite.gateway, { key: (await owner()).apiKey });

/** Calls an operation and hands out the answer as it is. */
async function open(operation: string, body: unknown, accept = LINES, signal = NEVER): Promise<Response> {
  return await fetch(`${suite.gateway.url}/v1/rqlite/${operation}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": (await owner()).apiKey, accept },
    body: JSON.stringify(body),
    signal,
  });
}

/** The lines of an answer, parsed. */
async function lines(operation: string, body: unknown): Promise<unknown[]> {
  const response = await open(operation, body);
  const text = await response.text();
  equal(response.status, 200, text);
  equal(response.headers.get("content-type"), LINES);
  match(response.headers.get("vary")!, /\bAccept\b/);
  ok(text.endsWith("\n"));
  return text.slice(0, -1).split("\n").map((line) => JSON.parse(line));
}

/** So many rows without a table. */
const numbers = (count: number, columns = "i") =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${count}) SELECT ${columns} FROM n`;

const accessLine = (route: string) =>
  suite.gateway.log().split("\n").filter((line) => line.includes('"part":"access"') && line.includes(route))
    .map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ end }) => end !== undefined).at(-1);

test("rows come line by line: columns first, their number last", async () => {
  const db = await sql();
  await db.run("CREATE TABLE kinds (id INTEGER PRIMARY KEY, s TEXT, r REAL, b BLOB, at DATETIME, yes BOOLEAN)");
  (await db.exec(
    "INSERT INTO kinds VALUES (1, ?, 1.5, x'00ff', '2026-01-18 10:00:00', 1), (2, NULL, 2, NULL, NULL, 0)",
    "é\n",
  ))
    .expect(200);
  deepEqual(await lines("query", { sql: "SELECT * FROM kinds ORDER BY id" }), [
    {
      columns: ["id", "s", "r", "b", "at", "yes"],
      types: ["integer", "text", "real", "blob", "datetime", "boolean"],
      level: "weak",
    },
    [1, "é\n", 1.5, "AP8=", "2026-01-18T10:00:00Z", true],
    [2, null, 2, null, null, false],
    { end: true, rows: 2 },
  ]);
  const empty = await lines("query", { sql: "SELECT id FROM kinds WHERE 0" });
  deepEqual(empty, [{ columns: ["id"], types: ["integer"], level: "weak" }, { end: true, rows: 0 }]);
});

test("rows of find and select come in the same way, and integers as they are wanted", async () => {
  const db = await sql();
  await db.run("CREATE TABLE big (i INTEGER, r REAL)", "INSERT INTO big VALUES (9007199254740993, 2), (1, 2)");
  const text = await (await open("select", { table: "big", order_by: ["i DESC"], integers: "string" })).text();
  deepEqual(text.split("\n").slice(1, 3), ['["9007199254740993",2]', '["1",2]']);
  match(await (await open("query", { sql: "SELECT i FROM big ORDER BY i DESC" })).text(), /\n\[9007199254740993\]\n/);
  const found = await lines("find", { table: "big", criteria: { i: 1 }, options: { select: ["r", "i"] } });
  deepEqual(found.slice(1), [[2, 1], { end: true, rows: 1 }]);
  equal((await open("select", { table: "big", one: true })).headers.get("content-type"), "application/json");
});

test("whoever likes JSON better, or does not name lines, gets JSON", async () => {
  for (
    const accept of [
      "*/*",
      "application/json",
      "application/x-ndjson;q=0",
      "application/json, application/x-ndjson;q=0.9",
    ]
  ) {
    const response = await open("query", { sql: "SELECT 1 AS x" }, accept);
    equal(response.headers.get("content-type"), "application/json", accept);
    match(response.headers.get("vary")!, /\bAccept\b/);
    deepEqual(await response.json(), { items: [{ x: 1 }], count: 1 });
  }
});

test("what fails before the first row is an ordinary error", async () => {
  const wrong: [string, unknown, number, string][] = [
    ["query", { sql: "SELEC" }, 400, "SQL_INVALID"],
    ["query", { sql: "SELECT * FROM no_such_table" }, 400, "SQL_INVALID"],
    ["query", { sql: "DELETE FROM t" }, 400, "SQL_NOT_ALLOWED"],
    ["query", { sql: "SELECT ?" }, 400, "SQL_INVALID"],
    ["find", { table: "no_such_table", options: { order_by: ["a b c"] } }, 400, "INVALID_REQUEST"],
    ["query", { sql: "SELECT 1", timeout: "10h" }, 400, "INVALID_REQUEST"],
  ];
  for (const [operation, body, status, code] of wrong) {
    const response = await open(operation, body);
    const answer = await response.json();
    deepEqual([response.status, answer.code], [status, code], JSON.stringify(answer));
    equal(response.headers.get("content-type"), "application/json");
  }
});

test("what breaks on the way is the last line, with the request's id", async () => {
  const body = { sql: numbers(200_000, "i, CASE WHEN i > 100000 THEN abs(-9223372036854775807 - 1) END AS x") };
  if (chosenDriver() === "rqlite") {
    // It sends nothing before it has everything.
    equal((await open("query", body)).status, 400);
    return;
  }
  const broken = await lines("query", body);
  const { error } = broken.at(-1) as { error: Record<string, unknown> };
  equal(error["code"], "SQL_INVALID", JSON.stringify(error));
  match(String(error["error"]), /overflow/);
  match(String(error["request_id"]), /^[\w.-]+$/);
  ok(broken.length > 10_000, `${broken.length} lines`);
  await until("it is in the log", () => accessLine("/v1/rqlite/query")?.["end"] === "failed");
});

test("there may be more rows than one answer of JSON may have, which says so", async () => {
  const count = 150_000;
  const plain = await open("query", { sql: numbers(count) }, "application/json");
  const refused = await plain.json();
  deepEqual([plain.status, refused.code], [413, "RESULT_TOO_LARGE"]);
  match(refused.error, /x-ndjson/);
  const all = await lines("query", { sql: numbers(count) });
  deepEqual(all.at(-1), { end: true, rows: count });
  deepEqual(all.at(-2), [count]);
  const bytes = all.map((line) => JSON.stringify(line).length + 1).reduce((sum, length) => sum + length, 0);
  await until("it is in the log", () => {
    const logged = accessLine("/v1/rqlite/query");
    return logged?.["end"] === "complete" && logged["bytes"] === bytes;
  });
});

test("a statement that runs out of its time says so, as an error or as the last line", async () => {
  const endless = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c";
  const response = await open("query", { sql: endless, timeout: 300 });
  match(await response.text(), /STATEMENT_TIMEOUT/);
  equal((await (await open("query", { sql: "SELECT 1 AS x" }, "*/*")).json()).count, 1, "the next one works");
});

test("a slow reader takes no memory, and its time is not the statement's", async () => {
  const text = "hex(zeroblob(500)) AS filler";
  await (await open("query", { sql: numbers(1_000, text) })).text();
  const before = suite.gateway.memory();
  const response = await open("query", { sql: numbers(300_000, text), timeout: "20s" });
  const reader = response.body!.getReader();
  let bytes = 0, most = before;
  for (let pause = 0; pause < 6; pause++) {
    bytes += (await reader.read()).value!.length;
    await new Promise((resolve) => setTimeout(resolve, 250));
    most = Math.max(most, suite.gateway.memory());
  }
  ok(most - before < 120e6, `${Math.round((most - before) / 1e6)} MB more for ${bytes} bytes read`);
  for (let read; !(read = await reader.read()).done;) bytes += read.value.length;
  ok(bytes > 300_000 * 1_000, `${bytes} bytes`);
});

test("a million rows are streamed in memory that is flat from the first ten thousand on", async () => {
  const count = 1_000_000, body = { sql: numbers(count, "i, 'row number ' || i AS t, i * 1.5 AS r"), timeout: "30s" };
  /** Bytes that it grew by behind the first rows, at most. */
  const grown = async () => {
    let rows = -2, first: number | undefined, most = 0, looks = 0, end = "";
    const response = await open("query", body);
    for await (const bytes of response.body!) {
      for (let at = -1; (at = bytes.indexOf(NEWLINE, at + 1)) >= 0;) rows++;
      end = new TextDecoder().decode(bytes.subarray(-100));
      if (rows < 10_000) continue;
      first ??= suite.gateway.memory();
      if (looks++ % 10 === 0) most = Math.max(most, suite.gateway.memory() - first);
    }
    match(end, /\n\{"end":true,"rows":1000000\}\n$/);
    equal(rows, count);
    ok(looks > 200, `${looks} looks`);
    return Math.max(most, suite.gateway.memory() - first!);
  };
  // What is there for good once much was streamed, such as compiled code, is no part of the rows.
  await grown();
  const bytes = await grown();
  ok(bytes < 20e6, `${Math.round(bytes / 1e6)} MB more`);
});

test("a client that leaves ends its query, and nobody else notices", async () => {
  const gone = new AbortController();
  const count = chosenDriver() === "rqlite" ? 400_000 : 50_000_000;
  const body = { sql: numbers(count, "i, hex(zeroblob(100))"), timeout: "20s" };
  const response = await open("query", body, LINES, gone.signal);
  await response.body!.getReader().read();
  gone.abort();
  await until("the log says that it left", () => accessLine("/v1/rqlite/query")?.["end"] === "left");
  const start = performance.now();
  equal((await (await open("query", { sql: "SELECT 1 AS x" }, "*/*")).json()).count, 1);
  ok(performance.now() - start < 3_000);
});

test("metrics count streams by their end, and their bytes", async () => {
  const { key } = await suite.gateway.makeKey("--operator");
  const metrics = (await suite.gateway.call("GET", "/metrics", { key })).expect(200).text;
  match(metrics, /http_streams_total\{route="\/v1\/rqlite\/query",end="complete"\} [1-9]/);
  match(metrics, /http_streams_total\{route="\/v1\/rqlite\/query",end="left"\} [1-9]/);
  match(metrics, /http_streamed_bytes_total\{route="\/v1\/rqlite\/query"\} \d{6,}/);
});
