import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn, uniqueName } from "../support/accounts.ts";
import { withinPromised } from "../support/alone.ts";
import { closed, figure } from "../support/live_metrics.ts";
import { frameOf, OPCODES, RawSocket } from "../support/raw_sockets.ts";
import { TestSocket } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite({
  config: {
    pubsub: { sockets: { per_credential: 5 } },
    auth: { access_token_ttl: "60s" },
    limits: { pubsub: { queue_bytes: "256KiB", publish_rate: 500, topics_per_socket: 5 } },
  },
});
const { test } = suite;

const open = (owner: Pick<SignedIn, "apiKey">) =>
  TestSocket.open(suite.gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
const stranger = () => TestSocket.open(suite.gateway.url, "/v1/realtime");

async function keyOf(owner: SignedIn, body: Record<string, unknown>): Promise<{ apiKey: string; id: string }> {
  const made = await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "k", ...body },
  });
  return { apiKey: made.expect(201).string("api_key"), id: made.string("id") };
}

test("nothing is done for a stranger", async () => {
  await using socket = await stranger();
  const answer = await socket.ask({ type: "subscribe", topic: "t" });
  equal(answer.code, "UNAUTHENTICATED");
  equal(await socket.end(), 4401);
  await using guessing = await stranger();
  equal((await guessing.ask({ type: "connect", token: "ak_AAAAAAAAAAAAAAAAAAAAAAAA:x" })).code, "INVALID_CREDENTIAL");
  equal(await guessing.end(), 4401);
  await using bad = await RawSocket.open(suite.gateway.url, "/v1/realtime", { "X-API-Key": "ak_nonsense:x" });
  equal(bad.status, 401);
});

test("strangers who say nothing are closed after ten seconds, and keep nobody out meanwhile", async () => {
  await using owner = await newOwner(suite.gateway);
  const waiting: RawSocket[] = [];
  try {
    for (let i = 0; i < 32; i++) waiting.push(await RawSocket.open(suite.gateway.url, "/v1/realtime"));
    deepEqual(new Set(waiting.map(({ status }) => status)), new Set([101]));
    await using socket = await stranger();
    await socket.done({ type: "connect", token: owner.apiKey });
    await Promise.all(waiting.map((socket) => socket.end(15_000)));
    const [first, ...others] = waiting.map(({ closeCode }) => closeCode);
    equal(first, 4430, "it made room");
    deepEqual(new Set(others), new Set([4401]));
  } finally {
    await Promise.all(waiting.map((socket) => socket[Symbol.asyncDispose]()));
  }
});

const frames: Readonly<Record<string, [frame: string, code: number]>> = {
  "no JSON": ["{", 4400],
  "a megabyte of brackets": ["[".repeat(1_000_000), 4400],
  "an unknown type": ['{"type":"drop"}', 4400],
  "a thousand commands": [Array(1_000).fill('{"type":"ping"}').join("\n"), 4400],
  "more than any message": ["x".repeat(2_000_000), 1009],
};

for (const [what, [frame, code]] of Object.entries(frames)) {
  test(`a frame of ${what} ends its socket with ${code}, and no other`, async () => {
    await using owner = await newOwner(suite.gateway);
    await using bystander = await open(owner);
    await using socket = await open(owner);
    socket.socket.send(frame);
    equal(await socket.end(), code);
    await bystander.done({ type: "ping" });
  });
}

test("a command that nests too deep is refused for itself alone", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  const data = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  socket.socket.send(`{"id":"a","type":"publish","topic":"t","data":${data}}\n{"id":"b","type":"ping"}`);
  await until("both are answered", () => socket.told.length === 2);
  const [refused] = socket.of("error");
  deepEqual([refused!.id, refused!.code, refused!.details], ["a", "INVALID_REQUEST", [{
    field: "data",
    problem: "nests deeper than a command may, which is 64 levels",
  }]]);
  await socket.done({ type: "ping" });
});

test("frames of bytes are none, and text that is not UTF-8 ends the connection", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  socket.socket.send(new Uint8Array([1]));
  equal(await socket.end(), 4400);
  await using raw = await RawSocket.open(suite.gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
  await raw.send(frameOf(OPCODES.text, new Uint8Array([0x22, 0xff, 0x22])));
  await raw.end();
  await using other = await open(owner);
  await other.done({ type: "ping" });
});

