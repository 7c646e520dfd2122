import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn, uniqueName } from "../support/accounts.ts";
import { withinPromised } from "../support/alone.ts";
import { frameOf, OPCODES, RawSocket } from "../support/raw_sockets.ts";
import { dataOf, TestSocket, type Told } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite();
const { test } = suite;

const pathOf = ({ apiKey }: Pick<SignedIn, "apiKey">, topic: string, more = "") =>
  `/v1/pubsub/ws?topic=${encodeURIComponent(topic)}&api_key=${apiKey}${more}`;

const open = (owner: SignedIn, topic: string, more = "") =>
  TestSocket.open(suite.gateway.url, pathOf(owner, topic, more));

const as = (member: string, meta?: unknown) =>
  `&presence=true&member_id=${member}` +
  (meta === undefined ? "" : `&member_meta=${encodeURIComponent(JSON.stringify(meta))}`);

const publish = (owner: SignedIn, body: unknown, headers: Record<string, string> = {}) =>
  suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, body, headers });

const base64 = (text: string) => new TextEncoder().encode(text).toBase64();

test("all subscribers get each message once, in the order of one publisher, as an envelope", async () => {
  await using owner = await newOwner(suite.gateway);
  await using a = await open(owner, "chat:lobby");
  await using b = await open(owner, "chat:lobby");
  for (let i = 0; i < 20; i++) (await publish(owner, { topic: "chat:lobby", data_base64: base64(`${i}`) })).expect(200);
  for (const socket of [a, b]) {
    const told = await socket.next(20);
    deepEqual(told.map(dataOf), Array.from({ length: 20 }, (_, i) => `${i}`));
    deepEqual(Object.keys(told[0]!).toSorted(), ["data", "timestamp", "topic"]);
    equal(told[0]!.topic, "chat:lobby");
    ok(Number.isInteger(told[0]!.timestamp) && Math.abs(Number(told[0]!.timestamp) - Date.now()) < 60_000);
  }
});

test("a frame is published as it is, and comes back to who sent it", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner, "t");
  await using other = await open(owner, "t");
  socket.socket.send("héllo\n");
  socket.socket.send(new Uint8Array([0, 255, 10]));
  for (const one of [socket, other]) {
    const [text, bytes] = await one.next(2);
    equal(dataOf(text!), "héllo\n");
    equal(bytes!.data, "AP8K");
  }
});

test("fifty rapid messages all arrive, and ones that are alike as often as they were sent", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner, "t");
  for (let i = 0; i < 50; i++) socket.socket.send("same");
  deepEqual(new Set((await socket.next(50)).map(dataOf)), new Set(["same"]));
});

test("an empty frame is an envelope with empty data", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner, "t");
  socket.socket.send("");
  equal((await socket.next(1))[0]!.data, "");
});

test("100 KiB arrive byte by byte; as text only where they are UTF-8", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner, "t");
  const bytes = Uint8Array.from({ length: 100 * 1024 }, (_, i) => i % 256);
  socket.socket.send(bytes);
  equal((await socket.next(1))[0]!.data, bytes.toBase64());
  await using raw = await RawSocket.open(suite.gateway.url, pathOf(owner, "t"));
  await raw.send(frameOf(OPCODES.text, bytes));
  await raw.end();
  (await publish(owner, { topic: "t", data: "after" })).expect(200);
  equal(dataOf((await socket.next(1))[0]!), '"after"');
});

test("a sign of life is swallowed without an answer, and any other JSON is a message", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner, "t");
  const payloads = [
    '{"type":"ping"}',
    ' {"a":1, "type" : "ping"}',
    '{"type":"p\\u0069ng"}',
    '{"type":"publish"}',
    '["ping"]',
    "ping",
  ];
  for (const payload of payloads) socket.socket.send(payload);
  deepEqual((await socket.next(3)).map(dataOf), payloads.slice(3));
});

test("topics are apart from each other, and from those of another namespace by any spelling", async () => {
  await using one = await newOwner(suite.gateway);
  await using two = await newOwner(suite.gateway, uniqueName(), ethereumWallet());
  await using listening = await open(one, "t");
  const spellings = [
    "T",
    "t ",
    `${one.namespace}/t`,
    `../${one.namespace}/t`,
    `${one.namespace}.t`,
    "t/",
    "é",
    "e\u0301",
  ];
  for (const topic of spellings) (await publish(one, { topic, data: "other topic" })).expect(200);
  for (const topic of ["t", ...spellings]) (await publish(two, { topic, data: "other namespace" })).expect(200);
  (await publish(one, { topic: "t", data: "mine" })).expect(200);
  deepEqual((await listening.next(1)).map(dataOf), ['"mine"']);
  deepEqual((await suite.gateway.call("GET", "/v1/pubsub/topics", { key: two.apiKey })).expect(200).body, {
    topics: [],
  });
}, { namespaces: 2 });

