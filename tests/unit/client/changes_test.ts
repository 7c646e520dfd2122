import { deepEqual, equal, rejects } from "node:assert/strict";
import { eventsOf } from "../../../src/client/event_stream.ts";
import { collect, databaseAt, oramaError } from "./support/databases.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";

const HEAD = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n";
const READY = 'event: ready\nid: 1-5\ndata: {"position":"1-5"}\n\n';

const change = (number: number, more = "") =>
  `event: insert\nid: 1-${number}\ndata: {"id":"1-${number}","event":"insert","table":"t","key":{"id":${number}},` +
  `"before":null,"after":{"id":${number}${more}}}\n\n`;

/** The first changes, as many as are wanted. */
async function take<T>(changes: AsyncIterable<T>, count: number): Promise<T[]> {
  const all: T[] = [];
  for await (const one of changes) if (all.push(one) === count) break;
  return all;
}

const since = ({ requests }: ScriptedServer) =>
  requests.map(({ path }) => new URL(path, "http://x").searchParams.get("since"));

Deno.test("events are read as the standard reads them", async () => {
  const text =
    ":\n\nretry: 5\n\nevent: a\nid: 7\ndata: 1\ndata:2\ndata:  3\n\ndata\n\nid\n\nid: 8\n\nother: x\n:y\r\n\r\ndata: z\n";
  const events = await collect(eventsOf(new Blob([text]).stream()));
  deepEqual(events.filter(({ data }) => data !== undefined), [
    { event: "a", id: "7", data: "1\n2\n 3" },
    { event: "message", id: "7", data: "" },
  ]);
  equal(events.at(-1)?.id, "8");
  const unfinished = await collect(eventsOf(new Blob(["id: 1\n\nid: 2\n:\n"]).stream()));
  deepEqual(unfinished.map(({ id }) => id), ["1", "1"]);
});

Deno.test("changes come with their rows as asked for, of the tables that were named", async () => {
  await using server = new ScriptedServer(() => HEAD + READY + change(9007199254740993, ',"data":"AP8="'));
  const ready: string[] = [];
  const changes = databaseAt(server.url).changes(['a"b,c', "t"], {
    since: "0",
    blobs: ["data"],
    onReady: (position) => ready.push(position),
  });
  deepEqual(await take(changes, 1), [{
    id: "1-9007199254740992",
    event: "insert",
    table: "t",
    key: { id: 9007199254740992n },
    before: null,
    after: { id: 9007199254740992n, data: new Uint8Array([0, 255]) },
    tooLarge: false,
  }]);
  deepEqual(ready, ["1-5"]);
  const { searchParams } = new URL(server.requests[0]!.path, "http://x");
  deepEqual([searchParams.get("tables"), searchParams.get("since")], ['"a""b,c","t"', "0"]);
});

Deno.test("a connection that is lost is made again behind the last change, or the last sign of life", async () => {
  await using server = new ScriptedServer((_request, _connection, count) => {
    if (count === 1) return `${HEAD}${READY}${change(6)}${change(7).slice(0, -20)}`;
    if (count === 2) return "";
    if (count === 3) return failure(503, "UNAVAILABLE", { "retry-after": "0" });
    if (count === 4) return `${HEAD}${READY.replaceAll("1-5", "1-6")}:\nid: 1-40\n\n`;
    return `${HEAD}${READY.replaceAll("1-5", "1-40")}${change(41)}`;
  });
  const seen = await take(databaseAt(server.url).changes(["t"]), 2);
  deepEqual(seen.map(({ id }) => id), ["1-6", "1-41"]);
  deepEqual(since(server), ["now", "1-6", "1-6", "1-6", "1-40"]);
});

Deno.test("listening ends with the gateway's own failure, and with an answer that is no gateway's", async () => {
  const ends: [string, string][] = [
    [`${HEAD}${READY}event: failure\ndata: {"code":"NOT_FOUND","error":"the feed is off"}\n\n`, "NOT_FOUND"],
    [`${HEAD}${READY}event: failure\ndata: x\n\n`, "INVALID_RESPONSE"],
    [`${HEAD}${READY}event: insert\nid: 1\ndata: {"id":1}\n\n`, "INVALID_RESPONSE"],
    [`${HEAD}${READY}event: insert\nid: 1\ndata: {\n\n`, "INVALID_RESPONSE"],
    [answer(200, { items: [] }), "INVALID_RESPONSE"],
    [failure(404, "NOT_FOUND"), "NOT_FOUND"],
  ];
  for (const [text, code] of ends) {
    await using server = new ScriptedServer(() => text);
    equal((await oramaError(collect(databaseAt(server.url).changes(["t"])))).code, code, text);
    equal(server.requests.length, 1, text);
  }
});

Deno.test("a server that takes everyone and begins with no one is given up", async () => {
  await using server = new ScriptedServer(() => HEAD);
  equal((await oramaError(collect(databaseAt(server.url).changes(["t"])))).code, "NETWORK_ERROR");
  equal(server.requests.length, 4);
});

Deno.test("dropped tables and lost positions are told, and unknown events are left out", async () => {
  const text = 'event: dropped\nid: 1-6\ndata: {"id":"1-6","event":"dropped","table":"t","key":null}\n\n' +
    'event: news\ndata: {}\n\nevent: truncated\nid: 1-9\ndata: {"id":"1-9","event":"truncated"}\n\n';
  await using server = new ScriptedServer(() => HEAD + READY + text);
  deepEqual(await take(databaseAt(server.url).changes(["t"]), 2), [
    { id: "1-6", event: "dropped", table: "t" },
    { id: "1-9", event: "truncated" },
  ]);
});

Deno.test("a signal ends listening with its reason: while it waits, and between two connections", async () => {
  const reason = new Error("enough");
  for (const text of ["wait", HEAD]) {
    const controller = new AbortController();
    const server = new ScriptedServer(async (_request, connection) => {
      setTimeout(() => controller.abort(reason), 20);
      if (text !== "wait") return text;
      await connection.write(new TextEncoder().encode(HEAD + READY));
      return await new Promise(() => {});
    });
    await rejects(collect(databaseAt(server.url).changes(["t"], { signal: controller.signal })), reason);
    void server[Symbol.asyncDispose]();
  }
});
