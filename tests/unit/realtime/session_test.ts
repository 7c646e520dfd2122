import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { deliveryOf, messageOf } from "./support/fake_pubsub.ts";
import { somebody } from "./support/live.ts";
import { knownSession, sessionOf } from "./support/sessions.ts";

const frames: [what: string, frame: string, reason: RegExp][] = [
  ["no JSON", "{", /no JSON/],
  ["a list", "[]", /no object/],
  ["null", "null", /no object/],
  ["nothing", "", /at least/],
  ["blank lines", "\n\n", /at least/],
  ["no type", "{}", /known type/],
  ["an unknown type", '{"type":"toString"}', /known type/],
  ["a type that is none", '{"type":{}}', /known type/],
  ["a bomb of brackets", "[".repeat(100_000), /no JSON/],
  ["a closed bomb without a type", "[".repeat(5_000) + "]".repeat(5_000), /no object/],
  ["too many commands", Array(11).fill('{"type":"ping"}').join("\n"), /at most 10/],
  ["too many lines", "\n".repeat(500) + '{"type":"ping"}', /at most 10/],
];

for (const [what, frame, reason] of frames) {
  Deno.test(`a frame that is none ends the socket with 4400: ${what}`, async () => {
    const { session, socket, turn } = knownSession({ rules: { maxMessageBytes: 1_000_000 } });
    session.message(frame);
    await turn();
    equal(socket.code(), 4400);
    match(socket.closedWith!.reason, reason);
    ok(socket.closedWith!.reason.length <= 123);
  });
}

Deno.test("bytes are no frame, and too many characters are 1009", () => {
  const bytes = knownSession();
  bytes.session.message(new ArrayBuffer(3));
  equal(bytes.socket.code(), 4400);
  const large = knownSession();
  large.session.message("x".repeat(100_000));
  equal(large.socket.code(), 1009);
});

Deno.test("a stranger may send a credential, and nothing large", () => {
  const { session, socket } = sessionOf();
  session.message(JSON.stringify({ type: "connect", token: "x".repeat(40_000) }));
  equal(socket.code(), 1009);
});

Deno.test("a command before a credential is answered, and ends the socket with 4401", async () => {
  const { say, socket } = sessionOf();
  const [answer] = await say({ id: 1, type: "subscribe", topic: "t" });
  deepEqual([answer?.id, answer?.type, answer?.code], [1, "error", "UNAUTHENTICATED"]);
  equal(socket.code(), 4401);
});

Deno.test("whoever says nothing for ten seconds is closed with 4401", async () => {
  const { pass, socket } = sessionOf();
  await pass(9_900);
  equal(socket.code(), undefined);
  await pass(200);
  equal(socket.code(), 4401);
});

Deno.test("connect takes a key or a token, and what came behind it in the same frame waits for it", async () => {
  const { say, authenticator, connections } = sessionOf();
  authenticator.known.set("a.b.c", somebody({ id: "session", kind: "jwt", expiresAt: 1_700_000_900_000 }));
  authenticator.cold.add("a.b.c");
  const told = await say({ id: 1, type: "connect", token: "a.b.c" }, { id: 2, type: "subscribe", topic: "t" });
  deepEqual(told.map(({ id, type }) => [id, type]), [[1, "ok"], [2, "ok"]]);
  const { client, namespace, expires_at, ping_interval, max_frame_bytes } = told[0]!;
  deepEqual([client, namespace, expires_at, ping_interval], ["request-1", "shop", 1_700_000_900_000, 25_000]);
  ok(Number(max_frame_bytes) > 1_333);
  deepEqual(connections.figures().open, { realtime: 1, topic: 0, events: 0, function: 0 });
  equal(connections.figures().unauthenticated, 0);
});

