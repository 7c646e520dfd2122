import { deepEqual, equal } from "node:assert/strict";
import type { Entry, LocalTopics, Range } from "../../../services/pubsub/cluster/cluster.ts";
import { Inbound } from "../../../services/pubsub/cluster/inbound.ts";
import type { RangeAnswer } from "../../../services/pubsub/cluster/questions.ts";
import { ProcessClock, Time } from "./support/time.ts";

const KEY = "ns/topic", EPOCH = 7;
const entry = (offset: number, bytes = 1): Entry => ({
  data: new Uint8Array(bytes),
  json: false,
  at: offset,
  id: undefined,
});
const range = (from: number, to: number, bytes?: number): Range => ({
  epoch: EPOCH,
  from,
  entries: Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, bytes)),
});

/** What takes in one epoch of one topic, and what it does. */
function setting(options: { owner?: string; others?: string[]; starts?: number } = {}) {
  const time = new Time();
  const clock = new ProcessClock(time, 1, 0);
  const happened: string[] = [];
  const asked: string[] = [];
  let head = 0;
  const local: Partial<LocalTopics> = {
    begin: (_, epoch, after) => {
      head = after;
      happened.push(`begin ${epoch}:${after}`);
    },
    accept: (_, { epoch, from, entries }) => {
      equal(from, head + 1);
      for (const [i, { at }] of entries.entries()) equal(at, from + i);
      head += entries.length;
      happened.push(`${epoch}:${from}-${head}`);
    },
    heads: () => new Map(head === 0 ? [] : [[EPOCH, head]]),
  };
  const answers = new Map<string, (after: number) => RangeAnswer | undefined>();
  const inbound = new Inbound({
    local: local as LocalTopics,
    clock,
    isOpen: (epoch) => epoch === EPOCH,
    sources: () => ({ owner: options.owner, others: options.others ?? [] }),
    range: (node, _, __, after) => {
      asked.push(`${node} ${after}`);
      return new Promise((resolve) => time.after(10, () => resolve(answers.get(node)?.(after))));
    },
    accepted: () => {},
    gap: (_, reason) => happened.push(`gap ${reason}`),
  });
  inbound.follow(KEY);
  if (options.starts !== undefined) inbound.heard(KEY, new Map([[EPOCH, options.starts]]));
  inbound.joined(KEY);
  const second = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      await time.pass(1_000);
      inbound.retry();
    }
    await time.pass(500);
  };
  return { time, inbound, happened, asked, answers, second };
}

const has = (first: number, head: number) => (after: number): RangeAnswer =>
  after + 1 < first
    ? { first, head, from: after + 1, entries: [] }
    : { first, head, from: after + 1, entries: range(after + 1, Math.min(head, after + 500)).entries };

Deno.test("what comes in another order is put in order without asking, if it comes soon", async () => {
  const { inbound, happened, asked, time } = setting({ owner: "o" });
  inbound.offer(KEY, range(2, 2));
  inbound.offer(KEY, range(3, 4));
  inbound.offer(KEY, range(1, 1));
  await time.pass(1_000);
  deepEqual(happened, [`7:1-4`]);
  deepEqual(asked, []);
});

Deno.test("what comes twice, or in part, is taken once and counted", () => {
  const { inbound, happened } = setting();
  inbound.offer(KEY, range(1, 3));
  inbound.offer(KEY, range(1, 3));
  inbound.offer(KEY, range(2, 5));
  deepEqual(happened, ["7:1-3", "7:4-5"]);
  equal(inbound.duplicates, 5);
});

Deno.test("an epoch is followed from where others said it was when the topic was joined", async () => {
  const { inbound, happened, asked, time } = setting({ owner: "o", starts: 40 });
  inbound.offer(KEY, range(39, 41));
  await time.pass(1_000);
  deepEqual(happened, ["begin 7:40", "7:41-41"]);
  deepEqual(asked, []);
});

