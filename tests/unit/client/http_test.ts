import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { type ClientOptions, createClient } from "../../../src/client/index.ts";
import { databaseAt, oramaError } from "./support/databases.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";

const ROWS = answer(200, { items: [{ n: 1 }], count: 1 });
const DONE = answer(200, { rows_affected: 1, last_insert_id: 7, execution_state: "ok" });
const HTML = "<html><body>Please sign in</body></html>";
const insert = "INSERT INTO t VALUES (1)";

Deno.test("a call carries the credential it was given, and nothing of it gets into an error", async () => {
  await using server = new ScriptedServer(() => failure(401, "INVALID_CREDENTIAL"));
  const asKey = await oramaError(databaseAt(server.url).query("SELECT 1"));
  equal(server.requests[0]?.headers.get("x-api-key"), "ak_secret:test");
  equal(server.requests[0]?.headers.get("authorization"), undefined);
  const url = new URL(`${server.url}/behind/proxy/`);
  const db = databaseAt("", { url, token: () => Promise.resolve("a.b.c") });
  await oramaError(db.query("SELECT 1"));
  equal(server.requests[1]?.headers.get("authorization"), "Bearer a.b.c");
  equal(server.requests[1]?.path, "/behind/proxy/v1/rqlite/query");
  ok(!Deno.inspect(asKey).includes("ak_secret"));
  ok(!JSON.stringify({ db, ...asKey }).includes("ak_secret"));
});

Deno.test("options that cannot be are refused at once, and their secrets not repeated", () => {
  const wrong: Partial<ClientOptions>[] = [
    { url: "gateway.example" },
    { url: "ftp://gateway.example" },
    { url: "https://user:hunter2@gateway.example" },
    { url: "https://gateway.example/?key=hunter2" },
    { apiKey: "hunter2\n" },
    { apiKey: "" },
    { token: "hunter2 hunter2" },
  ];
  for (const options of wrong) {
    throws(() => createClient({ url: "https://gateway.example", ...options }), (error) => {
      ok(error instanceof TypeError);
      ok(!error.message.includes("hunter2"), error.message);
      return true;
    });
  }
});

Deno.test("a token that cannot be, and one that cannot be had, send nothing", async () => {
  await using server = new ScriptedServer(() => ROWS);
  await rejects(databaseAt(server.url, { token: () => "a b" }).query("SELECT 1"), /token must be text/);
  await rejects(
    databaseAt(server.url, { token: () => Promise.reject(new Error("no token")) }).exec(insert),
    /no token/,
  );
  const never = databaseAt(server.url, { token: () => new Promise(() => {}), requestTimeout: 20 });
  equal((await oramaError(never.exec(insert))).code, "TIMEOUT");
  equal(server.requests.length, 0);
});

Deno.test("an error has the code, the status, the request's id, the particulars and the time to wait", async () => {
  const details = [{ field: "sql", problem: "is wrong" }];
  await using server = new ScriptedServer(() => failure(400, "SQL_INVALID", { "retry-after": "7" }, details));
  const error = await oramaError(databaseAt(server.url).exec(insert));
  const { name, message, code, status, requestId, retryAfter } = error;
  deepEqual({ name, message, code, status, requestId, retryAfter, details: error.details }, {
    name: "OramaError",
    message: "it is SQL_INVALID",
    code: "SQL_INVALID",
    status: 400,
    requestId: "r-1",
    retryAfter: 7,
    details,
  });
});

Deno.test("an answer that is no gateway's is an error of a read, and leaves the outcome of a write unknown", async () => {
  const wrong: [string, string][] = [
    ["HTML", answer(200, HTML, { "content-type": "text/html" })],
    ["JSON that breaks off", answer(200, '{"items":[{"n":1},{"n"')],
    ["an empty body", answer(200, "")],
    ["no object", answer(200, "[]")],
    ["something else", answer(200, { hello: "world" })],
    ["rows that are none", answer(200, { items: [1, "x"], rows_affected: "many", last_insert_id: null })],
    ["204", "HTTP/1.1 204 X\r\nconnection: close\r\n\r\n"],
  ];
  for (const [what, text] of wrong) {
    await using server = new ScriptedServer(() => text);
    const db = databaseAt(server.url);
    equal((await oramaError(db.query("SELECT 1"))).code, "INVALID_RESPONSE", what);
    const write = await oramaError(db.exec(insert));
    equal(write.code, "OUTCOME_UNKNOWN", what);
    match(write.message, /may have been applied/);
    equal((await oramaError(db.batch([insert]))).code, "OUTCOME_UNKNOWN", what);
    equal((await oramaError(db.createTable("CREATE TABLE t (x)"))).code, "OUTCOME_UNKNOWN", what);
    equal(server.requests.length, 4, `${what}: nothing is sent twice`);
  }
});

