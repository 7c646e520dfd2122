import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { Pace } from "../../../src/http/live/pace.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { knownSession } from "../realtime/support/sessions.ts";
import { type Asked, Subject } from "./support/realtime.ts";

const told = (promise: Promise<unknown>) => promise.then(() => "done", ({ code, message }) => code ?? message);
const published = (asked: readonly Asked[]) => asked.filter(({ type }) => type === "publish");

/** A gateway that takes so many commands, and what it makes of each, by its own measure. */
function strict(perSecond: number, more: Record<string, unknown> = {}) {
  const subject = new Subject();
  const verdicts: string[] = [];
  let pace = new Pace(perSecond);
  const measured = (asked: Asked) => {
    verdicts.push(pace.take(subject.clock.monotonic(), JSON.stringify(asked).length));
  };
  subject.answers.connect = (asked) => {
    pace = new Pace(perSecond);
    measured(asked);
    const limits = { commands_per_second: perSecond, commands_burst: perSecond * 10, large_command: 65_536 };
    return { type: "ok", ping_interval: 25_000, max_frame_bytes: 65_536, max_frame_commands: 10, ...limits, ...more };
  };
  for (const type of ["publish", "subscribe", "unsubscribe", "ping"]) {
    const answer = subject.answers[type]!;
    subject.answers[type] = (asked, socket) => {
      measured(asked);
      return answer(asked, socket);
    };
  }
  return { subject, verdicts, measured };
}

Deno.test("thousands of commands that waited go out no faster than the gateway takes them, and all of them", async () => {
  const { subject, verdicts } = strict(10);
  const realtime = subject.make({ requestTimeout: 3_600_000 });
  for (let i = 0; i < 60; i++) realtime.subscribe(`topic ${i}`);
  let done = 0;
  for (let i = 0; i < 1_000; i++) realtime.publish("t", i).then(() => done++);
  await settled();
  const sent = () => subject.sockets.flatMap(({ asked }) => published(asked));
  ok(subject.socket.asked.length >= 20, "some go at once");
  ok(subject.socket.frames.every((frame) => frame.split("\n").length <= 10));
  await subject.clock.advance(20_000);
  ok(sent().length > 100 && sent().length < 300, `${sent().length} went`);
  subject.socket.drop();
  await subject.clock.advance(1_000);
  equal(subject.socket.asked[0]!.type, "subscribe", "subscriptions go first");
  await subject.clock.advance(120_000);
  equal(done, 1_000);
  deepEqual(
    sent().map(({ data }) => data).sort((a, b) => Number(a) - Number(b)),
    Array.from({ length: 1_000 }, (_, i) => i),
  );
  deepEqual(new Set(verdicts), new Set(["taken"]));
  realtime.close();
  equal(subject.clock.timers, 0);
});

Deno.test("what a network holds back and delivers all at once is no flood either", async () => {
  const { subject, verdicts, measured } = strict(10);
  const held: [asked: Asked, tell: (told: unknown) => void][] = [];
  const deliver = async () => {
    for (const [asked, tell] of held.splice(0)) {
      measured(asked);
      tell({ id: asked.id, type: "ok", repeated: false });
    }
    await settled();
  };
  subject.answers.publish = (asked, socket) => void held.push([asked, (one) => socket.tell(one)]);
  subject.answers.ping = () => ({ type: "ok" });
  const realtime = await subject.connect({ requestTimeout: 3_600_000 });
  let done = 0;
  for (let i = 0; i < 1_000; i++) realtime.publish("t", i).then(() => done++);
  for (const milliseconds of [10, 30_000, 1, 5_000, 60_000, 7, 7, 7, 30_000, 500]) {
    await subject.clock.advance(milliseconds);
    await deliver();
  }
  for (let i = 0; i < 200; i++) {
    await subject.clock.advance(1_000);
    await deliver();
  }
  equal(done, 1_000);
  deepEqual(new Set(verdicts), new Set(["taken"]));
});

