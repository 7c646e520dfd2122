import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { settled } from "../cache/support/fake_clock.ts";
import { listening, message, Subject, withCode } from "./support/realtime.ts";

Deno.test("messages come in their order, JSON with all digits and bytes as bytes", async () => {
  const { subject, subscription, events, states } = await listening();
  deepEqual(subject.socket.asked, [{ id: 2, type: "subscribe", topic: "t" }]);
  await subscription.ready;
  subject.socket.raw('{"type":"message","topic":"t","at":5,"data":{"n":9007199254740993},"position":"p1"}');
  subject.socket.tell(message("t", null, "p2"), { type: "message", topic: "t", data_base64: "AP8=", at: 1 });
  deepEqual(events, [{ n: 9007199254740993n }, null, new Uint8Array([0, 255])]);
  deepEqual([subscription.position, subscription.recovered, states], [undefined, undefined, ["live"]]);
});

Deno.test("after a break it goes on behind the last message that was told, and nothing comes twice", async () => {
  const { subject, subscription, events, states } = await listening();
  subject.socket.tell(message("t", 1, "p1"), message("t", 2, "p2"));
  const [before] = subject.sockets;
  subject.answers.subscribe = ({ since }) => ({
    type: "ok",
    position: "p4",
    recovered: true,
    missed: since === "p2" ? [message("t", 3, "p3"), message("t", 4, "p4")] : [],
  });
  await subject.breakOff();
  before!.tell(message("t", 3, "p3"));
  subject.socket.tell(message("t", 5, "p5"));
  deepEqual(events, [1, 2, ["recovered", true, undefined, 2], 3, 4, 5]);
  deepEqual([subscription.position, subscription.recovered], ["p5", true]);
  deepEqual(states, ["live", "waiting", "live"]);
  subject.answers.subscribe = ({ since }) => ({ type: "ok", position: since, recovered: true });
  await subject.breakOff();
  equal(subject.socket.asked[0]!.since, "p5");
});

Deno.test("a subscription that was confirmed and never had a message goes on where it was confirmed", async () => {
  const { subject } = await listening();
  await subject.breakOff();
  equal(subject.socket.asked[0]!.since, "p0");
});

Deno.test("what cannot be recovered is told as an event, as a gap and as a property, and so is what nobody says", async () => {
  for (
    const [answer, reason] of [
      [{ recovered: false, unrecovered: "gateway_lost" }, "gateway_lost"],
      [{ recovered: false }, "unknown"],
      [{}, "unknown"],
      [{ recovered: "true" }, "unknown"],
    ] as const
  ) {
    const { subject, subscription, events } = await listening();
    subject.socket.tell(message("t", 1, "p1"));
    subject.answers.subscribe = () => ({ type: "ok", position: "p9", missed: [], ...answer });
    await subject.breakOff();
    subject.socket.tell(message("t", 10, "p10"));
    deepEqual(events, [1, ["recovered", false, reason, 0], ["gap", reason, "p1", "p9"], 10]);
    deepEqual([subscription.recovered, subscription.position], [false, "p10"]);
  }
});

Deno.test("where a topic keeps no history, a break is a gap", async () => {
  const { subject, subscription, events } = await listening();
  subject.answers.subscribe = () => ({ type: "ok" });
  subject.socket.tell(message("t", 1));
  await subject.breakOff();
  equal("since" in subject.socket.asked[0]!, false);
  deepEqual(events, [1, ["recovered", false, "no_history", 0], ["gap", "no_history", undefined, undefined]]);
  equal(subscription.recovered, false);
});

Deno.test("a break before it was confirmed loses nothing that was promised", async () => {
  const subject = new Subject();
  const confirm = subject.answers.subscribe!;
  subject.answers.subscribe = () => undefined;
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t");
  const events: unknown[] = [];
  subscription.on("gap", (event) => events.push(event));
  await settled();
  subject.answers.subscribe = confirm;
  await subject.breakOff();
  deepEqual([events, subscription.recovered, subscription.state], [[], undefined, "live"]);
});

Deno.test("who begins where somebody was before is told what came since, or that it cannot be had", async () => {
  const subject = new Subject();
  subject.answers.subscribe = () => ({ type: "ok", position: "p3", recovered: true, missed: [message("t", 3, "p3")] });
  const realtime = await subject.connect();
  const events: unknown[] = [];
  const subscription = realtime.subscribe("t", { since: "p2" });
  subscription.on("message", ({ data }) => events.push(data));
  await subscription.ready;
  deepEqual([events, subscription.recovered, subject.socket.asked[0]!.since], [[3], true, "p2"]);
});

