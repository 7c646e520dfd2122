import { deepEqual, equal, ok } from "node:assert/strict";
import type { Delivery } from "../../../src/contracts/pubsub.ts";
import { Listener, said, Subject, text } from "./support/subject.ts";

Deno.test("a subscriber that throws harms nobody, and is ended, since it may not have what it threw over", async () => {
  const subject = new Subject();
  const before = await subject.listen("t"), broken = await subject.listen("t"), after = await subject.listen("t");
  broken.listener.does = () => {
    throw new Error("broken");
  };
  subject.publish("t", "1");
  subject.publish("t", "2");
  await subject.turn();
  deepEqual(before.listener.lines, ["1", "2"]);
  deepEqual(after.listener.lines, ["1", "2"]);
  deepEqual(broken.listener.lines, ["1"]);
  equal(broken.listener.ends, 1);
  equal(subject.errors.length, 1);
  equal(subject.service.figures().subscriptions, 2);
  broken.subscription.close();
  equal(subject.service.figures().subscriptions, 2);
});

Deno.test("a subscriber that throws at what waited for it, or when it is told of its end, harms nobody either", async () => {
  const subject = new Subject();
  const broken = new Listener(), fine = new Listener();
  broken.does = () => {
    throw new Error("broken");
  };
  broken.ended = () => {
    throw new Error("broken, too");
  };
  await subject.subscribe("t", broken);
  await subject.subscribe("t", fine);
  subject.publish("t", "1");
  await subject.turn();
  await subject.turn();
  deepEqual(fine.lines, ["1"]);
  equal(subject.errors.length, 2);
  equal(subject.service.figures().subscriptions, 1);
});

Deno.test("whoever leaves in the middle of a delivery gets no more of it, whoever makes them leave", async () => {
  const subject = new Subject();
  const first = await subject.listen("t"), second = await subject.listen("t"), third = await subject.listen("t");
  const fourth = await subject.listen("t");
  first.listener.does = () => {
    first.subscription.close();
    third.subscription.close();
  };
  subject.publish("t", "1");
  subject.publish("t", "2");
  deepEqual(first.listener.lines, ["1"]);
  deepEqual(second.listener.lines, ["1", "2"]);
  deepEqual(third.listener.lines, []);
  deepEqual(fourth.listener.lines, ["1", "2"]);
  second.subscription.close();
  fourth.subscription.close();
  subject.publish("t", "3");
  equal(subject.service.figures().delivered, 5);
  equal(subject.service.figures().subscriptions, 0);
});

Deno.test("whoever comes in the middle of a delivery gets what comes after it", async () => {
  const subject = new Subject();
  const first = await subject.listen("t");
  const late = new Listener();
  first.listener.does = ({ events: [event] }) => {
    if (event?.kind === "message" && said(event) === "1") void subject.subscribe("t", late);
  };
  subject.publish("t", "1");
  subject.publish("t", "2");
  await subject.turn();
  subject.publish("t", "3");
  deepEqual(late.lines, ["2", "3"]);
  deepEqual(first.listener.lines, ["1", "2", "3"]);
});

Deno.test("whoever comes behind something that was published from within a delivery does not get it", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  const late = new Listener();
  listener.does = ({ events: [event] }) => {
    if (event?.kind !== "message" || said(event) !== "1") return;
    subject.publish("t", "2");
    void subject.subscribe("t", late);
    subject.publish("t", "3");
  };
  subject.publish("t", "1");
  await subject.turn();
  deepEqual([listener.lines, late.lines], [["1", "2", "3"], ["3"]]);
});

