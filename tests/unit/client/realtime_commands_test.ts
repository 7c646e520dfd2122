import { deepEqual, equal, match, notEqual, rejects } from "node:assert/strict";
import { awaitedLater } from "../../support/awaited_later.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { type Asked, message, Subject, withCode } from "./support/realtime.ts";

const published = (asked: readonly Asked[]) => asked.filter(({ type }) => type === "publish");
const told = (promise: Promise<unknown>) => promise.then(() => "done", ({ code, message }) => code ?? message);

Deno.test("what is published is JSON or bytes, with a key of its own, and acknowledged", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  deepEqual(await realtime.publish("t", { a: [1n, null, "ä"] }), { position: "p1", repeated: false });
  await realtime.publish("t", new Uint8Array([0, 255]));
  await realtime.publish("t", null, { idempotencyKey: "mine" });
  await realtime.publishMany("t", [1, new Uint8Array([1])], { idempotencyKey: false });
  const [json, bytes, nothing, many] = published(subject.socket.asked);
  deepEqual([json!.data, bytes!.data_base64, nothing!.data], [{ a: [1, null, "ä"] }, "AP8=", null]);
  match(String(json!.idempotency_key), /^[\x21\x23-\x2b\x2d-\x7e]{20,255}$/);
  notEqual(json!.idempotency_key, bytes!.idempotency_key);
  equal(nothing!.idempotency_key, "mine");
  deepEqual(many, { id: 5, type: "publish", topic: "t", messages: [{ data: 1 }, { data_base64: "AQ==" }] });
});

Deno.test("what JSON has no form for is refused, and nothing is sent", async () => {
  const subject = new Subject();
  const realtime = await subject.connect<Record<string, unknown>>();
  for (const wrong of [undefined, () => {}, NaN, new Map([[1, 2]]), { a: new Uint8Array(1) }, 2n ** 64n, Symbol("s")]) {
    await rejects(realtime.publish("t", wrong), /^(TypeError|RangeError)/);
    await rejects(realtime.publishMany("t", [1, wrong]), /messages\[1\]/);
  }
  await rejects(realtime.publishMany("t", []), RangeError);
  await rejects(realtime.publish("t", 1, { requestTimeout: 0 }), RangeError);
  await settled();
  deepEqual(subject.socket.asked, []);
});

Deno.test("the gateway's refusals are told with all that it says", async () => {
  const subject = new Subject();
  subject.answers.publish = () => ({
    type: "error",
    code: "UNAVAILABLE",
    error: "too fast",
    details: { limit: 1 },
    retry_after: 2,
  });
  const realtime = await subject.connect();
  await rejects(realtime.publish("t", 1), {
    code: "UNAVAILABLE",
    message: "too fast",
    details: { limit: 1 },
    retryAfter: 2,
  });
});

Deno.test("while there is no connection, publishing waits, and goes behind subscriptions in its order", async () => {
  const subject = new Subject();
  const realtime = subject.make();
  const all = [1, 2, 3].map((data) => realtime.publish("t", data));
  realtime.subscribe("t");
  await Promise.all(all);
  deepEqual(subject.socket.asked.map(({ type, data }) => data ?? type), ["subscribe", 1, 2, 3]);
});

Deno.test("what was on its way when the connection broke off is sent again with its key, in its order, before all else", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  subject.answers.publish = () => undefined;
  const all = awaitedLater([1, 2].map((data) => realtime.publish("t", data)));
  await settled();
  const keys = published(subject.socket.asked).map(({ idempotency_key: key }) => key);
  subject.socket.drop();
  all.push(awaitedLater(realtime.publish("t", 3)));
  subject.answers.publish = ({ data }) => ({ type: "ok", position: `p${data}`, repeated: data === 1 });
  await subject.clock.advance(1_000);
  deepEqual(await Promise.all(all), [
    { position: "p1", repeated: true },
    { position: "p2", repeated: false },
    { position: "p3", repeated: false },
  ]);
  const again = published(subject.socket.asked);
  deepEqual(again.map(({ data }) => data), [1, 2, 3]);
  deepEqual(again.slice(0, 2).map(({ idempotency_key: key }) => key), keys);
  equal(subject.sockets.flatMap(({ asked }) => published(asked)).length, 5);
});

Deno.test("without a key, what was on its way is unknown, and what was not is sent", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const answer = subject.answers.publish!;
  subject.answers.publish = () => undefined;
  const sent = told(realtime.publish("t", 1, { idempotencyKey: false }));
  await settled();
  subject.socket.drop();
  equal(await sent, "OUTCOME_UNKNOWN");
  subject.answers.publish = answer;
  const waiting = told(realtime.publish("t", 2, { idempotencyKey: false }));
  await subject.clock.advance(1_000);
  equal(await waiting, "done");
  equal(subject.socket.asked.length, 1);
});

Deno.test("time that is over leaves open what was sent, and nothing else", async () => {
  const subject = new Subject();
  const realtime = await subject.connect({ requestTimeout: 5_000 });
  subject.answers.publish = subject.answers.history = () => undefined;
  const sent = [realtime.publish("t", 1), realtime.history("t")].map(told);
  await settled();
  await subject.clock.advance(5_000);
  deepEqual(await Promise.all(sent), ["OUTCOME_UNKNOWN", "TIMEOUT"]);
  subject.opens = false;
  subject.socket.drop();
  const waiting = [realtime.publish("t", 1), realtime.publish("t", 1, { requestTimeout: 1 })].map(told);
  await subject.clock.advance(5_000);
  deepEqual(await Promise.all(waiting), ["TIMEOUT", "TIMEOUT"]);
  realtime.close();
  equal(subject.clock.timers, 0);
});