Deno.test("a credential that is not good ends the socket, and an operator's too", async () => {
  const unknown = sessionOf();
  const [answer] = await unknown.say({ id: 1, type: "connect", token: "nothing" });
  equal(answer?.code, "INVALID_CREDENTIAL");
  equal(unknown.socket.code(), 4401);
  const operator = sessionOf();
  operator.authenticator.known.set("key", somebody({ operator: true, namespace: "" }));
  equal((await operator.say({ id: 1, type: "connect", token: "key" }))[0]?.code, "FORBIDDEN");
  equal(operator.socket.code(), 4403);
  const none = sessionOf();
  equal((await none.say({ id: 1, type: "connect" }))[0]?.code, "UNAUTHENTICATED");
  equal(none.socket.code(), 4401);
});

Deno.test("too many sockets of a namespace are 4430", async () => {
  const { say, authenticator, socket, connections } = sessionOf({ rules: { maxSockets: 0 } });
  authenticator.known.set("key", somebody());
  equal((await say({ id: 1, type: "connect", token: "key" }))[0]?.code, "TOO_MANY_SOCKETS");
  equal(socket.code(), 4430);
  equal(connections.figures().unauthenticated, 0);
});

Deno.test("a page of another origin may not connect where the namespace names origins", async () => {
  const rules = { origins: ["https://app.example"] };
  for (const [origin, code] of [["https://evil.example", 4403], ["https://app.example", undefined]] as const) {
    const { say, authenticator, socket } = sessionOf({ rules, origin });
    authenticator.known.set("key", somebody());
    await say({ id: 1, type: "connect", token: "key" });
    equal(socket.code(), code);
  }
});

Deno.test("a mistake names its field, and the socket goes on", async () => {
  const { say, socket } = knownSession();
  const mistakes: [Record<string, unknown>, string][] = [
    [{ type: "subscribe" }, "topic"],
    [{ type: "subscribe", topic: 7 }, "topic"],
    [{ type: "subscribe", topic: "" }, "topic"],
    [{ type: "subscribe", topic: "x".repeat(256) }, "topic"],
    [{ type: "subscribe", topic: "a\u0000" }, "topic"],
    [{ type: "subscribe", topic: "t", since: 4 }, "since"],
    [{ type: "subscribe", topic: "t", presence: "yes" }, "presence"],
    [{ type: "subscribe", topic: "t", member: {} }, "member.id"],
    [{ type: "subscribe", topic: "t", member: { id: "m", meta: { x: "y".repeat(200) } } }, "member.meta"],
    [{ type: "publish", topic: "t" }, "data"],
    [{ type: "publish", topic: "t", data: 1, data_base64: "AA==" }, "data_base64"],
    [{ type: "publish", topic: "t", data_base64: "AA" }, "data_base64"],
    [{ type: "publish", topic: "t", messages: [] }, "messages"],
    [{ type: "publish", topic: "t", messages: [{ data: 1 }, {}] }, "messages.1.data"],
    [{ type: "publish", topic: "t", messages: [{ data: 1 }], data: 2 }, "data"],
    [{ type: "history", topic: "t", limit: 0 }, "limit"],
    [{ type: "history", topic: "t", limit: 1.5 }, "limit"],
    [{ type: "refresh" }, "token"],
  ];
  for (const [command, field] of mistakes) {
    const [answer] = await say({ id: 1, ...command });
    equal(answer?.code, "INVALID_REQUEST", JSON.stringify(command));
    deepEqual((answer!.details as { field: string }[]).map((one) => one.field), [field], JSON.stringify(command));
  }
  const [huge] = await say('{"id":1,"type":"publish","topic":"t","data":[1e999]}');
  equal(huge?.code, "INVALID_REQUEST");
  const [wrongId] = await say({ id: { a: 1 }, type: "ping" });
  deepEqual([wrongId?.id, wrongId?.type, wrongId?.code], [undefined, "error", "INVALID_REQUEST"]);
  deepEqual(await say({ id: "a", type: "ping" }), [{ id: "a", type: "ok" }]);
  equal(socket.code(), undefined);
});