Deno.test("what is published from within a delivery comes behind it, for everyone", async () => {
  const subject = new Subject();
  const all = [await subject.listen("t"), await subject.listen("t"), await subject.listen("t")];
  all[1]!.listener.does = ({ events: [event] }) => {
    if (event?.kind !== "message" || said(event) !== "1") return;
    subject.publish("t", "2");
    subject.publish("t", "3");
    all[2]!.subscription.close();
  };
  subject.publish("t", "1");
  deepEqual(all.map(({ listener }) => listener.lines), [["1", "2", "3"], ["1", "2", "3"], []]);
  const offsets = all[0]!.listener.messages.map(({ position }) => position);
  equal(new Set(offsets).size, 3);
});

Deno.test("one call is one delivery, the same object for everyone, encoded once for each way of encoding", async () => {
  const subject = new Subject();
  const all = [await subject.listen("t"), await subject.listen("t"), await subject.listen("t")];
  let encoded = 0;
  const encode = ({ topic, events }: Delivery) => {
    encoded++;
    return `${topic} ${events.length}`;
  };
  const other = ({ events }: Delivery) => events.length;
  const none = () => undefined;
  const made: unknown[] = [];
  for (const { listener } of all) {
    listener.does = (delivery) =>
      made.push(delivery.as(encode), delivery.as(other), delivery.as(none), delivery.as(none));
  }
  subject.publish("t", ["1", "2"]);
  deepEqual(made, Array.from({ length: 3 }, () => ["t 2", 2, undefined, undefined]).flat());
  equal(encoded, 1);
  const [delivery, ...others] = all.map(({ listener }) => listener.deliveries);
  equal(delivery!.length, 1);
  ok(others.every((other) => other[0] === delivery![0]));
});

Deno.test("an encoder that throws is asked again", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  subject.publish("t", "1");
  let asked = 0;
  const encode = () => {
    if (asked++ === 0) throw new Error("not now");
    return "made";
  };
  const [delivery] = listener.deliveries;
  let failed = 0;
  try {
    delivery!.as(encode);
  } catch {
    failed++;
  }
  equal(failed, 1);
  equal(delivery!.as(encode), "made");
  equal(delivery!.as(encode), "made");
  equal(asked, 2);
});

Deno.test("nothing is delivered before the next turn, and nothing is lost until then", async () => {
  const subject = new Subject();
  subject.publish("t", "before");
  const listener = new Listener();
  const subscription = await subject.subscribe("t", listener);
  subject.publish("t", "1");
  const second = new Listener();
  await subject.subscribe("t", second);
  subject.publish("t", "2");
  deepEqual([listener.lines, second.lines], [[], []]);
  await subject.turn();
  subject.publish("t", "3");
  deepEqual([listener.lines, second.lines], [["1", "2", "3"], ["2", "3"]]);
  subscription.close();
  subject.publish("t", "4");
  deepEqual([listener.lines.length, second.lines.length], [3, 3]);
  equal(subject.service.figures().delivered, 6);
});

Deno.test("a subscription that is closed before its first turn gets nothing", async () => {
  const subject = new Subject();
  const listener = new Listener(), other = new Listener();
  const subscription = await subject.subscribe("t", listener);
  await subject.subscribe("t", other);
  subject.publish("t", "1");
  subscription.close();
  await subject.turn();
  subject.publish("t", "2");
  deepEqual([listener.lines, other.lines], [[], ["1", "2"]]);
});

Deno.test("what subscribers do when they get what waited for them keeps its order, too", async () => {
  const subject = new Subject();
  const first = new Listener(), second = new Listener(), third = new Listener();
  const closing = await subject.subscribe("t", first);
  await subject.subscribe("t", second);
  await subject.subscribe("t", third);
  second.does = ({ events: [event] }) => {
    if (event?.kind !== "message" || said(event) !== "1") return;
    closing.close();
    subject.publish("t", "3");
    void subject.listen("t");
  };
  subject.publish("t", ["1"]);
  subject.publish("t", ["2"]);
  await subject.turn();
  await subject.turn();
  deepEqual([first.lines, second.lines, third.lines], [["1"], ["1", "2", "3"], ["1", "2", "3"]]);
});

