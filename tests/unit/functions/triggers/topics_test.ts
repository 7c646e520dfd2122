import { deepEqual, equal, match, ok } from "node:assert/strict";
import { RATE } from "../../../../services/functions/triggers/fed.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";
import { principal, topic, World } from "./support/world.ts";

const dead = () => {
  throw new GatewayError("UNAVAILABLE", "this gateway is dead");
};

Deno.test("messages call the function with their bytes, in order, one at a time, once for all gateways", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  for (let i = 0; i < 3; i++) await world.gateway();
  let running = 0, most = 0;
  world.answer = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => world.clock.after(10, () => resolve(undefined)));
    running--;
  };
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.publish("shop", "orders", "1", "2", "3");
  world.publish("shop", "others", "x");
  world.publish("shop", "orders", "4");
  await world.pass(1_000, 10);
  deepEqual(world.inputs, ["1", "2", "3", "4"]);
  equal(most, 1);
  deepEqual(world.gateways.map(({ triggers }) => triggers.figures().followed).sort(), [0, 0, 1]);
  const [{ call }] = world.calls as [typeof world.calls[number]];
  deepEqual([call.namespace, call.name, call.trigger, call.triggerId, call.caller, call.depth], [
    "shop",
    "f",
    "topic",
    id,
    "namespace",
    1,
  ]);
});

Deno.test("another gateway goes on within 40 s after one died, behind what that was done with", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway({ control: far });
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  await world.gateway();
  world.publish("shop", "orders", "1", "2");
  await world.pass(3_000);
  far.before = dead;
  world.publish("shop", "orders", "3", "4");
  await world.pass(1_000);
  deepEqual(world.inputs, ["1", "2"]);
  await world.pass(40_000);
  deepEqual(world.inputs, ["1", "2", "3", "4"]);
  world.publish("shop", "orders", "5");
  await world.pass(1_000);
  far.before = () => {};
  await world.pass(20_000);
  world.publish("shop", "orders", "6");
  await world.pass(1_000);
  deepEqual(world.inputs, ["1", "2", "3", "4", "5", "6"]);
  await world.pass(4_000);
  equal(world.gateways[0]!.triggers.figures().followed, 0);
  equal((await world.seen("shop", "f", id)).last?.error, undefined);
});

Deno.test("a gateway that closes lets another take over at once, and nothing is lost or told twice", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const first = await world.gateway();
  await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  await world.gateway();
  world.publish("shop", "orders", "1");
  await world.pass(0);
  const closing = first.triggers.close();
  await world.pass(100);
  await closing;
  world.publish("shop", "orders", "2");
  await world.pass(6_000);
  deepEqual(world.inputs, ["1", "2"]);
});

Deno.test("a call without a place is tried again, and the next message waits for it", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  let refusals = 4;
  world.answer = () => {
    if (refusals-- > 0) throw new GatewayError(refusals % 2 ? "TOO_MANY_INVOCATIONS" : "UNAVAILABLE", "no place");
  };
  world.publish("shop", "orders", "1", "2");
  await world.pass(500);
  match((await world.seen("shop", "f", id)).last!.error!, /no place/);
  await world.pass(10_000);
  deepEqual(world.inputs, ["1", "1", "1", "1", "1", "2"]);
  equal(triggers.figures().postponed, 4);
  equal((await world.seen("shop", "f", id)).last?.error, undefined);
});

Deno.test("a call that fails for good is told, and the next message comes", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.answer = ({ input }) =>
    input[0] === 49
      ? Promise.reject(new GatewayError("BODY_TOO_LARGE", "too long"))
      : Promise.resolve({ failure: { code: "OUTCOME_UNKNOWN", message: "its process was ended" } });
  world.publish("shop", "orders", "1");
  await world.pass(500);
  equal((await world.seen("shop", "f", id)).last!.error, "too long");
  world.publish("shop", "orders", "2");
  await world.pass(500);
  equal((await world.seen("shop", "f", id)).last!.error, "OUTCOME_UNKNOWN: its process was ended");
  deepEqual(world.inputs, ["1", "2"]);
});

/** Publishes numbers, in pages. */
const publishMany = (world: World, from: number, to: number) => {
  for (let at = from; at < to; at += 100) {
    world.publish("shop", "orders", ...Array.from({ length: Math.min(100, to - at) }, (_, i) => `${at + i}`));
  }
};
const numbers = (length: number) => Array.from({ length }, (_, i) => `${i}`);