Deno.test("a command that nests too deep is a mistake of its own, and the others of its frame are carried out", async () => {
  const { say, socket, pubsub } = knownSession({ rules: { maxMessageBytes: 1_000_000 } });
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  const publish = (id: number, depth: number) => `{"id":${id},"type":"publish","topic":"t","data":${nested(depth)}}`;
  const told = await say(
    publish(1, 63),
    publish(2, 64),
    publish(3, 100_000),
    `{"id":4,"type":"ping","${"x".repeat(1_000)}":${nested(100)}}`,
    `{"id":5,"type":"connect","token":${nested(100)}}`,
    { id: 6, type: "ping" },
  );
  const fields = told.map(({ id, code, details }) => [id, code, (details as { field: string }[])?.[0]?.field]);
  deepEqual(fields.toSorted(), [
    [1, undefined, undefined],
    [2, "INVALID_REQUEST", "data"],
    [3, "INVALID_REQUEST", "data"],
    [4, "INVALID_REQUEST", "x".repeat(64)],
    [5, "INVALID_REQUEST", "token"],
    [6, undefined, undefined],
  ]);
  equal(pubsub.published.length, 1);
  equal(socket.code(), undefined);
});

Deno.test("a command without an id is answered only when it fails", async () => {
  const { say, pubsub } = knownSession();
  deepEqual(await say({ type: "publish", topic: "t", data: 1 }), []);
  equal(pubsub.published.length, 1);
  const [failed] = await say({ type: "unsubscribe", topic: "t" });
  deepEqual([failed?.type, failed?.code, "id" in failed!], ["error", "NOT_FOUND", false]);
});

Deno.test("an id that comes twice is answered twice", async () => {
  const { say } = knownSession();
  deepEqual(await say({ id: 7, type: "ping" }, { id: 7, type: "ping" }), [{ id: 7, type: "ok" }, {
    id: 7,
    type: "ok",
  }]);
});

Deno.test("JSON is published to the last digit, and comes back so", async () => {
  const { say, pubsub } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "t" });
  const told = await say('{"id":2,"type":"publish","topic":"t","data":{"n":12345678901234567890,"f":1.10}}');
  deepEqual(pubsub.published[0]?.messages, ['{"n":12345678901234567890,"f":1.10}']);
  equal(told.length, 2);
});

Deno.test("JSON that was published with line breaks in it stays one line", async () => {
  const { say, pubsub, turn, socket } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "t" });
  pubsub.deliver("shop", deliveryOf("t", messageOf('{\r\n  "a": 1\n}', "p1")));
  await turn();
  equal(socket.sent[0], '{"type":"message","topic":"t","data":{    "a": 1 },"at":1700000000000,"position":"p1"}');
});

Deno.test("commands about one topic keep their order, and one topic that waits keeps no other waiting", async () => {
  const { say, pubsub, turn, socket } = knownSession();
  const gate = Promise.withResolvers<void>();
  pubsub.gate = gate.promise;
  deepEqual(await say({ id: 1, type: "subscribe", topic: "a" }), []);
  pubsub.gate = undefined;
  const others = await say(
    { id: 2, type: "publish", topic: "a", data: 1 },
    { id: 3, type: "publish", topic: "b", data: 2 },
    { id: 4, type: "unsubscribe", topic: "a" },
  );
  deepEqual(others.map(({ id }) => id), [3]);
  gate.resolve();
  await turn();
  await turn();
  deepEqual(socket.take().map(({ id, type }) => id ?? type), [1, "message", 2, 4]);
  equal(pubsub.count("shop", "a"), 0);
});

