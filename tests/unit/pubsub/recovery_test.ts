import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Missed } from "../../../services/pubsub/cluster/cluster.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { code, position, recovery, two, view } from "./support/positions.ts";
import { Listener, requestOf, said, Subject, text } from "./support/subject.ts";

Deno.test("one who comes back gets exactly what came meanwhile", async () => {
  const subject = new Subject();
  const { listener, subscription } = await subject.listen("t");
  deepEqual(await recovery(subject, subscription.position), [], "at the very beginning");
  subject.publish("t", ["1", "2", "3"]);
  subject.publish("t", "4");
  const [first, second, third, fourth] = listener.messages.map(({ position }) => position);
  deepEqual(await recovery(subject, subscription.position), ["1", "2", "3", "4"]);
  deepEqual(await recovery(subject, first), ["2", "3", "4"]);
  deepEqual(await recovery(subject, second), ["3", "4"]);
  deepEqual(await recovery(subject, third), ["4"]);
  deepEqual(await recovery(subject, fourth), []);
  const { recovered, unrecovered } = subject.service.figures();
  deepEqual([recovered, Object.values(unrecovered)], [6, [0, 0, 0, 0, 0]]);
});

Deno.test("what cannot be a position of the topic is refused, and subscribes nobody", async () => {
  const subject = new Subject();
  subject.publish("t", "1");
  const other = subject.publish("u", "1").position!;
  const elsewhere = subject.service.publish("m", "t", [text("1")], {}, requestOf());
  ok(!(elsewhere instanceof Promise));
  for (const since of ["", "x", "AAAA", "A".repeat(100_000), other, elsewhere.position!, `${other}=`]) {
    await rejects(subject.subscribe("t", new Listener(), { since }), code("INVALID_REQUEST"), since.slice(0, 20));
    await rejects(subject.history("t", since), code("INVALID_REQUEST"), since.slice(0, 20));
  }
  equal(subject.service.figures().subscriptions, 0);
});

Deno.test("a position that nobody was given recovers nothing that cannot be proved", async () => {
  const subject = new Subject();
  subject.publish("t", ["1", "2"]);
  const largest = Number.MAX_SAFE_INTEGER;
  equal(await recovery(subject, position(view(1, [1, 3]))), "expired", "of the future");
  equal(await recovery(subject, position(view(1, [1, largest]))), "expired");
  equal(await recovery(subject, position(view(1))), "gateway_lost", "that this life is over");
  equal(await recovery(subject, position(view(2))), "gateway_lost", "lives to come are over");
  equal(await recovery(subject, position(view(largest, [1, 1]))), "gateway_lost");
  equal(await recovery(subject, position(view(1, [1, 1], [7, 1]))), "gateway_lost", "a life that never was");
  deepEqual(await recovery(subject, position(view(0))), ["1", "2"]);
  deepEqual(await recovery(subject, position(view(1, [1, 0]))), ["1", "2"]);
  subject.epoch = 5;
  subject.publish("t", "3");
  equal(await recovery(subject, position(view(3))), "gateway_lost", "of the fourth life nobody knows");
  deepEqual(await recovery(subject, position(view(4))), ["3"]);
});

Deno.test("a restart loses what the process had, and says so", async () => {
  const before = new Subject();
  const { position } = before.publish("t", "1");
  const after = new Subject();
  after.epoch = 2;
  equal(await recovery(after, position), "gateway_lost");
});

Deno.test("what is no longer kept is not recovered, and what is gone by time is gone when the clock is set back", async () => {
  const subject = new Subject({ historySize: 3, historyTtl: 1_000 });
  const positions = ["1", "2", "3", "4", "5"].map((content) => subject.publish("t", content).position);
  equal(await recovery(subject, positions[0]), "expired");
  deepEqual(await recovery(subject, positions[1]), ["3", "4", "5"]);
  subject.clock.jump(86_400_000);
  deepEqual(await recovery(subject, positions[1]), ["3", "4", "5"]);
  subject.clock.jump(-2 * 86_400_000);
  subject.clock.pass(999);
  deepEqual(await recovery(subject, positions[3]), ["5"]);
  subject.clock.pass(1);
  equal(await recovery(subject, positions[3]), "expired");
  deepEqual(await recovery(subject, positions[4]), [], "nothing came since");
});