Deno.test("beyond a thousand that wait messages of a topic without history are dropped, counted and told", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.historySize = 0;
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  const gate = Promise.withResolvers<void>();
  world.answer = () => gate.promise;
  publishMany(world, 0, 1_200);
  await world.pass(1_000);
  const { dropped } = triggers.figures();
  ok(dropped >= 190 && dropped <= 200, String(dropped));
  deepEqual(world.dropped, [1, 10, 100]);
  world.answer = () => {};
  gate.resolve();
  await world.pass(12_000);
  equal(world.calls.length, 1_200 - dropped);
  match((await world.seen("shop", "f", id)).last!.error!, /messages were dropped|as often as may be/);
});

Deno.test("beyond a thousand that wait messages come all the same, in order and once, while the topic's history has them", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.historySize = 5_000;
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  const gate = Promise.withResolvers<void>();
  world.answer = () => gate.promise;
  publishMany(world, 0, 2_500);
  await world.pass(1_000);
  world.answer = () => {};
  gate.resolve();
  await world.pass(5_000);
  // Some more while it catches up.
  publishMany(world, 2_500, 2_700);
  await world.pass(30_000);
  deepEqual(world.inputs, numbers(2_700));
  equal(triggers.figures().dropped, 0);
  deepEqual(world.dropped, []);
});

Deno.test("what the history kept for too short is counted and told as dropped; what it still has, and what comes next, is handed over", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  const gate = Promise.withResolvers<void>();
  world.answer = () => gate.promise;
  publishMany(world, 0, 1_500);
  await world.pass(1_000);
  equal(triggers.figures().dropped, 0);
  world.answer = () => {};
  gate.resolve();
  await world.pass(15_000);
  const { dropped } = triggers.figures();
  // The last hundred are there yet.
  ok(dropped >= 390 && dropped <= 400, String(dropped));
  deepEqual(world.dropped, [dropped]);
  match((await world.seen("shop", "f", id)).last!.error!, /messages were dropped/);
  world.publish("shop", "orders", "next");
  await world.pass(1_000);
  const kept = numbers(1_500);
  deepEqual(world.inputs, [...kept.slice(0, 1_400 - dropped), ...kept.slice(1_400), "next"]);
});

Deno.test("one namespace's waiting messages leave room for another's", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.historySize = 0;
  await world.namespace("loud", "f");
  await world.namespace("shop", "f");
  await world.gateway();
  const gate = Promise.withResolvers<void>();
  world.answer = ({ namespace }) => namespace === "loud" ? gate.promise : undefined;
  for (let i = 0; i < 20; i++) await world.make("loud", "f", topic(`t${i}`));
  await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  const large = "x".repeat(900_000);
  for (let i = 0; i < 20; i++) world.publish("loud", `t${i}`, "first", large, large, large);
  world.publish("shop", "orders", "mine");
  await world.pass(1_000);
  deepEqual(world.calls.filter(({ call }) => call.namespace === "shop").map(({ input }) => input), ["mine"]);
  ok(world.dropped.length > 0);
  gate.resolve();
});

Deno.test("a function that publishes to its own topic is called no more often than may be, and that is told", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.answer = () => world.publish("shop", "orders", "again");
  world.publish("shop", "orders", "begin");
  await world.pass(10_000, 50);
  const { length } = world.calls;
  ok(length > RATE.burst && length <= RATE.burst + 10 * RATE.second + 10, String(length));
  match((await world.seen("shop", "f", id)).last!.error!, /does the function cause its own calls/);
  world.answer = () => {};
});

Deno.test("what waits is not called for in the next owner's name, nor in that of another function of its name", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.namespace("cafe", "f");
  await world.gateway();
  const gate = Promise.withResolvers<void>();
  world.answer = () => gate.promise;
  await world.make("shop", "f", topic("orders"));
  await world.make("cafe", "f", topic("orders"));
  await world.pass(1_000);
  world.publish("shop", "orders", "1", "2", "3");
  world.publish("cafe", "orders", "a", "b");
  await world.pass(1_000);
  deepEqual(world.inputs.toSorted(), ["1", "a"]);
  await world.deleteNamespace("shop");
  await world.namespace("shop", "f");
  await world.deploy("cafe", "f");
  gate.resolve();
  await world.pass(60_000, 1_000);
  world.publish("shop", "orders", "4");
  await world.pass(1_000);
  deepEqual(world.inputs.toSorted(), ["1", "a"]);
});

