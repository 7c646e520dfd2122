import { deepEqual, equal, rejects } from "node:assert/strict";
import { settled } from "../cache/support/fake_clock.ts";
import { listening, message, Subject, withCode } from "./support/realtime.ts";

Deno.test("nothing is told after closing, in the middle of what was missed either", async () => {
  const subject = new Subject();
  const missed = [1, 2, 3].map((at) => message("t", at, `p${at}`));
  subject.answers.subscribe = () => ({ type: "ok", position: "p3", recovered: true, missed });
  const realtime = await subject.connect();
  const seen: unknown[] = [];
  for (const begin of ["at once", "later"]) {
    const subscription = realtime.subscribe("t", { since: "p0" });
    if (begin === "later") await settled();
    subscription.on("message", ({ data }) => {
      seen.push(data);
      if (data === 2) subscription.close();
    });
    await settled();
    subject.socket.tell(message("t", 4, "p4"));
    deepEqual(seen.splice(0), [1, 2], begin);
  }
});

Deno.test("what came before the first reader is kept for it, listener or loop", async () => {
  const { subject, realtime } = await listening();
  const [heard, read] = [realtime.subscribe("heard"), realtime.subscribe("read")];
  await settled();
  subject.socket.tell(message("heard", 1, "p1"), message("read", 1, "p1"), {
    type: "gap",
    topic: "heard",
    reason: "slow",
  });
  const events: unknown[] = [];
  heard.on("state", ({ state }) => events.push(state));
  await settled();
  equal(events.length, 0, "who waits for states takes no messages");
  heard.on("message", ({ data }) => events.push(data));
  heard.on("gap", ({ reason }) => events.push(reason));
  await settled();
  deepEqual(events, [1, "slow"]);
  const loop = read[Symbol.asyncIterator]();
  equal((await loop.next()).value?.kind, "message");
});

Deno.test("a loop that is slower than its buffer is told where something is missing", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t", { buffer: 3 });
  const loop = subscription[Symbol.asyncIterator]();
  await settled();
  const tell = (...numbers: number[]) => subject.socket.tell(...numbers.map((n) => message("t", n, `p${n}`)));
  const read = async () => {
    const { value } = await loop.next();
    return value?.kind === "message" ? value.data : value?.kind === "gap" ? [value.since, value.position] : value;
  };
  tell(1, 2, 3);
  equal(await read(), 1);
  tell(4, 5, 6);
  deepEqual(await read(), ["p1", "p3"]);
  deepEqual([await read(), await read(), await read()], [4, 5, 6]);
  const next = read();
  tell(7);
  equal(await next, 7);
  for (let n = 8; n < 500; n += 3) {
    tell(n, n + 1, n + 2);
    deepEqual([await read(), await read(), await read()], [n, n + 1, n + 2]);
  }
  tell(...Array.from({ length: 100 }, (_, at) => 1_000 + at));
  deepEqual(await read(), ["p499", "p1096"]);
  equal(await read(), 1_097);
});

Deno.test("a loop ends when the subscription is closed, and throws when the gateway ends it, behind what was told", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const loops = ["closed", "ended"].map((topic) => realtime.subscribe(topic)[Symbol.asyncIterator]());
  await settled();
  const waiting = loops.map((loop) => loop.next());
  subject.socket.tell(message("closed", 1), message("ended", 1), message("ended", 2));
  subject.socket.tell({ type: "unsubscribed", topic: "ended", reason: "right_lost" });
  await Promise.all(waiting);
  const ended = realtime.subscription("ended");
  equal(ended, undefined);
  equal((await loops[1]!.next()).value?.kind, "message");
  await rejects(loops[1]!.next(), withCode("UNSUBSCRIBED"));
  subject.socket.tell(message("closed", 2));
  const pending = loops[0]!.next();
  realtime.subscription("closed")!.close();
  await pending;
  equal((await loops[0]!.next()).done, true);
  const late = realtime.subscribe("late", { buffer: 1 });
  await settled();
  subject.socket.tell(message("late", 1), message("late", 2));
  late.close();
  for await (const event of late) throw new Error(`nothing is left, but ${event.kind}`);
});

Deno.test("two loops and a listener get everything, and one that is left is forgotten", async () => {
  const { subject, subscription, events } = await listening();
  const seen: unknown[][] = [[], []];
  const loops = seen.map(async (list) => {
    for await (const event of subscription) if (event.kind === "message" && list.push(event.data) === 2) break;
  });
  subject.socket.tell(message("t", 1), message("t", 2), message("t", 3));
  await Promise.all(loops);
  deepEqual([seen, events], [[[1, 2], [1, 2]], [1, 2, 3]]);
  equal(subscription.state, "live", "leaving a loop closes nothing");
});

Deno.test("a listener that throws keeps the event from nobody else, and the error is thrown where nothing catches it", async () => {
  const { subject, subscription, events } = await listening();
  const errors: unknown[] = [];
  const caught = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error.message);
  };
  globalThis.addEventListener("error", caught);
  try {
    const takeAway = subscription.on("message", () => {
      throw new Error("mine");
    });
    const others: unknown[] = [];
    subscription.on("message", ({ data }) => others.push(data));
    subject.socket.tell(message("t", 1));
    await settled();
    takeAway();
    subject.socket.tell(message("t", 2));
    await settled();
    deepEqual([errors, events, others], [["mine"], [1, 2], [1, 2]]);
  } finally {
    globalThis.removeEventListener("error", caught);
  }
});