Deno.test("a topic is subscribed once, and no more of them than a socket may have", async () => {
  const { say, pubsub } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "a" });
  equal((await say({ id: 2, type: "subscribe", topic: "a" }))[0]?.code, "CONFLICT");
  equal(pubsub.count("shop", "a"), 1);
  const told = await say(...["b", "c", "d"].map((topic, i) => ({ id: i + 3, type: "subscribe", topic })));
  deepEqual(told.map(({ id, type, code }) => [id, code ?? type]).toSorted(), [
    [3, "ok"],
    [4, "ok"],
    [5, "TOO_MANY_SUBSCRIPTIONS"],
  ]);
  equal((await say({ id: 6, type: "unsubscribe", topic: "nothing" }))[0]?.code, "NOT_FOUND");
});

Deno.test("rights are those of the credential, topic by topic", async () => {
  const known = somebody({ topics: { publish: ["out.*"], subscribe: ["in.*"], presence: ["in.a"] }, memberId: "me" });
  const { say } = knownSession({ known });
  const codes = async (command: Record<string, unknown>) => (await say({ id: 1, ...command }))[0]?.code;
  equal(await codes({ type: "publish", topic: "in.a", data: 1 }), "FORBIDDEN");
  equal(await codes({ type: "publish", topic: "out.a", data: 1 }), undefined);
  equal(await codes({ type: "subscribe", topic: "out.a" }), "FORBIDDEN");
  equal(await codes({ type: "history", topic: "out.a" }), "FORBIDDEN");
  equal(await codes({ type: "presence", topic: "in.b" }), "FORBIDDEN");
  equal(await codes({ type: "subscribe", topic: "in.b", presence: true }), "FORBIDDEN");
  equal(await codes({ type: "subscribe", topic: "in.a", member: { id: "somebody" } }), "FORBIDDEN");
  equal(await codes({ type: "subscribe", topic: "in.a", member: { id: "me" }, presence: true }), undefined);
  const narrow = knownSession({ known: somebody({ scopes: new Set(["pubsub:subscribe"] as const) }) });
  const [answer] = await narrow.say({ id: 1, type: "publish", topic: "t", data: 1 });
  deepEqual([answer?.code, answer?.details], ["INSUFFICIENT_SCOPE", { required_scope: "pubsub:publish" }]);
});

Deno.test("what the service refuses is answered, with when to try again; a defect is told and hidden", async () => {
  const { say, pubsub, failures } = knownSession();
  pubsub.refusal = new GatewayError("RATE_LIMITED", "too fast", { retryAfter: 0.25 });
  const [limited] = await say({ id: 1, type: "publish", topic: "t", data: 1 });
  deepEqual([limited?.code, limited?.retry_after], ["RATE_LIMITED", 0.25]);
  deepEqual(failures, []);
  pubsub.refusal = new Error("secret of the engine") as GatewayError;
  const [broken] = await say({ id: 2, type: "publish", topic: "t", data: 1 });
  deepEqual([broken?.code, broken?.error], ["INTERNAL", "internal error"]);
  equal(failures.length, 1);
});

Deno.test("what was recovered is in the answer, in its order", async () => {
  const { say, pubsub } = knownSession();
  pubsub.beginning = {
    position: "p9",
    recovered: true,
    missed: [messageOf('"a"', "p8"), { ...messageOf("", "p9"), data: new Uint8Array([255]), json: false }],
  };
  deepEqual(await say({ id: 1, type: "subscribe", topic: "t", since: "p7" }), [{
    id: 1,
    type: "ok",
    topic: "t",
    position: "p9",
    recovered: true,
    missed: [
      { type: "message", topic: "t", data: "a", at: 1_700_000_000_000, position: "p8" },
      { type: "message", topic: "t", data_base64: "/w==", at: 1_700_000_000_000, position: "p9" },
    ],
  }]);
});

Deno.test("a subscription that the service ends is told, and can be made again", async () => {
  const { say, pubsub, turn, socket } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "t" });
  pubsub.end("shop", "t");
  await turn();
  deepEqual(socket.take(), [{ type: "unsubscribed", topic: "t", reason: "ended" }]);
  equal((await say({ id: 2, type: "subscribe", topic: "t" }))[0]?.type, "ok");
});