Deno.test("a retry that waits looks first whether it may still call", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.answer = () => Promise.reject(new GatewayError("TOO_MANY_INVOCATIONS", "no place"));
  world.publish("shop", "orders", "1");
  await world.pass(0);
  equal(world.calls.length, 1);
  // Nobody tells the gateway: what it asks must tell it.
  await control.run(control.db.updateTable("function_triggers").set({ enabled: 0 }).where("id", "=", id));
  for (let i = 0; i < 20; i++) await world.clock.advance(100);
  equal(world.calls.length, 1);
  equal(triggers.figures().postponed, 1);
});

Deno.test("a gateway whose lease another one took calls nothing more, and writes no position over that one's", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.publish("shop", "orders", "1");
  await world.pass(0);
  deepEqual(world.inputs, ["1"]);
  const { db } = control;
  await control.run(db.updateTable("leases").set({ holder: "another", expires_at: 9e15 }));
  await control.run(db.updateTable("function_triggers").set({ position: "its own" }));
  world.publish("shop", "orders", "2");
  await world.pass(3_000);
  deepEqual(world.inputs, ["1"]);
  const { rows: [row] } = await control.run<{ position: string }>(
    db.selectFrom("function_triggers").select("position"),
  );
  equal(row!.position, "its own");
  equal(world.gateways[0]!.triggers.figures().followed, 0);
});

Deno.test("what happened while it was disabled is not told of, and its lease is free at once", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.publish("shop", "orders", "1");
  await world.pass(100);
  await triggers.setEnabled(principal("shop"), "f", id, false, CONTEXT);
  await world.pass(2_000);
  deepEqual((await control.run(control.db.selectFrom("leases").selectAll())).rows, []);
  world.publish("shop", "orders", "2");
  await world.pass(1_000);
  await triggers.setEnabled(principal("shop"), "f", id, true, CONTEXT);
  await world.pass(2_000);
  world.publish("shop", "orders", "3");
  await world.pass(1_000);
  deepEqual(world.inputs, ["1", "3"]);
});

Deno.test("a topic without a history is followed from now on, whoever follows", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.historySize = 0;
  await world.namespace("shop", "f");
  const first = await world.gateway();
  await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  world.publish("shop", "orders", "1");
  await world.pass(1_000);
  const closing = first.triggers.close();
  await world.pass(1_000);
  await closing;
  world.publish("shop", "orders", "2");
  await world.gateway();
  await world.pass(6_000);
  world.publish("shop", "orders", "3");
  await world.pass(1_000);
  deepEqual(world.inputs, ["1", "3"]);
});

Deno.test("a position that the topic cannot go on behind is told, and it begins anew", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const first = await world.gateway();
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(1_000);
  const closing = first.triggers.close();
  await world.pass(1_000);
  await closing;
  await control.run(control.db.updateTable("function_triggers").set({ position: "rubbish" }));
  await world.gateway();
  await world.pass(6_000);
  match((await world.seen("shop", "f", id)).last!.error!, /messages may be missing/);
  world.publish("shop", "orders", "1");
  await world.pass(1_000);
  deepEqual(world.inputs, ["1"]);
});

Deno.test("a subscription that ends or is refused is made again, with patience", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  let refused = 0;
  const pubsub = {
    subscribe: (...args: Parameters<typeof world.pubsub.subscribe>) => {
      if (refused++ < 3) return Promise.reject(new GatewayError("TOO_MANY_TOPICS", "as many as may be"));
      return world.pubsub.subscribe(...args);
    },
    history: (...args: Parameters<typeof world.pubsub.history>) => world.pubsub.history(...args),
  };
  await world.gateway({ pubsub });
  const { id } = await world.make("shop", "f", topic("orders"));
  await world.pass(500);
  equal((await world.seen("shop", "f", id)).last!.error, "as many as may be");
  await world.pass(10_000);
  equal(refused, 4);
  world.publish("shop", "orders", "1");
  await world.pass(100);
  // As when its topics are let go of.
  await world.pubsub.purge("shop");
  await world.pass(12_000);
  world.publish("shop", "orders", "2");
  await world.pass(1_000);
  deepEqual(world.inputs, ["1", "2"]);
});