Deno.test("a signal ends waiting with its reason, and leaves open what was sent", async () => {
  const subject = new Subject();
  subject.answers.publish = subject.answers.presence = () => undefined;
  subject.opens = false;
  const realtime = subject.make();
  const reason = new Error("the user left"), controller = new AbortController();
  const { signal } = controller;
  const before = realtime.publish("t", 1, { signal: AbortSignal.abort(reason) });
  await rejects(before, reason);
  const unsent = new AbortController();
  const waiting = realtime.publish("t", 1, { signal: unsent.signal });
  unsent.abort(reason);
  await rejects(waiting, reason);
  subject.socket.open();
  await settled();
  deepEqual(subject.socket.asked, []);
  const sent = [realtime.publish("t", 2, { signal }), realtime.presence("t", { signal })].map(told);
  await settled();
  controller.abort(reason);
  deepEqual(await Promise.all(sent), ["OUTCOME_UNKNOWN", "the user left"]);
  subject.socket.tell({ id: 2, type: "ok" }, { id: 3, type: "ok", members: [] });
  realtime.close();
  equal(subject.clock.timers, 0);
});

Deno.test("a refusal of the second try says nothing of the first, unless both were judged alike", async () => {
  for (
    const [code, outcome] of [["RATE_LIMITED", "OUTCOME_UNKNOWN"], ["INVALID_REQUEST", "INVALID_REQUEST"]] as const
  ) {
    const subject = new Subject();
    const realtime = await subject.connect();
    subject.answers.publish = () => undefined;
    const sent = told(realtime.publish("t", 1));
    await settled();
    subject.answers.publish = () => ({ type: "error", code, error: "no" });
    await subject.breakOff();
    equal(await sent, outcome);
  }
});

Deno.test("a key is not counted on for longer than a gateway remembers it", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  subject.answers.publish = () => undefined;
  const sent = told(realtime.publish("t", 1, { requestTimeout: 3_600_000 }));
  await settled();
  subject.opens = false;
  subject.socket.drop();
  const unsent = told(realtime.publish("t", 2, { requestTimeout: 3_600_000 }));
  await subject.clock.advance(240_000);
  equal(await sent, "OUTCOME_UNKNOWN");
  subject.opens = true;
  subject.answers.publish = () => ({ type: "ok" });
  await subject.clock.advance(60_000);
  equal(await unsent, "done", "what never left may wait");
  deepEqual(published(subject.socket.asked).map(({ data }) => data), [2]);
});

Deno.test("what waits is bounded, and so is what a frame holds", async () => {
  const subject = new Subject();
  const realtime = subject.make({ maxWaiting: 1_000 });
  const first = awaitedLater(realtime.publish("t", "x".repeat(2_000)));
  await rejects(realtime.publish("t", 1), withCode("QUEUE_FULL"));
  await first;
  await realtime.publish("t", 1);
  await rejects(realtime.publish("t", "x".repeat(65_536)), withCode("BODY_TOO_LARGE"));
  await rejects(realtime.publish("t", "€".repeat(30_000)), withCode("BODY_TOO_LARGE"));
  equal(published(subject.socket.asked).length, 2);
});

Deno.test("a frame that the gateway found too large leaves what was in it open, and the next connection is good", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  subject.answers.publish = () => undefined;
  const sent = told(realtime.publish("t", 1, { idempotencyKey: false }));
  await settled();
  await subject.breakOff(1009);
  equal(await sent, "OUTCOME_UNKNOWN");
  equal(realtime.state, "connected");
});

Deno.test("reads are asked again over the next connection", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const members = [{ id: "a", joined_at: 1, connections: 2 }];
  const presence = awaitedLater(realtime.presence("t")),
    history = awaitedLater(realtime.history("t", { since: "p0", limit: 1 }));
  await settled();
  subject.answers.presence = () => ({ type: "ok", members, count: 7 });
  const messages = [message("t", 1, "p1")];
  subject.answers.history = () => ({ type: "ok", messages, position: "p1", more: true, complete: true });
  await subject.breakOff();
  deepEqual(await presence, { members: [{ id: "a", meta: undefined, joinedAt: 1, connections: 2 }], count: 7 });
  deepEqual(await history, {
    messages: [{ kind: "message", topic: "t", data: 1, at: 1, position: "p1" }],
    position: "p1",
    more: true,
    complete: true,
  });
  deepEqual(subject.socket.asked.map(({ id: _, ...asked }) => asked), [
    { type: "presence", topic: "t" },
    { type: "history", topic: "t", since: "p0", limit: 1 },
  ]);
  subject.answers.history = () => ({ type: "ok", messages: [] });
  deepEqual(await realtime.history("t"), { messages: [], position: undefined, more: false, complete: undefined });
  equal((await realtime.history("t", { since: "p" })).complete, false, "what nobody says is not so");
  subject.answers.presence = subject.answers.history = () => ({ type: "ok" });
  await rejects(realtime.presence("t"), withCode("INVALID_RESPONSE"));
  await rejects(realtime.history("t"), withCode("INVALID_RESPONSE"));
});

Deno.test("the types of topics are what the application says", async () => {
  interface Topics {
    news: { readonly title: string };
    [room: `room:${string}`]: string;
  }
  const subject = new Subject();
  const realtime = await subject.connect<Topics>();
  await realtime.publish("news", { title: "a" });
  await realtime.publish("room:1", "hello");
  // @ts-expect-error: a room takes text
  await realtime.publish("room:1", 1);
  // @ts-expect-error: there is no such topic
  await realtime.publish("other", "x");
  const titles: string[] = [];
  realtime.subscribe("news").on("message", ({ data }) => titles.push(data.title));
  await settled();
  subject.socket.tell(message("news", { title: "b" }));
  deepEqual(titles, ["b"]);
});
