import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { TestSocket } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

const open = (owner: Pick<SignedIn, "apiKey">) =>
  TestSocket.open(suite.gateway.url, `/v1/realtime?api_key=${owner.apiKey}`, ["orama.v1"]);

const publish = async (owner: SignedIn, topic: string, data: unknown) =>
  (await suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, body: { topic, data } })).expect(200);

test("one socket has many topics, and gets each message once, in order, with where it stands", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  equal(socket.socket.protocol, "orama.v1");
  for (const topic of ["a", "b", "räume/1 ✓"]) await socket.done({ type: "subscribe", topic });
  for (let n = 0; n < 10; n++) await publish(owner, n % 2 ? "a" : "räume/1 ✓", n);
  await publish(owner, "c", "not subscribed");
  await publish(owner, "b", "end");
  await until("all have come", () => socket.of("message").length === 11);
  deepEqual(socket.of("message").filter(({ topic }) => topic === "a").map(({ data }) => data), [1, 3, 5, 7, 9]);
  const [first] = socket.of("message");
  deepEqual([first!.topic, first!.data, typeof first!.position, typeof first!.at], [
    "räume/1 ✓",
    0,
    "string",
    "number",
  ]);
  await socket.done({ type: "unsubscribe", topic: "b" });
  await publish(owner, "b", "late");
  await publish(owner, "a", "last");
  await until("the last has come", () => socket.of("message").at(-1)?.data === "last");
  equal(socket.of("message").length, 12);
});

test("whoever comes back with a position gets exactly what it missed", async () => {
  await using owner = await newOwner(suite.gateway);
  const first = await open(owner);
  await first.done({ type: "subscribe", topic: "t" });
  await publish(owner, "t", 1);
  await until("it has come", () => first.of("message").length === 1);
  const [{ position: since } = {}] = first.of("message");
  await first[Symbol.asyncDispose]();
  for (const n of [2, 3]) await publish(owner, "t", n);
  await using again = await open(owner);
  const answer = await again.done({ type: "subscribe", topic: "t", since });
  deepEqual([answer.recovered, (answer.missed as { data: number }[]).map(({ data }) => data)], [true, [2, 3]]);
  await publish(owner, "t", 4);
  await until("it goes on", () => again.of("message").length === 1);
  equal(again.of("message")[0]!.data, 4);
  const wrong = await again.ask({ type: "subscribe", topic: "u", since });
  equal(wrong.code, "INVALID_REQUEST");
});

test("what was missed comes in frames that a slow line carries, and before whatever is new", async () => {
  await using owner = await newOwner(suite.gateway);
  const first = await open(owner);
  const { position: since } = await first.done({ type: "subscribe", topic: "t" });
  await first[Symbol.asyncDispose]();
  await using writer = await open(owner);
  const fill = "x".repeat(19_000);
  for (let n = 0; n < 40; n++) await writer.done({ type: "publish", topic: "t", data: { n, fill } });
  await using again = await open(owner);
  const answer = await again.done({ type: "subscribe", topic: "t", since });
  await publish(owner, "t", { n: 40 });
  const inAnswer = answer.missed as { data: { n: number }; position: string }[];
  deepEqual([answer.recovered, answer.missed_count, answer.position], [true, 40, inAnswer.at(-1)!.position]);
  await until("all have come", () => inAnswer.length + again.of("message").length === 41);
  const told = [...inAnswer, ...again.of("message") as typeof inAnswer];
  deepEqual(told.map(({ data }) => data.n), Array.from({ length: 41 }, (_, n) => n));
  ok(again.frames.every(({ length }) => length < 100_000), "no frame is large");
  const page = await again.done({ type: "history", topic: "t", since });
  const count = (page.messages as unknown[]).length;
  ok(page.more === true && count > 0 && count < 5);
  const rest = await again.done({ type: "history", topic: "t", since: page.position });
  deepEqual((rest.messages as { data: { n: number } }[])[0]!.data.n, count);
});