Deno.test("what is large counts for several, and only so much goes without an answer", async () => {
  const { subject, verdicts } = strict(2, { max_frame_bytes: 1_000_000 });
  const answer = subject.answers.publish!;
  subject.answers.publish = (asked, socket) => {
    answer(asked, socket);
    return undefined;
  };
  const realtime = await subject.connect({ maxWaiting: 2 ** 26 });
  const large = "x".repeat(300_000);
  for (let i = 0; i < 20; i++) void told(realtime.publish("t", large));
  await settled();
  ok(subject.socket.asked.length <= 2, `${subject.socket.asked.length} went at once`);
  for (let i = 0; i < 30; i++) {
    const { asked } = subject.socket;
    subject.socket.tell({ id: asked.at(-1)!.id, type: "ok" });
    await subject.clock.advance(1_000);
  }
  deepEqual(new Set(verdicts), new Set(["taken"]));
  const unlimited = new Subject();
  unlimited.answers.publish = () => undefined;
  const other = await unlimited.connect();
  for (let i = 0; i < 100; i++) void told(other.publish("t", "x".repeat(10_000)));
  await settled();
  ok(published(unlimited.socket.asked).length <= 13, "twice the largest frame waits for an answer, and no more");
});

Deno.test("a sign of life and a new credential go before thousands that wait", async () => {
  const { subject } = strict(1);
  const realtime = await subject.connect({ requestTimeout: 3_600_000 });
  for (let i = 0; i < 1_000; i++) void told(realtime.publish("t", i));
  await settled();
  const { frames } = subject.socket;
  const before = frames.length;
  await realtime.authenticate("another");
  ok(frames.slice(before).some((frame) => frame.includes('"refresh"')));
  await subject.clock.advance(25_000);
  ok(frames.some((frame) => frame.includes('"ping"')));
  equal(realtime.state, "connected");
  realtime.close();
});

Deno.test("what is given up while it waits is never sent, and that is certain", async () => {
  const { subject } = strict(1);
  const realtime = await subject.connect({ requestTimeout: 20_000 });
  const outcomes = Array.from({ length: 100 }, (_, i) => told(realtime.publish("t", i)));
  const controller = new AbortController();
  const left = awaitedLater(realtime.publish("t", "left", { signal: controller.signal }));
  const topic = realtime.subscribe("never");
  await settled();
  controller.abort(new Error("the user left"));
  await rejects(left, /the user left/);
  topic.close();
  await subject.clock.advance(100_000);
  const results = await Promise.all(outcomes);
  const sent = published(subject.socket.asked).map(({ data }) => data);
  deepEqual(results.map((result) => result === "done"), results.map((_, i) => sent.includes(i)));
  ok(results.includes("TIMEOUT") && !results.includes("OUTCOME_UNKNOWN"));
  ok(!sent.includes("left") && !subject.socket.asked.some(({ topic }) => topic === "never"));
});

Deno.test("what is refused for now is tried again within its time", async () => {
  const subject = new Subject();
  const realtime = await subject.connect({ requestTimeout: 10_000 });
  const answer = subject.answers.publish!;
  const limited = (retry_after: number) => ({ type: "error", code: "RATE_LIMITED", error: "too fast", retry_after });
  let refusals = 3;
  subject.answers.publish = (asked, socket) => refusals-- > 0 ? limited(0.5) : answer(asked, socket);
  const sent = told(realtime.publish("t", 1, { idempotencyKey: false }));
  await settled();
  await subject.clock.advance(9_000);
  equal(await sent, "done");
  equal(published(subject.socket.asked).length, 4);

  subject.answers.publish = () => limited(30);
  await rejects(realtime.publish("t", 2), { code: "RATE_LIMITED", retryAfter: 30 }, "there is no time for it");
  subject.answers.publish = () => limited(1);
  const late = told(realtime.publish("t", 3));
  await settled();
  await subject.clock.advance(10_000);
  equal(await late, "RATE_LIMITED", "why, and not that time was over");
  const before = subject.socket.asked.length;
  ok(before < 20, `${before} tries`);
  subject.answers.history = () =>
    subject.socket.asked.length > before + 1 ? { type: "ok", messages: [] } : limited(0.1);
  const read = told(realtime.history("t"));
  await settled();
  await subject.clock.advance(9_000);
  equal(await read, "done");
  realtime.close();
  equal(subject.clock.timers, 0);
});

