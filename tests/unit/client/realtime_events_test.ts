import { deepEqual, equal, rejects } from "node:assert/strict";
import {
  createClient,
  type ServerEvent,
  subscribeEvents,
  type SubscribeEventsOptions,
} from "../../../src/client/index.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";
import { withCode } from "./support/realtime.ts";

const HEAD = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\nretry: 1000\n\n";
const RETRY = { firstPause: 1 };

const told = (event: string, members: Readonly<Record<string, unknown>>, id?: string) =>
  `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${JSON.stringify({ type: event, ...members })}\n\n`;
const message = (topic: string, data: unknown, id: string) => told("message", { topic, data, at: 1, position: id }, id);
const subscribed = (topic: string, id: string) => told("subscribed", { topic }, id);

/** The first events, as many as are wanted. */
async function take(server: ScriptedServer, count: number, topics: string[], options: SubscribeEventsOptions = {}) {
  const client = createClient({ url: server.url, apiKey: "ak_secret" });
  const all: ServerEvent<unknown>[] = [];
  for await (const event of subscribeEvents<unknown>(client, topics, { retry: RETRY, ...options })) {
    if (all.push(event) === count) break;
  }
  return all;
}

const tellOf = (event: ServerEvent<unknown>) =>
  event.kind === "message"
    ? event.data
    : event.kind === "recovered" || event.kind === "gap"
    ? [event.kind, event.reason]
    : event.kind;

Deno.test("topics, presence and place are asked for, and events come with the place behind them", async () => {
  const member = { id: "a", joined_at: 1, connections: 1 };
  await using server = new ScriptedServer(() =>
    HEAD + subscribed("a&b", "p1,") + message("a&b", { n: 1 }, "p2,") +
    told("join", { topic: "a&b", member, at: 7 }, "p2,") +
    "event: news\ndata: x\n\n:\n\n" + told("message", { topic: "é", data_base64: "AP8=", at: 2 }, "p2,")
  );
  const events = await take(server, 3, ["a&b", "é"], {
    presence: true,
    member: { id: "me", meta: { n: 1 } },
    since: "p0,",
  });
  deepEqual(events, [
    { kind: "recovered", topic: "a&b", recovered: false, reason: "no_history", missed: undefined, id: "p1," },
    { kind: "gap", topic: "a&b", reason: "no_history", since: undefined, position: undefined, id: "p1," },
    { kind: "message", topic: "a&b", data: { n: 1 }, at: 1, position: "p2,", id: "p2," },
  ], "it was said where the reader was, and the gateway did not say what came of it");
  const [request] = server.requests;
  const { pathname, searchParams } = new URL(request!.path, "http://x");
  equal(pathname, "/v1/pubsub/sse");
  deepEqual([...searchParams], [
    ["topic", "a&b"],
    ["topic", "é"],
    ["events", "presence"],
    ["presence", "true"],
    ["member_id", "me"],
    ["member_meta", '{"n":1}'],
  ]);
  deepEqual([request!.headers.get("last-event-id"), request!.headers.get("x-api-key")], ["p0,", "ak_secret"]);
  const rest = await take(server, 3, ["a&b", "é"]);
  deepEqual(rest.slice(1), [
    { kind: "join", topic: "a&b", member: { id: "a", meta: undefined, joinedAt: 1, connections: 1 }, at: 7, id: "p2," },
    { kind: "message", topic: "é", data: new Uint8Array([0, 255]), at: 2, position: undefined, id: "p2," },
  ]);
});

Deno.test("a stream that breaks off is gone on with where it was, and what came of it is told", async () => {
  await using server = new ScriptedServer((_request, _connection, count) => {
    const recovered = (recovered: boolean, more = {}) => told("recovered", { topic: "t", recovered, ...more });
    switch (count) {
      case 1:
        return HEAD + subscribed("t", "p1") + message("t", 2, "p2") + message("t", 3, "p3").slice(0, -4);
      case 2:
        return "";
      case 3:
        return failure(503, "UNAVAILABLE", { "retry-after": "0" });
      case 4:
        return HEAD + recovered(true) + message("t", 3, "p3") + subscribed("t", "p3") + told("overflow", {}) +
          message("t", 0, "p0");
      case 5:
        return HEAD + recovered(false, { unrecovered: "expired" }) + subscribed("t", "p9") +
          told("failure", { code: "INTERNAL" });
      default:
        return HEAD + recovered(true) + subscribed("t", "p9") + message("t", 10, "p10");
    }
  });
  const events = await take(server, 7, ["t"]);
  deepEqual(events.map(tellOf), [
    2,
    ["recovered", undefined],
    3,
    ["recovered", "expired"],
    ["gap", "expired"],
    ["recovered", undefined],
    10,
  ]);
  const ids = server.requests.map(({ headers }) => headers.get("last-event-id"));
  deepEqual(ids, [undefined, "p2", "p2", "p2", "p3", "p9"]);
});

Deno.test("a topic without history is told to have a gap after each break, and not before the first", async () => {
  await using server = new ScriptedServer(() =>
    HEAD + subscribed("t", "") + told("message", { topic: "t", data: 1, at: 1 }, "")
  );
  const events = await take(server, 4, ["t"]);
  deepEqual(events.map(tellOf), [1, ["recovered", "no_history"], ["gap", "no_history"], 1]);
  equal(server.requests[1]!.headers.has("last-event-id"), false);
});

Deno.test("reading ends with what no other try can mend, with a signal, and after as many tries as were asked for", async () => {
  const ends: [string, string][] = [
    [failure(403, "INSUFFICIENT_SCOPE"), "INSUFFICIENT_SCOPE"],
    [failure(401, "INVALID_CREDENTIAL"), "INVALID_CREDENTIAL"],
    [answer(200, {}), "INVALID_RESPONSE"],
    [`${HEAD}event: message\ndata: {\n\n`, "INVALID_RESPONSE"],
    [`${HEAD}event: message\ndata: {"data":1}\n\n`, "INVALID_RESPONSE"],
    [`${HEAD}event: message\ndata: {"topic":"t","data":1}\n\n`, "INVALID_RESPONSE"],
  ];
  for (const [text, code] of ends) {
    await using server = new ScriptedServer(() => text);
    await rejects(take(server, 1, ["t"]), withCode(code));
    equal(server.requests.length, 1);
  }
  await using server = new ScriptedServer(() => "");
  await rejects(take(server, 1, ["t"], { retry: { attempts: 2, firstPause: 1 } }), withCode("NETWORK_ERROR"));
  equal(server.requests.length, 3);
  const reason = new Error("enough"), controller = new AbortController();
  await using endless = new ScriptedServer((_request, _connection, count) => {
    if (count === 3) controller.abort(reason);
    return HEAD;
  });
  await rejects(take(endless, 1, ["t"], { signal: controller.signal }), reason);
});
