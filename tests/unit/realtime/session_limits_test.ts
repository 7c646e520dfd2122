import { deepEqual, equal, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import { somebody } from "./support/live.ts";
import { knownSession } from "./support/sessions.ts";

Deno.test("whoever sends too many commands is told, and closed with 4429 when they do not stop", async () => {
  const { say, socket } = knownSession({
    settings: { commandsPerSecond: 10, commandsPerFrame: 1_000 },
    rules: { maxQueueBytes: 1_000_000 },
  });
  const pings = (count: number) => Array.from({ length: count }, (_, i) => ({ id: i + 1, type: "ping" }));
  const first = await say(...pings(150));
  deepEqual([first.filter(({ type }) => type === "ok").length, first.length], [100, 150]);
  const refused = first.find(({ type }) => type === "error")!;
  equal(refused.code, "RATE_LIMITED");
  ok(Number(refused.retry_after) > 0 && Number(refused.retry_after) < 11);
  equal(socket.code(), undefined);
  await say(...pings(150));
  equal(socket.code(), 4429);
});

Deno.test("the answer to connect tells how many commands are taken, and nothing where as many are as come", async () => {
  const of = (commandsPerSecond: number) => knownSession({ settings: { commandsPerSecond, commandsPerFrame: 1_000 } });
  const [limits] = await of(12.5).say({ id: 1, type: "connect" });
  const { max_frame_commands, commands_per_second, commands_burst, large_command } = limits!;
  deepEqual([max_frame_commands, commands_per_second, commands_burst, large_command], [1_000, 12.5, 125, 65_536]);
  const [none] = await of(0).say({ id: 1, type: "connect" });
  deepEqual(Object.keys(none!).filter((name) => /commands_|large/.test(name)), []);
});

Deno.test("what counts for more commands than ever may come at once is taken where nothing came before it", async () => {
  const { say, pass, socket } = knownSession({
    settings: { commandsPerSecond: 0.1 },
    rules: { maxMessageBytes: 1_000_000, maxQueueBytes: 1_000_000 },
  });
  const large = (id: number) => ({ id, type: "publish", topic: "t", data: "x".repeat(500_000) });
  equal((await say(large(1)))[0]?.type, "ok");
  const [refused] = await say(large(2));
  equal(refused?.code, "RATE_LIMITED");
  await pass(Number(refused!.retry_after) * 1_000 + 1);
  equal((await say({ id: 3, type: "ping" }))[0]?.type, "ok");
  equal(socket.code(), undefined);
});

Deno.test("what is to keep its order is refused behind what was refused for now, until that comes again", async () => {
  const { say, pubsub } = knownSession();
  const publish = (id: number, after?: number, topic = "t") => ({ id, type: "publish", topic, data: id, after });
  const codes = async (...commands: readonly unknown[]) => (await say(...commands)).map(({ id, code }) => [id, code]);
  pubsub.refusal = new GatewayError("RATE_LIMITED", "too fast", { retryAfter: 0.25 });
  deepEqual(await codes(publish(1), publish(2, 1), publish(3), publish(4, 1), publish(5, 1, "u")), [
    [1, "RATE_LIMITED"],
    [2, "RATE_LIMITED"],
    [3, undefined],
    [4, "RATE_LIMITED"],
    [5, undefined],
  ]);
  deepEqual(await codes(publish(6), publish(7, 6), publish(8, 6)), [[6, undefined], [7, undefined], [8, undefined]]);
  deepEqual(pubsub.published.map(({ messages }) => messages[0]), ["3", "5", "6", "7", "8"]);
  const [wrong] = await say({ ...publish(9), after: 0 });
  equal(wrong?.code, "INVALID_REQUEST");
});

Deno.test("order is kept too where the socket sent too much, and while others are under way", async () => {
  const { say, pubsub, turn, socket } = knownSession({ settings: { commandsPerSecond: 1, commandsPerFrame: 100 } });
  const gate = Promise.withResolvers<void>();
  pubsub.gate = gate.promise;
  const publish = (id: number, after?: number) => ({ id, type: "publish", topic: "t", data: id, after });
  const all = Array.from({ length: 14 }, (_, i) => publish(i + 1, i < 9 ? undefined : 1));
  deepEqual((await say(...all)).map(({ id }) => id), [11, 12, 13, 14]);
  gate.resolve();
  for (let i = 0; i < 30; i++) await turn();
  deepEqual(socket.take().map(({ id, code }) => code ?? id), [...all.slice(0, 9).map(({ id }) => id), "RATE_LIMITED"]);
  equal(pubsub.published.length, 9, "the tenth is behind one that was refused, as far as anybody knows");
});

Deno.test("a look-up of a credential that was replaced meanwhile takes no subscription away", async () => {
  const { say, pass, authenticator, pubsub, settled } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "b" });
  authenticator.known.set("wide", somebody({ id: "wide" }));
  const found = Promise.withResolvers<Principal>();
  const identifyKey = authenticator.identifyKey.bind(authenticator);
  authenticator.identifyKey = (key, beforeLookup) => key === "key" ? found.promise : identifyKey(key, beforeLookup);
  await pass(500);
  equal((await say({ id: 2, type: "refresh", token: "wide" }))[0]?.type, "ok");
  found.resolve(somebody({ topics: { subscribe: ["a"] } }));
  await settled();
  equal(pubsub.count("shop", "b"), 1);
});