Deno.test("more than may wait is dropped, and had from its gateway all the same", async () => {
  const { inbound, happened, answers, second } = setting({ owner: "o" });
  answers.set("o", has(1, 5_000));
  for (let offset = 2; offset <= 5_000; offset++) inbound.offer(KEY, range(offset, offset, 10));
  await second(1);
  equal(inbound.head(KEY, EPOCH), 5_000);
  deepEqual(happened.filter((what) => /gap|begin/.test(what)), []);
});

Deno.test("bytes that wait are bounded over all topics, and free again afterwards", async () => {
  const { inbound, answers, second } = setting({ owner: "o" });
  for (let i = 0; i < 200; i++) inbound.offer(KEY, range(2 + i, 2 + i, 2 ** 19));
  answers.set(
    "o",
    (after) => ({ first: 1, head: 1, from: after + 1, entries: after === 0 ? range(1, 1).entries : [] }),
  );
  await second(1);
  // Somewhat less than 32 MiB in pieces of half a MiB.
  equal(inbound.head(KEY, EPOCH), 64);
  inbound.leave(KEY);
  inbound.follow(KEY);
  inbound.joined(KEY);
  for (let i = 0; i < 200; i++) inbound.offer(KEY, range(66 + i, 66 + i, 2 ** 19));
  answers.set(
    "o",
    (after) => ({ first: 1, head: 65, from: after + 1, entries: after === 64 ? range(65, 65).entries : [] }),
  );
  await second(1);
  equal(inbound.head(KEY, EPOCH), 65 + 63);
});

Deno.test("what its own gateway does not keep is had from another, and where nobody has it that is told", async () => {
  const { inbound, happened, answers, asked, second } = setting({ owner: "o", others: ["p"] });
  answers.set("o", has(11, 20));
  answers.set("p", has(1, 5));
  inbound.heard(KEY, new Map([[EPOCH, 20]]));
  await second(1);
  deepEqual(happened, ["7:1-5", "begin 7:10", "gap expired", "7:11-20"]);
  deepEqual(asked, ["o 0", "p 0", "o 5", "p 5", "o 10"]);
});

Deno.test("what nobody can be asked for is given up after ten seconds, but only where something waits for it", async () => {
  const { inbound, happened, second } = setting({ others: ["p"] });
  inbound.heard(KEY, new Map([[EPOCH, 3]]));
  await second(60);
  deepEqual(happened, []);
  inbound.offer(KEY, range(5, 5));
  await second(9);
  deepEqual(happened, []);
  await second(3);
  deepEqual(happened, ["begin 7:4", "gap expired", "7:5-5"]);
});

Deno.test("an answer that is older than what was heard meanwhile takes nothing back", async () => {
  const { inbound, happened, answers, time, second } = setting({ owner: "o" });
  answers.set("o", has(1, 1));
  inbound.heard(KEY, new Map([[EPOCH, 1]]));
  await time.pass(36);
  // While its answer is on its way:
  answers.set("o", (after) => after === 0 ? has(1, 1)(0) : { first: 1, head: 1, from: after + 1, entries: [] });
  inbound.heard(KEY, new Map([[EPOCH, 2]]));
  await time.pass(5);
  answers.set("o", has(1, 3));
  inbound.heard(KEY, new Map([[EPOCH, 3]]));
  await second(2);
  equal(inbound.head(KEY, EPOCH), 3);
  deepEqual(happened.at(-1)?.endsWith("-3"), true);
});

Deno.test("who waits for a head is woken when it is there, when it was given up, and when the topic is left", async () => {
  const { inbound, answers, time } = setting({ owner: "o" });
  answers.set("o", has(3, 4));
  let woken = 0;
  const wake = () => void woken++;
  inbound.reach(KEY, EPOCH, 2).then(wake);
  inbound.reach(KEY, EPOCH, 4).then(wake);
  inbound.reach(KEY, EPOCH, 9).then(wake);
  await time.pass(500);
  equal(woken, 2);
  inbound.leave(KEY);
  await time.pass(1);
  equal(woken, 3);
  equal(await inbound.reach(KEY, EPOCH, 9), undefined);
});
