import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import { withinPromised } from "../support/alone.ts";
import { frameOf, OPCODES, RawSocket } from "../support/raw_sockets.ts";
import { closed } from "../support/live_metrics.ts";
import { dataOf, TestSocket } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({
  config: { pubsub: { idle_timeout: "2s" }, limits: { pubsub: { queue_bytes: "256KiB", message_bytes: "128KiB" } } },
});
const { test } = suite;

const pathOf = ({ apiKey }: Pick<SignedIn, "apiKey">, topic: string, more = "") =>
  `/v1/pubsub/ws?topic=${topic}&api_key=${apiKey}${more}`;
const open = (owner: Pick<SignedIn, "apiKey">, topic: string, more = "") =>
  TestSocket.open(suite.gateway.url, pathOf(owner, topic, more));
const raw = (owner: SignedIn, topic: string, more = "") =>
  RawSocket.open(suite.gateway.url, pathOf(owner, topic, more));
const publish = async (owner: SignedIn, topic: string, data: unknown) =>
  (await suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, body: { topic, data } })).expect(200);

/** Whoever does this is cut off, and everybody else goes on. */
const attacks: Readonly<Record<string, (socket: RawSocket) => Promise<unknown>>> = {
  "a frame that is announced with 4 GiB": (socket) => socket.send(frameOf(OPCODES.text, "x", { announced: 2n ** 32n })),
  "a frame of all the bytes there are": (socket) =>
    socket.send(frameOf(OPCODES.text, "x", { announced: 2n ** 64n - 1n })),
  "text that is not UTF-8": (socket) => socket.send(frameOf(OPCODES.text, new Uint8Array([0xff, 0xfe]))),
  "a fragment that continues nothing": (socket) => socket.send(frameOf(OPCODES.continuation, "x")),
  "a frame of an unknown kind": (socket) => socket.send(frameOf(3, "x")),
  "a ping that is too long": (socket) => socket.send(frameOf(OPCODES.ping, "x".repeat(126))),
  "a message beyond the limit": (socket) => socket.send(frameOf(OPCODES.bytes, new Uint8Array(200_000))),
  "a message beyond the limit, in fragments": async (socket) => {
    await socket.send(frameOf(OPCODES.bytes, new Uint8Array(100_000), { fin: false }));
    await socket.send(frameOf(OPCODES.continuation, new Uint8Array(100_000)));
  },
  "frames without end": async (socket) => {
    const frames = new Uint8Array(7 * 1_000);
    for (let i = 0; i < 1_000; i++) frames.set(frameOf(OPCODES.text, "x"), 7 * i);
    for (let i = 0; i < 100 && await socket.send(frames); i++);
  },
};

for (const [what, attack] of Object.entries(attacks)) {
  test(`who sends ${what} is cut off, and nobody else`, async () => {
    await using owner = await newOwner(suite.gateway);
    await using bystander = await open(owner, "quiet");
    await using attacker = await raw(owner, "loud");
    equal(attacker.status, 101);
    await attack(attacker);
    await attacker.end();
    await publish(owner, "quiet", "still there");
    equal(dataOf((await bystander.next(1))[0]!), '"still there"');
    (await suite.gateway.call("GET", "/health")).expect(200);
  });
}

test("a topic in an address whose bytes are no UTF-8 is no topic, and not another one either", async () => {
  await using owner = await newOwner(suite.gateway);
  await using listening = await open(owner, "\ufffd");
  for (const path of ["history", "presence", "sse", "ws"]) {
    for (const topic of ["%FF", "a%80", "%C3%28"]) {
      const refused = await suite.gateway.call("GET", `/v1/pubsub/${path}?topic=${topic}`, { key: owner.apiKey });
      const told = [refused.status, refused.get("code"), refused.get("details.0.field")];
      deepEqual(told, [400, "INVALID_REQUEST", "topic"], `${path} ${topic}`);
    }
  }
  await publish(owner, "\ufffd", 1);
  equal((await listening.next(1)).length, 1);
});

test("an end that the gateway chose has a code: 1009 for a message, 4429 for a flood", async () => {
  await using owner = await newOwner(suite.gateway);
  await using large = await open(owner, "t");
  large.socket.send(new Uint8Array(200_000));
  equal(await large.end(), 1009);
  await using flood = await open(owner, "t");
  const before = await closed(suite.gateway, 4429);
  for (let i = 0; i < 5_000; i++) flood.socket.send("x");
  await flood.end();
  // What still comes from the client may make its system drop the code, and end its side before the gateway's.
  await until("it is counted", async () => await closed(suite.gateway, 4429) > before);
  equal(await closed(suite.gateway, 4429), before + 1);
});