Deno.test("without history there are no positions, and nothing is recovered", async () => {
  const subject = new Subject();
  const { position } = subject.publish("t", "1");
  subject.rules = { ...subject.rules, historySize: 0 };
  equal(subject.publish("t", "2").position, undefined);
  equal(await recovery(subject, position), "no_history");
  deepEqual(await subject.history("t", position), { messages: [], position: undefined, more: false, complete: false });
  deepEqual((await subject.history("t")).complete, undefined);
  equal(subject.service.figures().historyMessages, 0);
  subject.rules = { ...subject.rules, historySize: 5 };
  const { position: third } = subject.publish("t", "3");
  subject.publish("t", "4");
  deepEqual(await recovery(subject, third), ["4"]);
  equal(await recovery(subject, position), "expired");
});

Deno.test("before the gateway has a number nothing is recovered", async () => {
  const subject = new Subject();
  subject.epoch = undefined;
  equal(await recovery(subject, position(view(1, [1, 1]))), "unreachable");
});

Deno.test("more than one answer may hold is not handed over in part", async () => {
  const subject = new Subject({ historySize: 5_000, maxQueueBytes: 5_000 });
  const start = subject.publish("t", "0").position;
  for (let i = 0; i < 5; i++) subject.publish("t", "x".repeat(1_000));
  equal((await recovery(subject, start)).length, 5);
  subject.publish("t", "x");
  equal(await recovery(subject, start), "too_much");
  const { cluster } = subject;
  const asked: unknown[] = [];
  cluster.finding = (key, since, limits) => {
    asked.push(limits);
    return cluster.findHere(key, since, { ...limits, messages: 2 });
  };
  const { position: other } = subject.publish("u", "0");
  for (const expected of [[], ["1"], ["1", "2"], undefined]) {
    const { subscription } = await subject.listen("u", { since: other });
    deepEqual(subscription.recovered ? subscription.missed.map(said) : undefined, expected);
    subject.publish("u", String((expected?.length ?? 0) + 1));
  }
  deepEqual(asked[0], { bytes: 5_000, messages: 5_000 });
  subject.rules = { ...subject.rules, historySize: 10 };
  await subject.listen("u", { since: other });
  deepEqual(asked.at(-1), { bytes: 5_000, messages: 1_000 }, "other gateways may have more");
});

Deno.test("ten thousand who stood in one place are looked for once, and once more for those who asked meanwhile", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  subject.publish("t", ["1", "2"]);
  const since = listener.messages[0]!.position;
  let asked = 0;
  const answer = Promise.withResolvers<void>();
  const { cluster } = subject;
  cluster.finding = async (key, since, limits) => {
    asked++;
    await answer.promise;
    return await cluster.findHere(key, since, limits);
  };
  const listeners = Array.from({ length: 10_000 }, () => new Listener());
  const all = listeners.slice(0, 5_000).map((listener) => subject.subscribe("t", listener, { since }));
  await settled();
  subject.publish("t", "3");
  all.push(...listeners.slice(5_000).map((listener) => subject.subscribe("t", listener, { since })));
  await settled();
  answer.resolve();
  const subscriptions = await Promise.all(all);
  await subject.turn();
  subject.publish("t", "4");
  equal(asked, 2);
  for (const [i, { missed, recovered }] of subscriptions.entries()) {
    equal(recovered, true);
    equal([...missed.map(said), ...listeners[i]!.lines].join(), "2,3,4");
  }
});

Deno.test("more than may wait while it is looked for is told as too much, and no more than that", async () => {
  const subject = new Subject({ maxQueueBytes: 1_000 });
  const answer = Promise.withResolvers<Missed>();
  subject.cluster.finding = () => answer.promise;
  const { position: since } = subject.publish("t", "1");
  const listener = new Listener();
  const subscribing = subject.subscribe("t", listener, { since });
  await settled();
  for (let i = 0; i < 10; i++) subject.publish("t", "x".repeat(300));
  answer.resolve({ complete: true, ranges: [], view: view(1, [1, 1]) });
  const subscription = await subscribing;
  const last = subject.publish("t", "last").position;
  await subject.turn();
  deepEqual([subscription.recovered, subscription.unrecovered, subscription.missed], [false, "too_much", []]);
  deepEqual(listener.lines, ["last"]);
  equal(listener.messages[0]!.position, last);
});

