import { deepEqual, equal } from "node:assert/strict";
import type { Missed } from "../../../services/pubsub/cluster/cluster.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { entry, position, two, view } from "./support/positions.ts";
import { Listener, requestOf, said } from "./support/subject.ts";

/** What another gateway had, as of its first messages. */
const first = (count: number): Missed => ({
  complete: true,
  ranges: [{ epoch: 2, from: 1, entries: Array.from({ length: count }, (_, i) => entry(`b${i + 1}`, i)) }],
  view: view(2, [1, 0], [2, count]),
});

/** A topic, somebody in it, and others who stood in one place when it is not yet known what they missed. */
function underWay() {
  const subject = two();
  const answers: PromiseWithResolvers<Missed>[] = [];
  subject.cluster.finding = () => {
    const answer = Promise.withResolvers<Missed>();
    answers.push(answer);
    return answer.promise;
  };
  const since = position(view(2, [1, 0], [2, 0]));
  return { subject, answers, comeBack: (listener: Listener) => subject.subscribe("t", listener, { since }) };
}

Deno.test("who asks while it is looked for others is told what was so when it asked: it is looked for once more, for all of these", async () => {
  const { subject, answers, comeBack } = underWay();
  const listeners = Array.from({ length: 4 }, () => new Listener());
  const early = comeBack(listeners[0]!);
  await settled();
  equal(answers.length, 1);
  const late = [];
  for (const listener of listeners.slice(1)) {
    late.push(comeBack(listener));
    await settled();
  }
  equal(answers.length, 1, "one after the other");
  // The other gateway is not heard here, and took one more before those asked.
  answers[0]!.resolve(first(1));
  deepEqual((await early).missed.map(said), ["b1"]);
  await settled();
  equal(answers.length, 2);
  subject.publish("t", "a1");
  answers[1]!.resolve(first(2));
  for (const subscription of await Promise.all(late)) {
    deepEqual([subscription.recovered, subscription.missed.map(said)], [true, ["b1", "b2"]]);
  }
  await subject.turn();
  deepEqual(listeners.map(({ lines }) => lines), [["a1"], ["a1"], ["a1"], ["a1"]]);
  equal(answers.length, 2);
});

Deno.test("what came before it is looked for once more is not lost between", async () => {
  const { subject, answers, comeBack } = underWay();
  const listeners = [new Listener(), new Listener()];
  const early = comeBack(listeners[0]!);
  await settled();
  const late = comeBack(listeners[1]!);
  await settled();
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("b1", 1)] });
  answers[0]!.resolve(first(0));
  await early;
  subject.local.accept("n/t", { epoch: 2, from: 2, entries: [entry("b2", 2)] });
  await settled();
  answers[1]!.resolve(first(1));
  deepEqual((await late).missed.map(said), ["b1"]);
  await subject.turn();
  deepEqual(listeners.map(({ lines }) => lines), [["b1", "b2"], ["b2"]]);
});

Deno.test("where the first ones give up, the others wait for nobody", async () => {
  const { subject, answers, comeBack } = underWay();
  const leaving = new AbortController();
  const since = position(view(2, [1, 0], [2, 0]));
  const early = subject.service.subscribe("n", "t", new Listener(), { since }, requestOf("alice", leaving.signal))
    .catch(() => {});
  await settled();
  const late = comeBack(new Listener());
  await settled();
  leaving.abort(new Error("gone"));
  await settled();
  equal(answers.length, 2);
  answers[1]!.resolve(first(1));
  deepEqual((await late).missed.map(said), ["b1"]);
  answers[0]!.resolve(first(1));
  await early;
});
