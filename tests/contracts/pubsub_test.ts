import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../src/contracts/errors.ts";
import { requestOf, said } from "../unit/pubsub/support/subject.ts";
import { type PubSubCaller, PUBSUBS } from "./pubsub_drivers.ts";

function each(name: string, run: (pubsub: PubSubCaller) => Promise<void>): void {
  for (const { name: where, start } of PUBSUBS) Deno.test(`${where}: ${name}`, async () => await run(await start()));
}

const invalid = (error: unknown) => error instanceof GatewayError && error.code === "INVALID_REQUEST";

each("a position of elsewhere, of the future or of nobody recovers nothing", async (pubsub) => {
  const { position } = await pubsub.publish("t", "1");
  const other = await pubsub.publish("u", "1");
  for (const since of ["", "x", `${position}A`, other.position!]) {
    await rejects(pubsub.subscribe("t", { since }), invalid);
    await rejects(pubsub.subscribe("t", { since }, { at: 1 }), invalid);
    await rejects(pubsub.during(pubsub.gateway().history("t", "t", { since, limit: 1 }, requestOf())), invalid);
  }
  await rejects(pubsub.subscribe("t", { since: position }, { namespace: "m" }), invalid);
});

each(
  "every subscriber gets every message once, in the order of its publisher, and none of other topics",
  async (pubsub) => {
    const all = [await pubsub.subscribe("t"), await pubsub.subscribe("t", {}, { at: 1 }), await pubsub.subscribe("t")];
    const others = [
      await pubsub.subscribe("t/"),
      await pubsub.subscribe("T", {}, { at: 1 }),
      await pubsub.subscribe("t", {}, { at: 1, namespace: "m" }),
    ];
    const here = Array.from({ length: 20 }, (_, i) => `a${i}`), there = here.map((text) => text.replace("a", "b"));
    for (const [i, text] of here.entries()) {
      await Promise.all([pubsub.publish("t", text), pubsub.publish("t", there[i]!, {}, { at: 1 })]);
    }
    await pubsub.publish("t", ["same", "same", ""]);
    for (const { listener: { lines } } of all) {
      equal(lines.length, 43);
      deepEqual(lines.filter((line) => line.startsWith("a")), here);
      deepEqual(lines.filter((line) => line.startsWith("b")), there);
      deepEqual(lines.slice(-3), ["same", "same", ""]);
    }
    deepEqual(others.map(({ listener }) => listener.lines), [[], [], []]);
    deepEqual(pubsub.gateway(1).topics("m"), ["t"]);
  },
);

each("bytes arrive as they were, with what was said of them", async (pubsub) => {
  const { listener } = await pubsub.subscribe("t");
  const data = Uint8Array.from({ length: 102_400 }, (_, i) => i % 256);
  await pubsub.publish("t", [{ data, json: false }, { data: new TextEncoder().encode('{"a":1}'), json: true }], {}, {
    at: 1,
  });
  const [bytes, json] = listener.messages;
  deepEqual([bytes!.data, bytes!.json, said(json!), json!.json], [data, false, '{"a":1}', true]);
  ok(bytes!.at > 1_600_000_000_000);
});

each("who was away gets exactly what came meanwhile, wherever it comes back", async (pubsub) => {
  const first = await pubsub.subscribe("t");
  await pubsub.publish("t", "1");
  first.subscription.close();
  const since = first.listener.messages[0]!.position;
  await pubsub.publish("t", ["2", "3"]);
  await pubsub.publish("t", "4", {}, { at: 1 });
  await pubsub.publish("t", "5");
  for (const at of [0, 1]) {
    const back = await pubsub.subscribe("t", { since }, { at });
    const missed = back.subscription.missed.map(said);
    // Of two gateways each has its own clock.
    deepEqual([back.subscription.recovered, missed.toSorted()], [true, ["2", "3", "4", "5"]]);
    deepEqual(missed.filter((text) => text !== "4"), ["2", "3", "5"]);
    const again = await pubsub.subscribe("t", { since: back.subscription.missed[1]!.position }, { at: at + 1 });
    deepEqual(again.subscription.missed.map(said), missed.slice(2));
    const now = await pubsub.subscribe("t", { since: back.subscription.position }, { at: at + 1 });
    deepEqual([now.subscription.recovered, now.subscription.missed], [true, []]);
    for (const { subscription } of [back, again, now]) subscription.close();
  }
});

