import { deepEqual, equal } from "node:assert/strict";
import type { Missed } from "../../../services/pubsub/cluster/cluster.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { entry, position, recovery, two, view } from "./support/positions.ts";
import { Listener, said } from "./support/subject.ts";

Deno.test("what arrives while it is looked for follows on what was missed, without overlap and without a hole", async () => {
  const subject = two();
  const answer = Promise.withResolvers<Missed>();
  subject.cluster.finding = () => answer.promise;
  const there = await subject.listen("t");
  subject.publish("t", "a1");
  const since = there.listener.messages[0]!.position;
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("b1", 1)] });
  const listener = new Listener();
  const subscribing = subject.subscribe("t", listener, { since });
  await settled();
  // The other is ahead of what has arrived here.
  subject.publish("t", "a2");
  subject.local.accept("n/t", { epoch: 2, from: 2, entries: [entry("b2", 2)] });
  subject.publish("t", "a3");
  subject.local.accept("n/t", { epoch: 2, from: 3, entries: [entry("b3", 3), entry("b4", 4)] });
  answer.resolve({
    complete: true,
    ranges: [{ epoch: 1, from: 2, entries: [entry("a2", 2)] }, {
      epoch: 2,
      from: 1,
      entries: [entry("b1", 1), entry("b2", 2), entry("b3", 3)],
    }],
    view: view(2, [1, 2], [2, 3]),
  });
  const subscription = await subscribing;
  subject.publish("t", "a4");
  equal(subscription.recovered, true);
  deepEqual(subscription.missed.map(said), ["b1", "a2", "b2", "b3"]);
  deepEqual(listener.lines, []);
  await subject.turn();
  subject.publish("t", "a5");
  deepEqual(listener.lines, ["a3", "b4", "a4", "a5"]);
  // Positions never go back behind what was handed over.
  equal(subscription.position, position(view(2, [1, 2], [2, 3])));
  deepEqual(
    listener.messages.map(({ position }) => position),
    [[3, 3], [3, 4], [4, 4], [5, 4]].map(([a, b]) => position(view(2, [1, a!], [2, b!]))),
  );
  deepEqual(
    subscription.missed.map(({ position }) => position),
    [[1, 1], [2, 1], [2, 2], [2, 3]].map(([a, b]) => position(view(2, [1, a!], [2, b!]))),
  );
  equal(subscription.missed[0]!.position, position(view(2, [1, 1], [2, 1])), "in any order");
  deepEqual(there.listener.lines, ["a1", "b1", "a2", "b2", "a3", "b3", "b4", "a4", "a5"]);
});

Deno.test("an answer with a hole in it is no proof, whoever gave it", async () => {
  const since = position(view(2, [1, 1], [2, 5]));
  const a2 = { epoch: 1, from: 2, entries: [entry("a2")] };
  const b = (from: number, ...contents: readonly string[]) => ({
    epoch: 2,
    from,
    entries: contents.map((c) => entry(c)),
  });
  const answered = async (missed: Missed, begun = 0) => {
    const subject = two();
    subject.publish("t", ["a1", "a2"]);
    if (begun > 0) subject.local.begin("n/t", 2, begun);
    subject.cluster.finding = () => Promise.resolve(missed);
    return await recovery(subject, since);
  };
  const complete = (
    ranges: Extract<Missed, { complete: true }>["ranges"],
    ...heads: readonly (readonly [number, number])[]
  ) => ({ complete: true, ranges, view: view(2, ...heads) }) as const;
  deepEqual(await answered(complete([a2, b(6, "b6")], [1, 2], [2, 6])), ["a2", "b6"]);
  deepEqual(
    await answered(complete([a2, b(4, "b4", "b5", "b6")], [1, 2], [2, 6])),
    ["a2", "b6"],
    "more than was asked for",
  );
  equal(await answered(complete([a2, b(7, "b7")], [1, 2], [2, 7])), "expired", "the sixth is missing");
  equal(await answered(complete([a2], [1, 2], [2, 6])), "expired", "nothing of it");
  equal(await answered(complete([b(6, "b6")], [1, 2], [2, 6])), "expired", "nothing of its own");
  equal(await answered(complete([a2, b(6, "b6"), b(8, "b8")], [1, 2], [2, 8])), "expired", "a hole");
  equal(await answered(complete([a2, b(6, "b6", "b7")], [1, 2], [2, 6])), "expired", "more than its head");
  equal(await answered(complete([a2], [1, 2], [2, 5]), 9), "unreachable", "what arrived here is ahead of it");
  deepEqual(await answered(complete([a2, b(6, "b6")], [1, 2])), ["a2", "b6"], "a life that ended meanwhile");
});