Deno.test("a gap that the gateway tells moves the position", async () => {
  const { subject, subscription, events } = await listening();
  subject.socket.tell({ type: "gap", topic: "t", reason: "slow", position: "p7" }, { type: "gap", topic: "t" });
  deepEqual(events, [["gap", "slow", "p0", "p7"], ["gap", "unknown", "p7", undefined]]);
  subject.answers.subscribe = () => ({ type: "ok" });
  await subject.breakOff();
  deepEqual([subject.socket.asked[0]!.since, subscription.recovered], [undefined, false]);
});

Deno.test("what is told before a subscription is confirmed belongs to the one before", async () => {
  const { subject, realtime, subscription, events } = await listening();
  subject.answers.unsubscribe = subject.answers.subscribe = () => undefined;
  subscription.close();
  const second = realtime.subscribe("t");
  second.on("message", ({ data }) => events.push(data));
  await settled();
  deepEqual(subject.socket.asked.slice(1).map(({ id, type }) => [id, type]), [[3, "unsubscribe"], [4, "subscribe"]]);
  subject.socket.tell(message("t", "old", "p1"), { id: 3, type: "ok" }, message("t", "older", "p1"));
  subject.socket.tell({ id: 4, type: "ok", position: "p1" }, message("t", "new", "p2"));
  deepEqual(events, ["new"]);
  equal(second.position, "p2");
});

Deno.test("what is told before a subscription is confirmed moves it nowhere", async () => {
  const subject = new Subject();
  subject.answers.subscribe = () => undefined;
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t", { since: "p3" });
  await settled();
  const member = { id: "a" };
  subject.socket.tell({ type: "gap", topic: "t", reason: "slow", position: "p9" }, message("t", 1, "p9"));
  subject.socket.tell({ type: "join", topic: "t", member, at: 1 }, {
    type: "unsubscribed",
    topic: "t",
    reason: "ended",
  });
  deepEqual([subscription.position, subscription.members], ["p3", []]);
  await subject.breakOff();
  equal(subject.socket.asked[0]!.since, "p3");
});

Deno.test("one that is closed before it is confirmed stays so, whatever the gateway answers", async () => {
  const subject = new Subject();
  subject.answers.subscribe = () => undefined;
  const realtime = await subject.connect();
  const [confirmed, refused] = [realtime.subscribe("t"), realtime.subscribe("u")];
  const states: unknown[] = [];
  for (const one of [confirmed, refused]) one.on("state", ({ state, error }) => states.push([state, error]));
  await settled();
  confirmed.close();
  refused.close();
  subject.socket.tell({ id: 2, type: "ok", position: "p1" }, { id: 3, type: "error", code: "UNAVAILABLE", error: "x" });
  await subject.clock.advance(10_000);
  deepEqual(states, [["ended", undefined], ["ended", undefined]]);
  deepEqual(subject.socket.asked.map(({ type }) => type), ["subscribe", "subscribe", "unsubscribe", "unsubscribe"]);
});

Deno.test("one topic has one subscription, and another one after it was closed", async () => {
  const { realtime, subscription, subject } = await listening();
  throws(() => realtime.subscribe("t"), withCode("ALREADY_SUBSCRIBED"));
  equal(realtime.subscription("t"), subscription);
  subscription.close();
  subscription.close();
  equal(realtime.subscription("t"), undefined);
  realtime.subscribe("t");
  await settled();
  deepEqual(subject.socket.asked.map(({ type }) => type), ["subscribe", "unsubscribe", "subscribe"]);
  throws(() => realtime.subscribe("u", { buffer: 0 }), RangeError);
});

Deno.test("one that is closed before there is a connection is never asked for", async () => {
  const subject = new Subject();
  const realtime = subject.make();
  const subscription = realtime.subscribe("t");
  subscription.close();
  await rejects(subscription.ready, withCode("CLOSED"));
  await settled();
  deepEqual(subject.socket.asked, []);
});

Deno.test("who is there is known, and changes during a break are told like any other", async () => {
  const subject = new Subject();
  const member = (id: string, joined_at = 1) => ({ id, joined_at, connections: 1, meta: { n: id } });
  subject.answers.subscribe = () => ({ type: "ok", members: [member("a"), member("b")] });
  const realtime = await subject.connect();
  const me = { id: "a", meta: { n: 1 } };
  const subscription = realtime.subscribe("t", { presence: true, member: me });
  const events: unknown[] = [];
  subscription.on("join", ({ member, at }) => events.push(["join", member.id, at]));
  subscription.on("leave", ({ member, at }) => events.push(["leave", member.id, at]));
  await settled();
  deepEqual(subject.socket.asked[0], { id: 2, type: "subscribe", topic: "t", presence: true, member: me });
  deepEqual(subscription.members[0], { id: "a", meta: { n: "a" }, joinedAt: 1, connections: 1 });
  const change = (type: string, id: string) => ({ type, topic: "t", member: member(id), at: 7 });
  subject.socket.tell(change("join", "a"), change("join", "c"), change("leave", "b"), change("leave", "b"));
  deepEqual(events.splice(0), [["join", "c", 7], ["leave", "b", 7]], "the list may know it already");
  subject.answers.subscribe = () => ({ type: "ok", members: [member("a"), member("d")] });
  await subject.breakOff();
  deepEqual(events, [["leave", "c", undefined], ["join", "d", undefined]]);
  deepEqual(subscription.members.map(({ id }) => id), ["a", "d"]);
});

