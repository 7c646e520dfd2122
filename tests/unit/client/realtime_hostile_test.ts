import { deepEqual, equal } from "node:assert/strict";
import { settled } from "../cache/support/fake_clock.ts";
import { message, Subject } from "./support/realtime.ts";

/** What no gateway says. Ignored, it might be a message that nobody ever hears of. */
const GARBAGE: readonly (readonly [string, unknown])[] = [
  ["bytes", new Uint8Array([123, 125]).buffer],
  ["no JSON", "<html>"],
  ["JSON that breaks off", '{"type":"message","topic":"t","data":'],
  ["a list", "[]"],
  ["a number", "1"],
  ["nothing", "null"],
  ["no type", '{"id":1}'],
  ["a type that is no text", '{"type":{"a":1}}'],
  ["endless nesting", `{"type":"message","topic":"t","at":1,"data":1234567890123456789,"x":${"[".repeat(200_000)}`],
  ["a message without data", '{"type":"message","topic":"t","at":1}'],
  ["a message without its time", '{"type":"message","topic":"t","data":1}'],
  ["bytes that are no base64", '{"type":"message","topic":"t","at":1,"data_base64":"*"}'],
  ["bytes that are no text", '{"type":"message","topic":"t","at":1,"data_base64":1}'],
  ["no end", JSON.stringify(message("t", 1, "p2")) + " ".repeat(2 ** 26)],
  ["a member that is nobody", '{"type":"join","topic":"t","member":{}}'],
];

for (const [what, garbage] of GARBAGE) {
  Deno.test(`a frame with ${what} ends the connection, and what it may have been is asked for again`, async () => {
    const subject = new Subject();
    const realtime = await subject.connect();
    const seen: unknown[] = [];
    const subscription = realtime.subscribe("t", { presence: true });
    subscription.on("message", ({ data }) => seen.push(data));
    await settled();
    subject.socket.tell(message("t", 1, "p1"));
    subject.socket.raw(garbage);
    const [first] = subject.sockets;
    deepEqual([realtime.state, first!.closedWith], ["waiting", 4400]);
    first!.tell(message("t", "late", "p2"));
    subject.answers.subscribe = () => ({
      type: "ok",
      position: "p2",
      missed: [message("t", 2, "p2")],
      recovered: true,
    });
    await subject.clock.advance(1_000);
    equal(subject.socket.asked[0]!.since, "p1");
    deepEqual([seen, subscription.recovered], [[1, 2], true]);
  });
}

Deno.test("what stands in a frame before garbage counts, and nothing behind it", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const seen: unknown[] = [];
  realtime.subscribe("t").on("message", ({ data }) => seen.push(data));
  await settled();
  const [one, two] = [1, 2].map((data) => JSON.stringify(message("t", data, `p${data}`)));
  subject.socket.raw(`${one}\n\n{]\n${two}\n`);
  deepEqual(seen, [1]);
  await subject.clock.advance(1_000);
  equal(subject.socket.asked[0]!.since, "p1");
});

Deno.test("unknown types, topics and answers mean nothing", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const seen: unknown[] = [];
  const subscription = realtime.subscribe("t");
  subscription.on("message", ({ data }) => seen.push(data));
  await settled();
  subject.socket.tell(
    { type: "news", topic: "t" },
    { type: "toString", topic: "t" },
    message("other", 1, "p1"),
    { type: "message", topic: 7, data: 1, at: 1 },
    message("__proto__", 1),
    { id: 4711, type: "ok" },
    { id: "2", type: "ok" },
    { id: { a: 1 }, type: "error" },
    { type: "error", code: "INTERNAL", error: "something" },
    { type: "ok" },
    { id: 1, type: "ok", client: "again" },
    message("t", 1, "p1"),
  );
  deepEqual([seen, subscription.state, realtime.state], [[1], "live", "connected"]);
  equal(realtime.session?.client, "c");
});

Deno.test("before the gateway took the credential, it has nothing to tell", async () => {
  const subject = new Subject();
  subject.answers.connect = () => undefined;
  const realtime = subject.make();
  const seen: unknown[] = [];
  realtime.subscribe("t").on("message", (event) => seen.push(event));
  await settled();
  subject.socket.tell(message("t", 1, "p1"), { type: "expiring" }, { id: 2, type: "ok", position: "p5" });
  deepEqual([seen, realtime.state], [[], "connecting"]);
});

Deno.test("answers that are none end the connection where they belong to it, and the call where they belong to that", async () => {
  for (const answer of [{ missed: 1 }, { missed: [1] }, { missed: [], members: [{}] }]) {
    const subject = new Subject();
    subject.answers.subscribe = () => ({ type: "ok", position: "p", ...answer });
    const realtime = await subject.connect();
    const subscription = realtime.subscribe("t", { since: "p0" });
    await settled();
    deepEqual([realtime.state, subscription.state], ["waiting", "waiting"]);
    subject.answers.subscribe = () => ({ type: "ok", position: "p", recovered: true });
    await subject.clock.advance(1_000);
    deepEqual([subscription.state, subscription.recovered], ["live", true]);
  }
  const subject = new Subject();
  subject.answers.publish = () => ({ type: "error" });
  const realtime = await subject.connect();
  const error = await realtime.publish("t", 1).catch(({ code }) => code);
  deepEqual([error, realtime.state], ["INVALID_RESPONSE", "connected"]);
});

Deno.test("a figure of the gateway's that cannot be does no harm", async () => {
  for (const [interval, first] of [[-5, 1_000], [0, 1_000], [1e300, 250_000], ["1", 25_000], [null, 25_000]] as const) {
    const subject = new Subject();
    subject.answers.connect = () => ({ type: "ok", ping_interval: interval, max_frame_bytes: -1 });
    const realtime = await subject.connect();
    await subject.clock.advance(first - 1);
    equal(subject.socket.frames.length, 1);
    await subject.clock.advance(1);
    equal(subject.socket.frames.length, 2);
    equal((await realtime.publish("t", 1)).repeated, false);
  }
});

Deno.test("a list of what was missed without end is held within the reader's bound, and that is told", async () => {
  const subject = new Subject();
  const missed = Array.from({ length: 50_000 }, (_, at) => message("t", at, `p${at}`));
  subject.answers.subscribe = () => ({ type: "ok", position: "p50000", missed, recovered: true });
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t", { since: "p", buffer: 10 });
  await settled();
  const events: unknown[] = [];
  for await (const event of subscription) {
    events.push(event.kind === "message" ? event.data : event);
    if (events.length === 11) break;
  }
  deepEqual(events, [
    { kind: "gap", topic: "t", reason: "overflow", since: undefined, position: "p49989" },
    ...Array.from({ length: 10 }, (_, at) => 49_990 + at),
  ]);
});