test("who comes and leaves is told once each, in both forms that there are clients for", async () => {
  await using owner = await newOwner(suite.gateway);
  await using first = await open(owner, "room", as("u1", { name: "Ada" }));
  const [own] = await first.next(1);
  const inner = (told: Told) => JSON.parse(dataOf(told));
  deepEqual([own!.type, own!.member_id, own!.meta, own!.topic], ["presence.join", "u1", { name: "Ada" }, "room"]);
  deepEqual([inner(own!).type, inner(own!).member_id, inner(own!).meta], ["presence.join", "u1", { name: "Ada" }]);
  equal(inner(own!).timestamp, Math.floor(Number(own!.timestamp) / 1000));
  const second = await open(owner, "room", as("u2"));
  equal((await first.next(1))[0]!.member_id, "u2");
  const present = await suite.gateway.call("GET", "/v1/pubsub/presence?topic=room", { key: owner.apiKey });
  deepEqual([present.expect(200).get("topic"), present.get("count")], ["room", 2]);
  const [member] = present.list("members");
  deepEqual([member!.member_id, member!.memberId, member!.meta, member!.connections], ["u1", "u1", { name: "Ada" }, 1]);
  equal(member!.joined_at, Math.floor(Number(member!.joinedAt) / 1000));
  const left = performance.now();
  await second[Symbol.asyncDispose]();
  const [leave] = await first.next(1);
  ok(performance.now() - left < withinPromised(5_000));
  deepEqual([leave!.type, leave!.member_id, inner(leave!).type], ["presence.leave", "u2", "presence.leave"]);
  equal(first.frames.length, 3, "nothing else in between");
});

test("a connection that breaks off leaves at once, too", async () => {
  await using owner = await newOwner(suite.gateway);
  await using first = await open(owner, "room", as("u1"));
  await first.next(1);
  const raw = await RawSocket.open(suite.gateway.url, pathOf(owner, "room", as("u2")));
  equal((await first.next(1))[0]!.type, "presence.join");
  raw.leave();
  equal((await first.next(1))[0]!.type, "presence.leave");
  await raw[Symbol.asyncDispose]();
});

test("two sockets of one member are one member with two connections, who leaves with the last", async () => {
  await using owner = await newOwner(suite.gateway);
  await using watching = await open(owner, "room");
  const a = await open(owner, "room", as("u"));
  const b = await open(owner, "room", as("u"));
  const presence = async () =>
    (await suite.gateway.call("GET", "/v1/pubsub/presence?topic=room", { key: owner.apiKey })).expect(200);
  await until("both count", async () => (await presence()).get("members.0.connections") === 2);
  equal((await presence()).get("count"), 1);
  await a[Symbol.asyncDispose]();
  await until("one is left", async () => (await presence()).get("members.0.connections") === 1);
  await b[Symbol.asyncDispose]();
  deepEqual((await watching.next(2)).map(({ type }) => type), ["presence.join", "presence.leave"]);
  equal((await presence()).get("count"), 0);
});

test("those who are present are told in pages, and whoever asks for none gets all that there are", async () => {
  await using owner = await newOwner(suite.gateway);
  const names = ["a", "b", "c", "d", "e"];
  await using sockets = new AsyncDisposableStack();
  for (const name of names) sockets.use(await open(owner, "room", as(name)));
  const read = (query: string) =>
    suite.gateway.call("GET", `/v1/pubsub/presence?topic=room${query}`, { key: owner.apiKey });
  const ids = (answer: Awaited<ReturnType<typeof read>>) => answer.list("members").map(({ member_id }) => member_id);
  const all = (await read("")).expect(200);
  deepEqual([ids(all), all.get("count"), all.get("next")], [names, 5, null]);
  const first = (await read("&limit=2")).expect(200);
  deepEqual([ids(first), first.get("count")], [["a", "b"], 5]);
  const second = (await read(`&limit=2&after=${first.string("next")}`)).expect(200);
  const third = (await read(`&limit=2&after=${second.string("next")}`)).expect(200);
  deepEqual([ids(second), ids(third), third.get("next")], [["c", "d"], ["e"], null]);
  for (
    const [wrong, field] of [["limit=0", "limit"], ["limit=1001", "limit"], ["after=x", "after"], [
      "after=%FF",
      "after",
    ]]
  ) {
    const refused = await read(`&${wrong}`);
    deepEqual([refused.status, refused.get("details.0.field")], [400, field], String(wrong));
  }
});

test("topics with a subscriber here are listed, and none is an empty list", async () => {
  await using owner = await newOwner(suite.gateway);
  const topics = async () =>
    (await suite.gateway.call("GET", "/v1/pubsub/topics", { key: owner.apiKey })).expect(200).body;
  deepEqual(await topics(), { topics: [] });
  const socket = await open(owner, "b");
  await using _ = await open(owner, "a");
  deepEqual(await topics(), { topics: ["a", "b"] });
  await socket[Symbol.asyncDispose]();
  await until("it is gone", async () => JSON.stringify(await topics()) === '{"topics":["a"]}');
});