test("fragments that never end are held no longer than their sender is heard of", async () => {
  await using owner = await newOwner(suite.gateway);
  await using attacker = await raw(owner, "t");
  await attacker.send(frameOf(OPCODES.bytes, new Uint8Array(1_000), { fin: false }));
  const began = performance.now();
  while (!attacker.ended && attacker.closeCode === undefined && performance.now() - began < 10_000) {
    await attacker.send(frameOf(OPCODES.continuation, new Uint8Array(1_000), { fin: false }));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  ok(attacker.ended || attacker.closeCode !== undefined, "it was cut off");
});

test("fragments by the megabyte without end are cut off, though their sender answers pings", async () => {
  await using owner = await newOwner(suite.gateway);
  await using attacker = await raw(owner, "t");
  const before = suite.gateway.memory();
  const piece = new Uint8Array(1_000_000);
  let sent = 0;
  await attacker.send(frameOf(OPCODES.bytes, piece, { fin: false }));
  while (await attacker.send(frameOf(OPCODES.continuation, piece, { fin: false }))) {
    await attacker.send(frameOf(OPCODES.pong));
    ok(++sent < 4_000, "it is cut off before it has sent 4 GB");
  }
  await until("its memory is given back", () => suite.gateway.memory() - before < 100_000_000);
});

test("who is gone without a word is present no longer than the idle timeout", async () => {
  await using owner = await newOwner(suite.gateway);
  await using watching = await open(owner, "room");
  await using silent = await raw(owner, "room", "&presence=true&member_id=gone");
  equal((await watching.next(1))[0]!.type, "presence.join");
  const began = performance.now();
  equal((await watching.next(1))[0]!.type, "presence.leave");
  ok(performance.now() - began < withinPromised(4_000));
  ok(silent.frames.some(({ opcode }) => opcode === OPCODES.ping), "it was asked for a sign of life");
});

test("who reads nothing costs no more than a queue, keeps nobody waiting, and is present no longer than the idle timeout", async () => {
  await using owner = await newOwner(suite.gateway);
  await using reader = await open(owner, "t", "&presence=true&member_id=reader");
  await reader.next(1);
  await using stuck = await raw(owner, "t", "&presence=true&member_id=stuck");
  equal((await reader.next(1))[0]!.member_id, "stuck");
  stuck.stopReading();
  const before = suite.gateway.memory();
  const left = () => reader.told.some(({ type, member_id }) => type === "presence.leave" && member_id === "stuck");
  let sent = 0;
  const fill = " ".repeat(60_000);
  const hasAll = () => reader.told.filter(({ type }) => type === undefined).length === sent;
  await until("it has left", async () => {
    // Less than a queue at once: a slow machine's reader is slow as well, and is not what this is about.
    for (let i = 0; i < 2; i++) await publish(owner, "t", `${sent++}${fill}`);
    await until("the reader has all", hasAll);
    return left();
  });
  const numbers = reader.told.filter(({ type }) => type === undefined).map((told) =>
    Number.parseInt(dataOf(told).slice(1))
  );
  deepEqual(numbers, numbers.map((_, i) => i));
  ok(suite.gateway.memory() - before < 200 * 2 ** 20, `${(suite.gateway.memory() - before) / 2 ** 20} MiB more`);
});

test("a revoked key ends its sockets within a second", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "to go", scopes: ["pubsub:subscribe", "pubsub:presence"] },
  })).expect(201);
  await using socket = await open({ apiKey: made.string("api_key") }, "t", "&presence=true&member_id=u");
  await socket.next(1);
  const began = performance.now();
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken })).expect(200);
  equal(await socket.end(), 4403);
  ok(performance.now() - began < withinPromised(1_500));
});

test("who may not publish is told so, and goes on listening", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "ears", scopes: ["pubsub:subscribe"] },
  })).expect(201);
  await using socket = await open({ apiKey: made.string("api_key") }, "t");
  socket.socket.send("x");
  const [refused] = await socket.next(1);
  deepEqual([refused!.type, refused!.code], ["error", "INSUFFICIENT_SCOPE"]);
  await publish(owner, "t", 1);
  equal(dataOf((await socket.next(1))[0]!), "1");
  const path = pathOf({ apiKey: made.string("api_key") }, "t", "&presence=true&member_id=u");
  await using present = await RawSocket.open(suite.gateway.url, path);
  equal(present.status, 403);
});