Deno.test("a gap may have swallowed who came and left, so the gateway is asked", async () => {
  const member = (id: string) => ({ id, joined_at: 1, connections: 1 });
  const { subject, subscription, events } = await listening({ presence: true });
  const change = (type: string, id: string) => ({ type, topic: "t", member: member(id), at: 7 });
  subject.socket.tell(change("join", "a"), change("join", "b"));
  subject.answers.presence = () => ({ type: "ok", members: [member("b"), member("c")], count: 2 });
  subject.socket.tell({ type: "gap", topic: "t", reason: "slow", position: "p5" });
  await settled();
  deepEqual(events.slice(2), [["gap", "slow", "p0", "p5"], ["leave", "a", undefined], ["join", "c", undefined]]);
  subject.answers.presence = () => ({ type: "error", code: "UNAVAILABLE", error: "later" });
  subject.socket.tell({ type: "gap", topic: "t", reason: "slow", position: "p6" });
  await settled();
  deepEqual(subscription.members.map(({ id }) => id), ["b", "c"]);
});

Deno.test("what cannot be said of a member is refused at once", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  throws(() => realtime.subscribe("t", { member: { id: "a", meta: { n: 1n } } }), TypeError);
  equal(realtime.subscription("t"), undefined);
});

Deno.test("a topic that the gateway refuses is ended with its error; what passes is asked for again", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const confirm = subject.answers.subscribe!;
  subject.answers.subscribe = () => ({ type: "error", code: "INSUFFICIENT_SCOPE", error: "not this topic" });
  const refused = realtime.subscribe("t");
  await rejects(refused.ready, withCode("INSUFFICIENT_SCOPE"));
  deepEqual([refused.state, refused.error?.message, realtime.subscription("t")], [
    "ended",
    "not this topic",
    undefined,
  ]);
  await rejects(refused[Symbol.asyncIterator]().next(), withCode("INSUFFICIENT_SCOPE"));

  subject.answers.subscribe = () => ({ type: "error", code: "UNAVAILABLE", error: "later" });
  const later = realtime.subscribe("t");
  await settled();
  await subject.clock.advance(3_000);
  equal(subject.socket.asked.length, 4);
  subject.answers.subscribe = confirm;
  await subject.clock.advance(30_000);
  equal(later.state, "live");
  subject.answers.subscribe = () => ({ type: "error", code: "TOO_MANY", error: "later", retry_after: 5 });
  const closed = realtime.subscribe("u");
  await settled();
  closed.close();
  await subject.clock.advance(60_000);
  equal(subject.socket.asked.filter(({ topic }) => topic === "u").length, 1);
});

Deno.test("one that ends because its gateway stops goes on at the next, or there after a while", async () => {
  const { subject, subscription, events, states } = await listening();
  subject.answers.subscribe = ({ since }) => ({ type: "ok", position: since, recovered: true });
  subject.socket.tell({ type: "unsubscribed", topic: "t", reason: "ended" });
  subject.socket.tell(message("t", "late", "p1"));
  await subject.breakOff(1001);
  deepEqual([subject.sockets.length, subject.socket.asked.length, subject.socket.asked[0]!.since], [2, 1, "p0"]);
  subject.socket.tell({ type: "unsubscribed", topic: "t", reason: "ended" });
  await subject.clock.advance(1_000);
  deepEqual([subject.sockets.length, subject.socket.asked.length], [2, 2]);
  deepEqual(events, [["recovered", true, undefined, 0], ["recovered", true, undefined, 0]]);
  deepEqual([subscription.state, states.length], ["live", 5]);
});

Deno.test("a topic that a frame cannot hold is refused here", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  await rejects(realtime.subscribe("x".repeat(70_000)).ready, withCode("BODY_TOO_LARGE"));
  deepEqual(subject.socket.asked, []);
});

Deno.test("a gateway that answers pings and no subscription is left for another", async () => {
  const subject = new Subject();
  const confirm = subject.answers.subscribe!;
  subject.answers.subscribe = () => undefined;
  const realtime = await subject.connect({ requestTimeout: 5_000 });
  const subscription = realtime.subscribe("t");
  await settled();
  await subject.clock.advance(5_000);
  equal(realtime.state, "waiting");
  subject.answers.subscribe = confirm;
  await subject.clock.advance(1_000);
  equal(subscription.state, "live");
});