each("what is kept is told by any gateway, in pages that leave nothing out", async (pubsub) => {
  const { position } = await pubsub.publish("t", "1");
  await pubsub.publish("t", "2", {}, { at: 1 });
  await pubsub.publish("t", ["3", "4"]);
  for (const at of [0, 1]) {
    const history = (since: string | undefined, limit: number) =>
      pubsub.during(pubsub.gateway(at).history("n", "t", { since, limit }, requestOf()));
    const page = await history(undefined, 3), rest = await history(page.position, 3);
    deepEqual([page.more, page.complete, rest.more, rest.complete], [true, undefined, false, true]);
    const all = [...page.messages, ...rest.messages].map(said);
    deepEqual(all.toSorted(), ["1", "2", "3", "4"]);
    deepEqual(all.filter((text) => text !== "2"), ["1", "3", "4"]);
    const behind = await history(position, 10);
    deepEqual([behind.messages.map(said).toSorted(), behind.complete], [["2", "3", "4"], true]);
  }
});

each("a member comes and leaves once, however many connections it has and wherever", async (pubsub) => {
  const watcher = await pubsub.subscribe("t");
  const far = await pubsub.subscribe("t", {}, { at: 1 });
  const one = await pubsub.subscribe("t", { member: { id: "ada", meta: { tea: true } } });
  const two = await pubsub.subscribe("t", { member: { id: "ada", meta: undefined } }, { at: 1 });
  const bob = await pubsub.subscribe("t", { member: { id: "bob", meta: undefined } }, { at: 1 });
  for (const at of [0, 1]) {
    deepEqual(
      pubsub.gateway(at).members("n", "t").map(({ id, connections }) => [id, connections]).toSorted(),
      [["ada", 2], ["bob", 1]],
    );
  }
  one.subscription.close();
  await pubsub.settle();
  bob.subscription.close();
  two.subscription.close();
  await pubsub.settle();
  for (const { listener } of [watcher, far]) {
    deepEqual(listener.lines.slice(0, 2), ["join ada", "join bob"]);
    deepEqual(listener.lines.slice(2).toSorted(), ["leave ada", "leave bob"]);
  }
  deepEqual(pubsub.gateway(1).members("n", "t"), []);
});

each("a key publishes once, through whichever gateway it is repeated", async (pubsub) => {
  const all = [await pubsub.subscribe("t"), await pubsub.subscribe("t", {}, { at: 1 })];
  const options = { idempotencyKey: "k" };
  const first = await pubsub.publish("t", ["1", "2"], options);
  equal((await pubsub.publish("t", ["1", "2"], options)).repeated, true);
  equal((await pubsub.publish("t", ["1", "2"], options, { at: 1 })).repeated, true);
  await rejects(
    pubsub.publish("t", "3", options),
    (error: unknown) => error instanceof GatewayError && error.code === "IDEMPOTENCY_KEY_REUSED",
  );
  equal(first.repeated, false);
  for (const { listener } of all) deepEqual(listener.lines, ["1", "2"]);
});

each("what two gateways took for one key at once is one message, live and later", async (pubsub) => {
  const all = [await pubsub.subscribe("t"), await pubsub.subscribe("t", {}, { at: 1 })];
  const options = { idempotencyKey: "k" };
  await Promise.all([pubsub.publish("t", "1", options), pubsub.publish("t", "1", options, { at: 1 })]);
  for (const { listener, subscription } of all) {
    deepEqual(listener.lines, ["1"]);
    const back = await pubsub.subscribe("t", { since: subscription.position });
    deepEqual(back.subscription.missed.map(said), ["1"]);
    const behind = await pubsub.subscribe("t", { since: listener.messages[0]!.position }, { at: 1 });
    deepEqual([behind.subscription.recovered, behind.subscription.missed], [true, []]);
  }
});

each("the end of a namespace ends its subscriptions and what was kept, and nobody else's", async (pubsub) => {
  const gone = [await pubsub.subscribe("t"), await pubsub.subscribe("t", {}, { at: 1 })];
  const other = await pubsub.subscribe("t", {}, { namespace: "m" });
  await pubsub.publish("t", "1");
  for (const at of [0, 1]) await pubsub.gateway(at).purge("n", new AbortController().signal);
  await pubsub.publish("t", "other", {}, { namespace: "m" });
  for (const { listener } of gone) deepEqual([listener.lines, listener.ends], [["1"], 1]);
  deepEqual([other.listener.lines, other.listener.ends], [["other"], 0]);
  const { messages } = await pubsub.during(pubsub.gateway().history("n", "t", { limit: 10 }, requestOf()));
  deepEqual(messages, []);
});