Deno.test("a redirect is not followed: the credential goes nowhere else", async () => {
  await using other = new ScriptedServer(() => ROWS);
  for (const status of [301, 302, 303, 307, 308]) {
    await using server = new ScriptedServer(() => answer(status, "", { location: `${other.url}/v1/rqlite/query` }));
    const error = await oramaError(databaseAt(server.url).query("SELECT 1"));
    equal(error.code, "INVALID_RESPONSE");
    ok(error.message.includes(other.url), error.message);
    equal((await oramaError(databaseAt(server.url).exec(insert))).code, "INVALID_RESPONSE");
    equal(server.requests.length, 2);
  }
  equal(other.requests.length, 0);
});

Deno.test("an error status without a gateway's words has the status for a code", async () => {
  await using server = new ScriptedServer((_request, _connection, count) =>
    answer(count === 1 ? 404 : 413, HTML, { "content-type": "text/html" })
  );
  const missing = await oramaError(databaseAt(server.url).findOne("t"));
  deepEqual([missing.code, missing.status], ["HTTP_404", 404]);
  equal((await oramaError(databaseAt(server.url).exec(insert))).code, "HTTP_413");
});

Deno.test("a write that is cut off is unknown, and sent once, wherever it is cut", async () => {
  const cuts: [string, string][] = [
    ["before the answer", ""],
    ["in its head", "HTTP/1.1 200 OK\r\ncontent-le"],
    ["in its body", DONE.slice(0, -10)],
    ["in a body in chunks", 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"row'],
    ["by a proxy", answer(502, HTML)],
    ["by a proxy that waited", answer(504, HTML)],
    ["by a proxy that knows no more", answer(503, HTML)],
  ];
  for (const [where, text] of cuts) {
    await using server = new ScriptedServer(() => text);
    const error = await oramaError(databaseAt(server.url).exec(insert));
    equal(error.code, "OUTCOME_UNKNOWN", where);
    ok(error.cause !== undefined, where);
    equal(server.requests.length, 1, where);
  }
});

Deno.test("a gateway that is not there is an error that can pass, for a read", async () => {
  const server = new ScriptedServer(() => ROWS);
  const { url } = server;
  await server[Symbol.asyncDispose]();
  const read = await oramaError(databaseAt(url).query("SELECT 1"));
  deepEqual([read.code, read.status], ["NETWORK_ERROR", 0]);
  equal((await oramaError(databaseAt(url).exec(insert))).code, "OUTCOME_UNKNOWN");
});

Deno.test("what takes too long ends: a read in TIMEOUT, a write in OUTCOME_UNKNOWN", async () => {
  const silent = () => new Promise<string>(() => {});
  for (const script of [silent, (_: unknown, connection: Deno.TcpConn) => drip(connection)]) {
    const server = new ScriptedServer(script);
    const db = databaseAt(server.url, { requestTimeout: 60 });
    equal((await oramaError(db.query("SELECT 1"))).code, "TIMEOUT");
    const write = await oramaError(db.exec(insert, [], { idempotencyKey: true }));
    equal(write.code, "OUTCOME_UNKNOWN");
    equal(server.requests.length, 2);
    void server[Symbol.asyncDispose]();
  }
  for (const requestTimeout of [0, -1, NaN, Infinity]) {
    await rejects(databaseAt("http://127.0.0.1:1", { requestTimeout }).query("SELECT 1"), RangeError);
  }
});

/** Sends the head of an answer, and never the rest. */
async function drip(connection: Deno.TcpConn): Promise<string> {
  await connection.write(new TextEncoder().encode('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"items":['));
  return await new Promise(() => {});
}