Deno.test("a life that ended meanwhile is handed over to its end, and its late messages not again", async () => {
  const subject = two();
  const answer = Promise.withResolvers<Missed>();
  subject.cluster.finding = () => answer.promise;
  subject.publish("t", "a1");
  const since = position(view(2, [1, 1], [2, 0]));
  const listener = new Listener();
  const subscribing = subject.subscribe("t", listener, { since });
  await settled();
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("b1"), entry("b2")] });
  subject.cluster.seen = { open: new Set([1, 3]), known: 3 };
  subject.local.accept("n/t", { epoch: 3, from: 1, entries: [entry("c1")] });
  subject.local.gap("n/t", "expired");
  const range = { epoch: 2, from: 1, entries: [entry("b1"), entry("b2")] };
  answer.resolve({ complete: true, ranges: [range], view: view(3, [1, 1], [3, 0]) });
  const { missed } = await subscribing;
  await subject.turn();
  deepEqual(missed.map(said), ["b1", "b2"]);
  deepEqual(
    missed[0]!.position,
    position(view(3, [1, 1], [2, 1], [3, 0])),
    "a life that began is named, or it would count as read",
  );
  deepEqual(missed[1]!.position, position(view(3, [1, 1], [3, 0])));
  deepEqual(listener.lines, ["c1", "gap expired"]);
});

Deno.test("a life of which nobody here has heard yet is not taken for one that is over", async () => {
  const subject = two();
  const { listener } = await subject.listen("t");
  subject.local.accept("n/t", { epoch: 5, from: 1, entries: [entry("e1")] });
  equal(listener.messages[0]!.position, position(view(2, [1, 0], [2, 0], [5, 1])));
});

Deno.test("a position that is read late says what was so when its message came", async () => {
  const subject = two();
  const { listener, subscription } = await subject.listen("t");
  subject.publish("t", "a1");
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("b1")] });
  subject.local.gap("n/t", "slow");
  subject.publish("t", ["a2", "a3"]);
  subject.cluster.seen = { open: new Set([1]), known: 4 };
  subject.local.begin("n/t", 2, 70);
  subject.publish("t", "a4");
  const expected = [[1, 0], [1, 1], [1, 1], [2, 1], [3, 1]].map(([a, b]) => position(view(2, [1, a!], [2, b!])));
  deepEqual(listener.events.map((event) => "position" in event && event.position), [
    ...expected,
    position(view(4, [1, 4])),
  ]);
  equal(subscription.position, position(view(2, [1, 0], [2, 0])));
});

Deno.test("a position says where another epoch goes on, also when nothing came of it since", async () => {
  const subject = two();
  const { listener } = await subject.listen("t");
  subject.publish("t", "a1");
  subject.local.begin("n/t", 2, 70);
  subject.publish("t", "a2");
  deepEqual(listener.messages.map(({ position }) => position), [
    position(view(2, [1, 1], [2, 0])),
    position(view(2, [1, 2], [2, 70])),
  ]);
});

Deno.test("positions are right where another gateway was heard while nobody listened here", async () => {
  const subject = two();
  const first = await subject.listen("t");
  subject.publish("t", "a1");
  first.subscription.close();
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("b1"), entry("b2")] });
  const { listener } = await subject.listen("t");
  subject.publish("t", "a2");
  equal(listener.messages[0]!.position, position(view(2, [1, 2], [2, 2])));
});

Deno.test("a message with a key is recovered once, whichever gateways took it", async () => {
  const subject = two();
  const a = { epoch: 1, from: 2, entries: [entry("x", 2, "x.0"), entry("y", 3, "y.0")] };
  const b = {
    epoch: 2,
    from: 1,
    entries: [entry("y", 1, "y.0"), entry("x", 4, "x.0"), entry("old", 5, "old.0"), entry("z", 6)],
  };
  subject.local.accept("n/t", { epoch: 1, from: 1, entries: [] });
  await subject.listen("t");
  // The first of the two was before the position.
  subject.local.accept("n/t", { epoch: 1, from: 1, entries: [entry("old", 0, "old.0")] });
  subject.cluster.finding = () => Promise.resolve({ complete: true, ranges: [a, b], view: view(2, [1, 3], [2, 4]) });
  const since = position(view(2, [1, 1], [2, 0]));
  deepEqual(await recovery(subject, since), ["y", "x", "z"]);
  subject.cluster.keeping = () => Promise.resolve([b, a]);
  deepEqual((await subject.history("t", since)).messages.map(said), ["y", "x", "z"]);
  deepEqual((await subject.history("t")).messages.map(said), ["y", "x", "old", "z"]);
});

Deno.test("a message with a key that was missed does not come again behind it", async () => {
  const subject = two();
  const answer = Promise.withResolvers<Missed>();
  subject.cluster.finding = () => answer.promise;
  subject.publish("t", "a1");
  const listener = new Listener();
  const subscribing = subject.subscribe("t", listener, { since: position(view(2, [1, 1], [2, 0])) });
  await settled();
  subject.local.begin("n/t", 2, 1);
  subject.local.accept("n/t", { epoch: 3, from: 1, entries: [entry("twice", 0, "twice.0"), entry("c2")] });
  const range = { epoch: 2, from: 1, entries: [entry("twice", 0, "twice.0")] };
  answer.resolve({ complete: true, ranges: [range], view: view(2, [1, 1], [2, 1]) });
  const { missed } = await subscribing;
  await subject.turn();
  deepEqual([missed.map(said), listener.lines], [["twice"], ["c2"]]);
});