test("publishing is acknowledged, once for each key, one message or several", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  await socket.done({ type: "subscribe", topic: "t" });
  const first = await socket.done({ type: "publish", topic: "t", data: { a: [1, null] }, idempotency_key: "k" });
  const second = await socket.done({ type: "publish", topic: "t", data: { a: [1, null] }, idempotency_key: "k" });
  deepEqual([first.repeated, second.repeated, second.position], [false, true, first.position]);
  await socket.done({ type: "publish", topic: "t", messages: [{ data: 1 }, { data_base64: "AP8=" }] });
  await until("they have come", () => socket.of("message").length === 3);
  deepEqual(socket.of("message").map(({ data, data_base64 }) => data ?? data_base64), [{ a: [1, null] }, 1, "AP8="]);
});

test("who is present is told, asked for, and leaves with the socket", async () => {
  await using owner = await newOwner(suite.gateway);
  await using watching = await open(owner);
  deepEqual((await watching.done({ type: "subscribe", topic: "room", presence: true })).members, []);
  const member = await open(owner);
  const meta = { name: "Ada", tags: ["x"] };
  await member.done({ type: "subscribe", topic: "room", member: { id: "u1", meta } });
  await until("the join is told", () => watching.of("join").length === 1);
  const { member: told } = watching.of("join")[0]! as { member: Record<string, unknown> };
  deepEqual([told.id, told.meta, told.connections], ["u1", meta, 1]);
  deepEqual((await watching.done({ type: "presence", topic: "room" })).count, 1);
  equal(member.of("join").length, 0, "not asked for");
  await member[Symbol.asyncDispose]();
  await until("the leave is told", () => watching.of("leave").length === 1);
  deepEqual((await watching.done({ type: "presence", topic: "room" })).members, []);
});

test("history is read over the socket", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  for (const n of [1, 2, 3]) await publish(owner, "t", n);
  const page = await socket.done({ type: "history", topic: "t", limit: 2 });
  deepEqual([(page.messages as { data: number }[]).map(({ data }) => data), page.more], [[1, 2], true]);
  const rest = await socket.done({ type: "history", topic: "t", since: page.position });
  deepEqual([(rest.messages as { data: number }[]).map(({ data }) => data), rest.complete], [[3], true]);
});

test("commands of one frame are answered in one frame, or few", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  socket.say(...Array.from({ length: 100 }, (_, i) => ({ id: `p${i}`, type: "ping" })));
  await until("all are answered", () => socket.told.length === 100);
  ok(socket.frames.length <= 3, `${socket.frames.length} frames`);
});

test("a token comes with the address or with connect, and is refreshed in band", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await TestSocket.open(suite.gateway.url, "/v1/realtime");
  const granted = await socket.done({ type: "connect", token: owner.accessToken });
  deepEqual([granted.namespace, granted.ping_interval], [owner.namespace, 25_000]);
  ok(Number(granted.expires_at) > Date.now());
  await socket.done({ type: "subscribe", topic: "t" });
  const next = (await suite.gateway.call("POST", "/v1/auth/refresh", {
    body: { refresh_token: owner.refreshToken, namespace: owner.namespace },
  })).expect(200);
  const refreshed = await socket.done({ type: "refresh", token: next.string("access_token") });
  ok(Number(refreshed.expires_at) >= Number(granted.expires_at));
  await publish(owner, "t", 1);
  await until("it goes on", () => socket.of("message").length === 1);
  await using other = await TestSocket.open(suite.gateway.url, `/v1/realtime?token=${owner.accessToken}`);
  equal((await other.done({ type: "connect" })).namespace, owner.namespace);
});

test("a gateway that stops says so to its sockets", async () => {
  await using owner = await newOwner(suite.gateway);
  const socket = await open(owner);
  await socket.done({ type: "subscribe", topic: "t" });
  const stopped = awaitedLater(suite.gateway.stop());
  equal(await socket.end(), 1001);
  equal(await stopped, 0);
  match(suite.gateway.log(), /"route":"\/v1\/realtime","status":101/);
});