test("a megabyte of what a member says of itself is a mistake, not a member", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  const member = { id: "u", meta: { x: "y".repeat(1_000_000) } };
  const answer = await socket.ask({ type: "subscribe", topic: "t", member });
  deepEqual([answer.code, (answer.details as { field: string }[])[0]!.field], ["INVALID_REQUEST", "member.meta"]);
  equal((await socket.done({ type: "presence", topic: "t" })).count, 0);
});

test("topics of another namespace are out of reach by any spelling", async () => {
  await using one = await newOwner(suite.gateway);
  await using two = await newOwner(suite.gateway, uniqueName(), ethereumWallet());
  await using socket = await open(one);
  const spellings = ["t", `${two.namespace}/t`, `/${two.namespace}/t`, `../${two.namespace}/t`, `${two.namespace}.t`];
  for (const topic of spellings) await socket.done({ type: "subscribe", topic });
  await using other = await open(two);
  for (const topic of ["t", "/t"]) await other.done({ type: "publish", topic, data: "secret" });
  await socket.done({ type: "publish", topic: "t", data: "mine" });
  await until("its own has come", () => socket.of("message").length > 0);
  deepEqual(socket.of("message").map(({ data }) => data), ["mine"]);
  equal((await socket.ask({ type: "refresh", token: two.apiKey })).code, "NAMESPACE_MISMATCH");
}, { namespaces: 2 });

