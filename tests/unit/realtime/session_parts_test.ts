import { deepEqual, equal, ok } from "node:assert/strict";
import type { PubSubRules } from "../../../src/contracts/settings.ts";
import { deliveryOf, messageOf } from "./support/fake_pubsub.ts";
import { knownSession } from "./support/sessions.ts";

/** Messages 1 to `count`, of about 1,000 characters each. */
const many = (count: number) =>
  Array.from({ length: count }, (_, i) => messageOf(JSON.stringify({ n: i + 1, fill: "x".repeat(900) }), `p${i + 1}`));

/** A socket with a queue of 16,000 bytes, and what came since in every topic that it subscribes to. */
function comingBack(rules: Partial<PubSubRules> = {}, count = 40) {
  const subject = knownSession({ rules: { maxQueueBytes: 16_000, maxTopicsPerSocket: 10, ...rules } });
  subject.pubsub.beginning = { position: `p${count}`, recovered: true, missed: many(count) };
  /** The other side takes what comes, for many turns. @returns all of it */
  const read = async () => {
    subject.socket.reads = true;
    const told: Record<string, unknown>[] = [];
    for (let i = 0; i < 100; i++) {
      subject.connections.runOften();
      await subject.turn();
      ok(subject.socket.sent.every((frame) => frame.length < 5_000), "no frame is large");
      told.push(...subject.socket.take());
    }
    return told;
  };
  return { ...subject, read };
}

const numberOf = ({ data }: Record<string, unknown>) => data as { n: number } | number | undefined;
const numbers = (told: readonly Record<string, unknown>[]) =>
  told.map((one) => {
    const data = numberOf(one);
    return typeof data === "object" ? data.n : data ?? one.reason ?? one.type;
  });

const upTo = (count: number, from = 1) => Array.from({ length: count - from + 1 }, (_, i) => from + i);

Deno.test("what was missed comes in parts, in order, and before whatever is new", async () => {
  const { say, pubsub, socket, turn, read } = comingBack();
  socket.reads = false;
  const [answer] = await say({ id: 1, type: "subscribe", topic: "t", since: "p0" });
  const first = answer!.missed as Record<string, unknown>[];
  ok(first.length > 1 && first.length < 5, `${first.length} messages in the answer`);
  deepEqual([answer!.missed_count, answer!.position, answer!.recovered], [40, `p${first.length}`, true]);
  pubsub.deliver("shop", deliveryOf("t", messageOf("41", "p41")));
  pubsub.deliver("shop", deliveryOf("other", messageOf("0", "p0")));
  const told = await read();
  deepEqual(numbers(told), upTo(41, first.length + 1));
  ok(told.every(({ type }) => type === "message"));
  pubsub.deliver("shop", deliveryOf("t", messageOf("42", "p42")));
  await turn();
  deepEqual(numbers(socket.take()), [42]);
});

Deno.test("who missed little is told all of it in the answer, and where it stands", async () => {
  const { say } = comingBack({}, 2);
  const [answer] = await say({ id: 1, type: "subscribe", topic: "t", since: "p0" });
  deepEqual(numbers(answer!.missed as Record<string, unknown>[]), [1, 2]);
  deepEqual([answer!.position, "missed_count" in answer!], ["p2", false]);
});

Deno.test("a reader that takes nothing gets one part of what it missed, and commands wait", async () => {
  const { say, socket, connections, turn, read } = comingBack();
  socket.reads = false;
  await say({ id: 1, type: "subscribe", topic: "t", since: "p0" });
  const told: Record<string, unknown>[] = [];
  for (let i = 0; i < 20; i++) {
    await turn();
    connections.runOften();
  }
  told.push(...socket.take());
  ok(told.length < 5, `${told.length} messages were handed over`);
  deepEqual(await say({ id: 2, type: "subscribe", topic: "u", since: "p0" }), [], "what waits is much already");
  told.push(...await read());
  deepEqual(told.filter(({ id }) => id !== undefined).map(({ id }) => id), [2]);
  equal(told.filter(({ topic, type }) => topic === "t" && type === "message").at(-1)!.position, "p40");
});

Deno.test("what is new and waits behind what was missed is bounded: it is dropped, and said so in its place", async () => {
  const { say, pubsub, socket, connections, read } = comingBack();
  socket.reads = false;
  const [answer] = await say({ id: 1, type: "subscribe", topic: "t", since: "p0" });
  const first = (answer!.missed as unknown[]).length;
  for (const [i, message] of many(60).slice(40).entries()) {
    pubsub.deliver("shop", deliveryOf("t", { ...message, position: `p${41 + i}` }));
  }
  const told = await read();
  const all = numbers(told);
  deepEqual(all.slice(0, 40 - first), upTo(40, first + 1));
  const [gap, ...rest] = all.slice(40 - first);
  equal(gap, "slow");
  const from = Number(rest[0]);
  deepEqual(rest, upTo(60, from));
  equal(told.find(({ type }) => type === "gap")!.position, `p${from - 1}`);
  ok(connections.figures().dropped === from - 41 && from > 45);
});

Deno.test("where the namespace has slow readers closed, too much behind what was missed closes the socket", async () => {
  const { say, pubsub, socket, turn } = comingBack({ slowPolicy: "close" });
  socket.reads = false;
  await say({ id: 1, type: "subscribe", topic: "t", since: "p0" });
  for (const message of many(20)) pubsub.deliver("shop", deliveryOf("t", message));
  equal(socket.code(), undefined, "not while it is delivered to others");
  await turn();
  equal(socket.code(), 4409);
});

Deno.test("topics that missed much take turns, and one that ends is told no more", async () => {
  const { say, socket, pubsub, turn, read } = comingBack();
  const told = await say(
    { id: 1, type: "subscribe", topic: "a", since: "p0" },
    { id: 2, type: "subscribe", topic: "b", since: "p0" },
  );
  told.push(...await read());
  const topics = told.filter(({ type }) => type === "message").map(({ topic }) => topic);
  ok(topics.indexOf("b") < topics.lastIndexOf("a"), "neither waits for all of the other");
  deepEqual(topics.filter((topic) => topic === "a").length, topics.filter((topic) => topic === "b").length);
  socket.reads = false;
  pubsub.beginning = { ...pubsub.beginning, missed: many(10) };
  await say({ id: 3, type: "subscribe", topic: "c", since: "p0" });
  await turn();
  pubsub.end("shop", "c");
  const late = await read();
  ok(late.some(({ type }) => type === "unsubscribed"));
  ok(late.every(({ position }) => position !== "p10"));
});

Deno.test("who wants no answer is told all of what was missed", async () => {
  const { say, read } = comingBack();
  const told = await say({ type: "subscribe", topic: "t", since: "p0" });
  told.push(...await read());
  deepEqual(numbers(told), upTo(40));
});

Deno.test("history is answered in parts, each with where to go on", async () => {
  const { say, pubsub } = comingBack();
  const messages = many(40);
  pubsub.history = () => Promise.resolve({ messages, position: "p40", more: false, complete: undefined });
  const [answer] = await say({ id: 1, type: "history", topic: "t" });
  const count = (answer!.messages as unknown[]).length;
  ok(count > 1 && count < 5);
  deepEqual([answer!.more, answer!.position], [true, `p${count}`]);
  pubsub.history = () =>
    Promise.resolve({ messages: messages.slice(38), position: "p40", more: false, complete: undefined });
  const [rest] = await say({ id: 2, type: "history", topic: "t", since: "p38" });
  deepEqual([(rest!.messages as unknown[]).length, rest!.more, rest!.position], [2, false, "p40"]);
});
