import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { collect, databaseAt, oramaError } from "./support/databases.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";

const HEAD = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/x-ndjson; charset=utf-8\r\n\r\n";
const COLUMNS = '{"columns":["id","name"],"types":["integer","text"]}\n';
const lines = (text: string) => HEAD + text;

Deno.test("a stream gives rows by the names of their columns", async () => {
  const text = `{"columns":["__proto__","x","x","n","data"],"types":[]}\n[1,1,2,9007199254740993,"AP8="]\n`;
  await using server = new ScriptedServer(() => lines(`${text}{"end":true,"rows":1}\n`));
  const [row] = await collect(databaseAt(server.url).stream("SELECT ?", [1], { blobs: ["data"], level: "weak" }));
  deepEqual(Object.entries(row!), [
    ["__proto__", 1],
    ["x", 2],
    ["n", 9007199254740993n],
    ["data", new Uint8Array([0, 255])],
  ]);
  equal(server.requests[0]?.headers.get("accept"), "application/x-ndjson");
  deepEqual(server.sent(), { sql: "SELECT ?", args: [1], level: "weak" });
});

Deno.test("a stream without rows is none, and one that nobody reads asks nothing", async () => {
  await using server = new ScriptedServer(() => lines(`${COLUMNS}{"end":true,"rows":0}\n`));
  const db = databaseAt(server.url);
  db.stream("SELECT 1");
  deepEqual(await collect(db.stream("SELECT 1")), []);
  equal(server.requests.length, 1);
});

Deno.test("rows arrive whole, wherever the text is cut on its way", async () => {
  const text = `${COLUMNS}[1,"h\u00e9llo \u{1F600}"]\n[2,"\\n"]\n{"end":true,"rows":2}\n`;
  await using server = new ScriptedServer(async (_request, connection) => {
    await connection.write(new TextEncoder().encode(HEAD));
    for (const byte of new TextEncoder().encode(text)) await connection.write(new Uint8Array([byte]));
    return "";
  });
  const rows = await collect(databaseAt(server.url).stream("SELECT 1"));
  deepEqual(rows, [{ id: 1, name: "h\u00e9llo \u{1F600}" }, { id: 2, name: "\n" }]);
});

Deno.test("a stream without its end is an error, after the rows that came", async () => {
  const cut: [string, string][] = [
    ["behind a row", `${COLUMNS}[1,"a"]\n`],
    ["within a row", `${COLUMNS}[1,"a"]\n[2,"b`],
    ["within the end", `${COLUMNS}[1,"a"]\n{"end":true,"rows":1}`],
  ];
  for (const [where, text] of cut) {
    await using server = new ScriptedServer(() => lines(text));
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const row of databaseAt(server.url).stream("SELECT 1")) seen.push(row);
    })();
    equal((await oramaError(reading)).code, "NETWORK_ERROR", where);
    deepEqual(seen, [{ id: 1, name: "a" }], where);
  }
  await using chunked = new ScriptedServer(() =>
    `${HEAD.slice(0, -2)}transfer-encoding: chunked\r\n\r\n${COLUMNS.length.toString(16)}\r\n${COLUMNS}\r\n5\r\n[1,`
  );
  equal((await oramaError(collect(databaseAt(chunked.url).stream("SELECT 1")))).code, "NETWORK_ERROR");
  await using silent = new ScriptedServer(() => HEAD);
  equal((await oramaError(collect(databaseAt(silent.url).stream("SELECT 1")))).code, "NETWORK_ERROR");
});

Deno.test("an error that comes in the middle is the gateway's, in either form", async () => {
  const error = { error: "it took too long", code: "STATEMENT_TIMEOUT", request_id: "r-9" };
  for (const line of [error, { error }]) {
    await using server = new ScriptedServer(() => lines(`${COLUMNS}[1,"a"]\n${JSON.stringify(line)}\n`));
    const { code, message, requestId } = await oramaError(collect(databaseAt(server.url).stream("SELECT 1")));
    deepEqual([code, message, requestId], ["STATEMENT_TIMEOUT", "it took too long", "r-9"]);
  }
});

Deno.test("lines that are neither columns, rows nor end are no gateway's", async () => {
  const wrong = [
    "<html>\n",
    "[1]\n",
    `${COLUMNS}[1]\n{"end":true,"rows":1}\n`,
    `${COLUMNS}{"end":true,"rows":1}\n`,
    `${COLUMNS}${COLUMNS}`,
    `${COLUMNS}"x"\n`,
    `${COLUMNS}null\n`,
    `${COLUMNS}{"error":1}\n`,
    `${COLUMNS}\n`,
  ];
  for (const text of wrong) {
    await using server = new ScriptedServer(() => lines(text));
    equal((await oramaError(collect(databaseAt(server.url).stream("SELECT 1")))).code, "INVALID_RESPONSE", text);
  }
});

Deno.test("a gateway that does not stream is told from one that does", async () => {
  await using server = new ScriptedServer(() => answer(200, { items: [], count: 0 }));
  equal((await oramaError(collect(databaseAt(server.url).stream("SELECT 1")))).code, "INVALID_RESPONSE");
  await using refusing = new ScriptedServer((_request, _connection, count) =>
    count === 1 ? failure(503, "UNAVAILABLE", { "retry-after": "0" }) : failure(400, "SQL_INVALID")
  );
  equal((await oramaError(collect(databaseAt(refusing.url).stream("SELECT 1")))).code, "SQL_INVALID");
  equal(refusing.requests.length, 2, "before its first line it may begin again");
});

Deno.test("leaving the loop ends the request, and so does a signal, with its reason", async () => {
  for (const way of ["break", "signal"]) {
    const left = Promise.withResolvers<void>();
    await using server = new ScriptedServer(async (_request, connection) => {
      await connection.write(new TextEncoder().encode(HEAD + COLUMNS + '[1,"a"]\n'));
      // Ends when the client closes its side.
      await connection.read(new Uint8Array(1)).catch(() => {});
      left.resolve();
      return "";
    });
    const controller = new AbortController();
    const reason = new Error("enough");
    const reading = (async () => {
      for await (const _ of databaseAt(server.url).stream("SELECT 1", [], { signal: controller.signal })) {
        if (way === "break") break;
        controller.abort(reason);
      }
    })();
    if (way === "break") await reading;
    else await rejects(reading, reason);
    await left.promise;
  }
});

Deno.test("a reader that is slow makes the sender wait", async () => {
  const row = `[1,"${"x".repeat(1000)}"]\n`;
  const total = 64 * 1024;
  let sent = 0;
  const sender = (told: () => void) =>
    new ScriptedServer(async (_request, connection) => {
      await connection.write(new TextEncoder().encode(HEAD + COLUMNS));
      const bytes = new TextEncoder().encode(row);
      for (let n = 0; n < total; n++, told()) {
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
      }
      return `{"end":true,"rows":${total}}\n`;
    });
  await using slow = sender(() => sent++);
  await using swift = sender(() => {});
  let seen = 0;
  for await (const _ of databaseAt(slow.url).stream("SELECT 1")) {
    if (++seen === 10) {
      // While these are read to their end, the other could send as much, if anybody took it.
      for (let turn = 0; turn < 3; turn++) {
        for await (const _ of databaseAt(swift.url).stream("SELECT 1"));
      }
      // What the socket and the platform hold is far less than all of it.
      ok(sent < total / 2, `${sent} rows were sent to a reader that had read 10`);
    }
  }
  equal(seen, total);
});