test("a revoked key is 4403 within a second, an expired one 4401", async () => {
  await using owner = await newOwner(suite.gateway);
  const revoked = await keyOf(owner, { scopes: ["pubsub:subscribe"] });
  await using first = await open(revoked);
  await first.done({ type: "subscribe", topic: "t" });
  const began = performance.now();
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${revoked.id}`, { token: owner.accessToken })).expect(200);
  equal(await first.end(), 4403);
  ok(performance.now() - began < withinPromised(1_500));
  const expires = Date.now() + 2_500;
  const short = await keyOf(owner, { scopes: ["pubsub:subscribe"], expires_at: new Date(expires).toISOString() });
  await using second = await open(short);
  await second.done({ type: "subscribe", topic: "t" });
  await until("it is told before", () => second.of("expiring").length === 1);
  equal(await second.end(), 4401);
  ok(Date.now() >= expires && Date.now() < expires + 1_500);
});

test("a token that names topics reaches those alone, by its own name alone", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = (await suite.gateway.call("POST", "/v1/pubsub/token", {
    key: owner.apiKey,
    body: { topics: { subscribe: ["in.*"], publish: ["out"], presence: ["in.*"] }, member_id: "me" },
  })).expect(200);
  await using socket = await TestSocket.open(suite.gateway.url, `/v1/realtime?token=${made.string("token")}`);
  await socket.done({ type: "subscribe", topic: "in.1", member: { id: "me" } });
  await socket.done({ type: "publish", topic: "out", data: 1 });
  for (
    const command of [
      { type: "subscribe", topic: "out" },
      { type: "publish", topic: "in.1", data: 1 },
      { type: "history", topic: "out" },
      { type: "presence", topic: "out" },
      { type: "subscribe", topic: "in.2", member: { id: "somebody" } },
    ]
  ) equal((await socket.ask(command)).code, "FORBIDDEN", JSON.stringify(command));
});

test("limits of a socket and of a credential", async () => {
  await using owner = await newOwner(suite.gateway);
  await using socket = await open(owner);
  for (let i = 0; i < 5; i++) await socket.done({ type: "subscribe", topic: `t${i}` });
  equal((await socket.ask({ type: "subscribe", topic: "t5" })).code, "TOO_MANY_SUBSCRIPTIONS");
  const more: TestSocket[] = [];
  try {
    for (let i = 0; i < 4; i++) more.push(await open(owner));
    await using refused = await RawSocket.open(suite.gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
    equal(refused.status, 429);
    await using late = await stranger();
    equal((await late.ask({ type: "connect", token: owner.apiKey })).code, "TOO_MANY_SOCKETS");
    equal(await late.end(), 4430);
  } finally {
    for (const one of more) await one[Symbol.asyncDispose]();
  }
  await until("there is room again", async () => {
    await using again = await RawSocket.open(suite.gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
    return again.status === 101;
  });
});

test("who never answers a close counts for as long as it is there, and is cut off", async () => {
  await using owner = await newOwner(suite.gateway);
  const path = `/v1/realtime?api_key=${owner.apiKey}`;
  const silent: RawSocket[] = [];
  const status = async () => {
    await using raw = await RawSocket.open(suite.gateway.url, path);
    return raw.status;
  };
  try {
    for (let i = 0; i < 5; i++) silent.push(await RawSocket.open(suite.gateway.url, path));
    for (const socket of silent) await socket.send(frameOf(OPCODES.text, "{"));
    await until("they are told", () => silent.every(({ closeCode }) => closeCode === 4400));
    equal(await status(), 429);
    await until("there is room again", async () => await status() === 101);
    await until("they are cut off", () => silent.every(({ ended }) => ended));
  } finally {
    await Promise.all(silent.map((socket) => socket[Symbol.asyncDispose]()));
  }
});

test("a publisher that is faster than the limit is told when to go on, and nothing is lost of what was taken", async () => {
  await using owner = await newOwner(suite.gateway);
  await using reader = await open(owner);
  await reader.done({ type: "subscribe", topic: "t" });
  await using writer = await open(owner);
  const count = 1_500;
  for (let i = 0; i < count; i += 100) {
    writer.say(...Array.from({ length: 100 }, (_, j) => ({ id: i + j + 1, type: "publish", topic: "t", data: i + j })));
  }
  await until("all are answered", () => writer.told.length === count);
  const refused = writer.of("error");
  ok(refused.length > 0, "some were refused");
  deepEqual(new Set(refused.map(({ code }) => code)), new Set(["RATE_LIMITED"]));
  ok(refused.every(({ retry_after }) => Number(retry_after) > 0));
  const taken = writer.of("ok").map(({ id }) => Number(id) - 1);
  await until("what was taken has come", () => reader.of("message").length === taken.length);
  deepEqual(reader.of("message").map(({ data }) => data), taken);
});

test("whoever floods is closed with 4429, and the others are served", async () => {
  await using owner = await newOwner(suite.gateway);
  await using bystander = await open(owner);
  await using socket = await open(owner);
  const before = await closed(suite.gateway, 4429);
  for (let i = 0; i < 60; i++) socket.say(...Array.from({ length: 100 }, () => ({ type: "ping" })));
  await socket.end();
  await until("it is counted", async () => await closed(suite.gateway, 4429) > before);
  equal(await closed(suite.gateway, 4429), before + 1);
  await bystander.done({ type: "ping" });
});

test("a reader that does not read loses the oldest and is told; the others lose nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  await using fast = await open(owner);
  await fast.done({ type: "subscribe", topic: "t" });
  await using slow = await RawSocket.open(suite.gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
  await slow.send(frameOf(OPCODES.text, JSON.stringify({ id: 1, type: "subscribe", topic: "t" })));
  await until("it is subscribed", () => slow.texts.length === 1);
  slow.stopReading();
  const fill = "x".repeat(100_000);
  let sent = 0;
  await until("something is dropped", async () => {
    for (let i = 0; i < 20; i++) await fast.done({ type: "publish", topic: "t", data: { n: sent++, fill } });
    return await figure(suite.gateway, "live_dropped_total") > 0;
  });
  await until("the fast one has all", () => fast.of("message").length === sent);
  deepEqual(fast.of("message").map(({ data }) => (data as { n: number }).n), Array.from({ length: sent }, (_, n) => n));
  slow.startReading();
  const objects = () => slow.texts.flatMap((text) => text.split("\n")).map((line) => JSON.parse(line));
  await until("it has read the last", () => objects().at(-1)?.data?.n === sent - 1);
  const told = objects().slice(1);
  const gaps = told.filter(({ type }) => type === "gap");
  ok(gaps.length > 0 && gaps.every(({ reason }) => reason === "slow"));
  let expected = 0;
  for (const one of told) {
    if (one.type === "gap") expected = NaN;
    else {
      if (!Number.isNaN(expected)) equal(one.data.n, expected, "no hole without a word");
      expected = one.data.n + 1;
    }
  }
});