Deno.test("what is refused for now after the connection broke off may have happened before", async () => {
  const subject = new Subject();
  const realtime = await subject.connect({ requestTimeout: 10_000 });
  subject.answers.publish = () => undefined;
  const sent = told(realtime.publish("t", 1));
  await settled();
  subject.answers.publish = () => ({ type: "error", code: "RATE_LIMITED", error: "too fast", retry_after: 1 });
  subject.socket.drop();
  await subject.clock.advance(10_000);
  equal(await sent, "OUTCOME_UNKNOWN");
});

for (let seed = 1; seed <= 4; seed++) {
  Deno.test(`whatever a real gateway refuses for now, what is published in a topic keeps its order [seed ${seed}]`, async () => {
    let state = seed;
    const random = () => (state = (state * 48_271) % 0x7fffffff) / 0x7fffffff;
    const subject = new Subject(), gateway = knownSession({ rules: { maxQueueBytes: 1_000_000 } });
    const arriving: Asked[] = [];
    subject.answers.publish = (asked) => void arriving.push(asked);
    const realtime = await subject.connect({ requestTimeout: 600_000 });
    const outcomes: Promise<unknown>[] = [];
    for (let i = 0; i < 150; i++) outcomes.push(told(realtime.publish(i % 3 === 0 ? "b" : "a", i)));
    for (let round = 0; round < 3_000; round++) {
      await settled();
      if (round === 20) outcomes.push(told(realtime.publish("a", 150)));
      // Some of what is on its way arrives, and of that the first may be one too many.
      const some = arriving.splice(0, Math.min(10, Math.floor(random() * 12)));
      if (random() < 0.3) {
        gateway.pubsub.refusal = new GatewayError("RATE_LIMITED", "too fast", { retryAfter: random() });
      }
      const answers = some.length > 0 ? await gateway.say(...some) : [];
      gateway.pubsub.refusal = undefined;
      subject.socket.tell(...answers.filter(({ type }) => type === "ok" || type === "error"));
      await subject.clock.advance(Math.floor(random() * 100));
      if (gateway.pubsub.published.length === 151) break;
    }
    await settled();
    deepEqual(new Set(await Promise.all(outcomes)), new Set(["done"]));
    for (const topic of ["a", "b"]) {
      const order = gateway.pubsub.published.filter((one) => one.topic === topic).map(({ messages }) =>
        Number(messages[0])
      );
      deepEqual(order, order.toSorted((a, b) => a - b));
    }
  });
}

Deno.test("limits that cannot be do no harm", async () => {
  for (
    const limits of [
      { commands_per_second: -1, commands_burst: -5, large_command: -1, max_frame_commands: -3 },
      { commands_per_second: "7", commands_burst: null, large_command: {}, max_frame_commands: "x" },
      { commands_per_second: 1e300, commands_burst: 1e300, large_command: 1e300, max_frame_commands: 1e300 },
      { commands_per_second: 1e-300, commands_burst: 0, large_command: 0, max_frame_commands: 0.5 },
    ]
  ) {
    const subject = new Subject();
    subject.answers.connect = () => ({ type: "ok", ...limits });
    const realtime = await subject.connect();
    equal((await realtime.publish("t", "x".repeat(100_000))).repeated, false);
    realtime.close();
    equal(subject.clock.timers, 0);
  }
  for (const retry_after of [-5, 0, 1e-300]) {
    const subject = new Subject();
    subject.answers.publish = () => ({ type: "error", code: "RATE_LIMITED", error: "too fast", retry_after });
    const realtime = await subject.connect({ requestTimeout: 10_000 });
    const sent = told(realtime.publish("t", 1));
    await settled();
    await subject.clock.advance(10_000);
    equal(await sent, "RATE_LIMITED");
    ok(subject.socket.asked.length < 10, `${subject.socket.asked.length} tries`);
  }
});