Deno.test("one that is not recovered stands where it came, and gets all that came since", async () => {
  const subject = two();
  const answer = Promise.withResolvers<Missed>();
  subject.cluster.finding = () => answer.promise;
  const { position: since } = subject.publish("t", "1");
  const listener = new Listener();
  const subscribing = subject.subscribe("t", listener, { since });
  await settled();
  subject.publish("t", "2");
  answer.resolve({ complete: false, reason: "gateway_lost" });
  const { position: start, unrecovered } = await subscribing;
  await subject.turn();
  equal(unrecovered, "gateway_lost");
  equal(start, since);
  deepEqual(listener.lines, ["2"]);
  equal(subject.service.figures().unrecovered.gateway_lost, 1);
});

Deno.test("who gives up while it is looked for leaves, and when all have left nobody looks on", async () => {
  const subject = new Subject();
  const { position: since } = subject.publish("t", "1");
  const answer = Promise.withResolvers<Missed>();
  let signal: AbortSignal | undefined, asked = 0;
  subject.cluster.finding = (_key, _since, _limits, given) => {
    signal = given;
    asked++;
    return answer.promise;
  };
  const controllers = [new AbortController(), new AbortController()];
  const listeners = [new Listener(), new Listener()];
  const both = awaitedLater(
    controllers.map(({ signal }, i) =>
      subject.service.subscribe("n", "t", listeners[i]!, { since }, requestOf("alice", signal))
    ),
  );
  await settled();
  controllers[0]!.abort(new Error("gone"));
  equal(signal!.aborted, false);
  controllers[1]!.abort(new Error("gone, too"));
  equal(signal!.aborted, true);
  const third = awaitedLater(subject.subscribe("t", new Listener(), { since }));
  await settled();
  equal(asked, 2, "who comes then does not wait for what nobody looks for");
  answer.resolve({ complete: true, ranges: [], view: view(1, [1, 1]) });
  await rejects(both[0]!, /gone/);
  await rejects(both[1]!, /gone, too/);
  equal((await third).recovered, true);
  await subject.turn();
  subject.publish("t", "2");
  deepEqual(listeners.map(({ lines }) => lines), [[], []]);
  equal(subject.service.figures().subscriptions, 1);
});

Deno.test("one who is present and recovers is heard of behind what was missed", async () => {
  const subject = new Subject();
  const { position: since } = subject.publish("t", "1");
  subject.publish("t", "2");
  const { listener, subscription } = await subject.listen("t", { since, member: { id: "ada", meta: undefined } });
  deepEqual(subscription.missed.map(said), ["2"]);
  deepEqual(listener.lines, ["join ada"]);
});

Deno.test("subscribers that come and go at random either have everything, once and in order, or were told that they have not", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    let state = seed;
    const random = (below: number) => (state = Math.imul(state, 1_103_515_245) + 12_345 & 0x7fffffff) % below;
    const subject = new Subject({ historySize: 20, historyTtl: 5_000, maxQueueBytes: 2_000 });
    const published: string[] = [];
    const readers = Array.from({ length: 5 }, () => ({
      has: [] as string[],
      position: undefined as string | undefined,
      first: 0,
      listener: undefined as Listener | undefined,
      close: () => {},
    }));
    let recovered = 0, lost = 0;
    for (let step = 0; step < 300; step++) {
      const reader = readers[random(5)]!;
      if (random(3) > 0) {
        const batch = Array.from({ length: 1 + random(3) }, (_, i) => `${published.length + i}`);
        published.push(...batch);
        subject.publish("t", batch);
      } else if (reader.listener === undefined) {
        const listener = reader.listener = new Listener();
        const first = published.length;
        const making = subject.subscribe("t", listener, { since: reader.position });
        if (random(2) === 0) {
          await settled();
          published.push(`${published.length}`);
          subject.publish("t", published.at(-1)!);
        }
        const subscription = await making;
        reader.close = () => subscription.close();
        if (subscription.recovered) {
          recovered++;
          reader.has.push(...subscription.missed.map(said));
        } else {
          if (subscription.recovered === false) lost++;
          reader.has = [];
          reader.first = first;
        }
        reader.position = subscription.position;
        await subject.turn();
      } else {
        reader.close();
        for (const message of reader.listener.messages) {
          reader.has.push(said(message));
          reader.position = message.position;
        }
        reader.listener = undefined;
        deepEqual(reader.has, published.slice(reader.first));
      }
      if (random(20) === 0) await subject.clock.advance(random(4_000));
    }
    ok(recovered > 5, `seed ${seed}: ${recovered}`);
    ok(lost > 0, `seed ${seed}: ${lost}`);
  }
});