test("what is no publication is a mistake that is named", async () => {
  await using owner = await newOwner(suite.gateway);
  for (
    const body of [
      {},
      { topic: "t" },
      { topic: "", data: 1 },
      { topic: "t", data_base64: "" },
      { topic: "t", data_base64: "a", data: 1 },
      { topic: "a\u0000b", data: 1 },
      { topic: "x".repeat(256), data: 1 },
    ]
  ) {
    const answer = await publish(owner, body);
    equal(answer.status, 400, JSON.stringify(body));
    match(answer.string("error"), /^invalid body: expected \{topic,data_base64\}|data/);
  }
  equal((await publish(owner, { topic: "t", data_base64: "a_-b" })).expect(400).get("error"), "invalid base64 data");
  equal((await publish(owner, { topic: "t", data_base64: base64("x".repeat(700_000)) })).status, 200);
  for (
    const [path, sentence] of [["/v1/pubsub/presence", "missing 'topic'"], ["/v1/pubsub/history", "missing 'topic'"]]
  ) {
    equal((await suite.gateway.call("GET", path!, { key: owner.apiKey })).expect(400).get("error"), sentence);
  }
});

test("JSON is passed on to the last digit, and a key publishes once", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner, "t");
  const raw = '{"topic":"t","data":{"n":12345678901234567890,"f":1.10}}';
  const send = () =>
    suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, raw, headers: { "idempotency-key": "k1" } });
  const first = (await send()).expect(200), second = (await send()).expect(200);
  deepEqual([first.get("status"), first.get("repeated"), second.get("repeated")], ["ok", undefined, true]);
  equal(second.get("position"), first.get("position"));
  const other = await publish(owner, { topic: "t", data: "another" }, { "idempotency-key": "k1" });
  equal(other.expect(422).get("code"), "IDEMPOTENCY_KEY_REUSED");
  (await publish(owner, { topic: "t", data: "end" })).expect(200);
  deepEqual((await socket.next(2)).map(dataOf), ['{"n":12345678901234567890,"f":1.10}', '"end"']);
});

test("a batch publishes all or nothing, to each topic in its order", async () => {
  await using owner = await newOwner(suite.gateway);
  await using a = await open(owner, "a");
  await using b = await open(owner, "b");
  const send = (messages: unknown, headers = {}) =>
    suite.gateway.call("POST", "/v1/pubsub/publish-batch", { key: owner.apiKey, body: { messages }, headers });
  const wrong = await send([{ topic: "a", data: 1 }, { topic: "b", data_base64: "?" }]);
  deepEqual(wrong.expect(400).list("details")[0]!.field, "messages.1.data_base64");
  const messages = [{ topic: "a", data: 1 }, { topic: "b", data_base64: "AA==" }, { topic: "a", data: 2 }];
  const done = (await send(messages, { "idempotency-key": "batch" })).expect(200);
  deepEqual([done.get("published"), done.list("topics").map(({ topic }) => topic)], [3, ["a", "b"]]);
  for (const told of done.list("topics")) {
    deepEqual(Object.keys(told), ["topic", "position", "repeated"]);
    equal(typeof told.position, "string");
  }
  equal((await send(messages, { "idempotency-key": "batch" })).expect(200).get("published"), 0);
  deepEqual((await a.next(2)).map(dataOf), ["1", "2"]);
  deepEqual((await b.next(1)).map(({ data }) => data), ["AA=="]);
  (await send([{ topic: "a", data: "end" }])).expect(200);
  equal(dataOf((await a.next(1))[0]!), '"end"');
});

test("refusals come before the upgrade, as ordinary answers", async () => {
  await using owner = await newOwner(suite.gateway);
  const ask = (path: string) => suite.gateway.call("GET", path, { key: owner.apiKey });
  equal((await ask("/v1/pubsub/ws")).expect(400).get("error"), "missing 'topic'");
  equal((await ask("/v1/pubsub/ws?topic=t")).expect(426).headers.get("upgrade"), "websocket");
  const status = async (path: string, headers: Record<string, string | undefined> = {}) => {
    await using raw = await RawSocket.open(suite.gateway.url, path, headers);
    return raw.status;
  };
  const key = { "X-API-Key": owner.apiKey };
  equal(await status("/v1/pubsub/ws?topic=t"), 401);
  equal(await status("/v1/pubsub/ws?topic=t&presence=true", key), 400);
  equal(
    await status(
      `/v1/pubsub/ws?topic=t&presence=true&member_id=u&member_meta=%7B%22x%22%3A%22${"y".repeat(5_000)}%22%7D`,
      key,
    ),
    400,
  );
  equal(await status("/v1/pubsub/ws?topic=t&presence=true&member_id=u&member_meta=nonsense", key), 101);
  equal(await status("/v1/pubsub/ws?topic=t", { ...key, "Sec-WebSocket-Version": "8" }), 426);
  equal(await status("/v1/pubsub/ws?topic=t", { ...key, "Sec-WebSocket-Key": "x" }), 400);
  equal(await status("/v1/pubsub/ws?topic=t", { ...key, "Connection": "Upgrade;UPGRADE" }), 426);
  equal(await status("/v1/pubsub/ws?topic=t", { ...key, "Upgrade": "h2c\r\nUpgrade: websocket" }), 426);
  equal(await status("/v1/pubsub/ws?topic=t", key), 101);
  match(suite.gateway.log(), /"route":"\/v1\/pubsub\/ws","status":101/);
});