Deno.test("more than may wait for those who have just come is dropped, and they are told where", async () => {
  const subject = new Subject({ maxQueueBytes: 2_000 });
  const there = await subject.listen("t");
  const early = new Listener(), late = new Listener();
  await subject.subscribe("t", early);
  for (let i = 0; i < 10; i++) subject.publish("t", "x".repeat(500));
  await subject.subscribe("t", late);
  subject.publish("t", "last");
  await subject.turn();
  equal(there.listener.events.length, 11);
  deepEqual(late.lines, ["last"]);
  equal(early.lines[0], "gap slow");
  equal(early.lines.at(-1), "last");
  equal(early.events.filter(({ kind }) => kind === "gap").length, 1);
  ok(early.events.length < 6);
  // Who goes on from the gap has all that came behind it.
  const [gap] = early.events;
  ok(gap?.kind === "gap");
  const { subscription } = await subject.listen("t", { since: gap.position });
  deepEqual(subscription.missed.map(said), early.lines.slice(1));
});

Deno.test("more than may wait that comes of handing over what waited is dropped, and told, too", async () => {
  const subject = new Subject({ maxQueueBytes: 2_000 });
  const listener = new Listener(), other = new Listener();
  listener.does = ({ events: [event] }) => {
    if (event?.kind !== "message" || said(event) !== "1") return;
    for (let i = 2; i < 10; i++) subject.publish("t", `${i}${".".repeat(500)}`);
  };
  await subject.subscribe("t", listener);
  await subject.subscribe("t", other);
  subject.publish("t", ["1"]);
  await subject.turn();
  subject.publish("t", "last");
  for (const { lines, events } of [listener, other]) {
    deepEqual(lines.slice(0, 2), ["1", "gap slow"]);
    deepEqual(lines.at(-1), "last");
    const [, gap] = events;
    ok(gap?.kind === "gap");
    const { subscription } = await subject.listen("t", { since: gap.position });
    deepEqual(subscription.missed.map(said), lines.slice(2));
  }
  deepEqual(listener.lines, other.lines);
  equal(subject.service.figures().gaps.slow, 2);
});

Deno.test("subscribers that come and go at random hear each of what comes while they are there", async () => {
  const subject = new Subject();
  let state = 5;
  const random = (below: number) => (state = Math.imul(state, 1_103_515_245) + 12_345 & 0x7fffffff) % below;
  const open = new Set<{ readonly listener: Listener; readonly close: () => void; readonly from: number }>();
  const gone: { readonly listener: Listener; readonly from: number; readonly to: number }[] = [];
  let published = 0;
  for (let step = 0; step < 1_000; step++) {
    const choice = random(10);
    if (choice < 4) {
      const listener = new Listener();
      const from = published;
      const subscription = await subject.subscribe("t", listener);
      await subject.turn();
      open.add({ listener, close: () => subscription.close(), from });
    } else if (choice < 6) {
      const [one] = open;
      if (one === undefined) continue;
      one.close();
      open.delete(one);
      gone.push({ listener: one.listener, from: one.from, to: published });
    } else {
      subject.publish("t", String(published++));
    }
  }
  for (const { listener, from } of open) gone.push({ listener, from, to: published });
  for (const { listener, from, to } of gone) {
    deepEqual(listener.lines, Array.from({ length: to - from }, (_, i) => String(from + i)));
  }
  ok(gone.length > 300);
});

Deno.test("a message has its own bytes, not all of the buffer that it came in", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  const frame = new TextEncoder().encode("....hello....");
  await subject.service.publish("n", "t", [{ data: frame.subarray(4, 9), json: false }, text("whole")], {}, {
    requestId: "",
    clientAddress: "",
    caller: "",
    signal: new AbortController().signal,
  });
  frame.fill(0);
  deepEqual(listener.lines, ["hello", "whole"]);
  deepEqual(listener.messages.map(({ data }) => data.buffer.byteLength), [5, 5]);
});
