import { deepEqual, equal, ok } from "node:assert/strict";
import type { Entry } from "../../../services/pubsub/cluster/cluster.ts";
import { costOf, TopicLog } from "../../../services/pubsub/log.ts";
import { inOrder } from "../../../services/pubsub/order.ts";

const entry = (at: number, size = 1): Entry => ({ data: new Uint8Array(size), json: false, at, id: undefined });
const some = (count: number, at = 0) => Array.from({ length: count }, (_, i) => entry(at + i));
const spans = (log: TopicLog) => log.kept().map(({ epoch, from, entries }) => [epoch, from, entries.length]);

Deno.test("of an epoch one gets what is behind an offset, and learns when it is not kept", () => {
  const log = new TopicLog();
  log.append({ epoch: 4, entries: some(10) }, 0);
  log.trim(6, -Infinity);
  equal(log.head(4), 10);
  equal(log.first(4), 5);
  equal(log.range(4, 3, Infinity), undefined, "the fifth is the first");
  deepEqual(log.range(4, 4, Infinity)?.entries.map(({ at }) => at), [4, 5, 6, 7, 8, 9]);
  deepEqual(log.range(4, 10, Infinity), { epoch: 4, from: 11, entries: [] });
  equal(log.range(4, 11, Infinity), undefined, "nobody can be there yet");
  deepEqual(log.range(5, 0, Infinity), { epoch: 5, from: 1, entries: [] }, "of an unknown epoch nothing came");
  equal(log.range(5, 1, Infinity), undefined);
});

Deno.test("a range has as much as may be, and at least one entry", () => {
  const log = new TopicLog();
  log.append({ epoch: 1, entries: [entry(1, 1_000), entry(2, 10), entry(3, 10)] }, 0);
  equal(log.range(1, 0, 5)?.entries.length, 1);
  equal(log.range(1, 1, costOf(entry(0, 10)))?.entries.length, 1);
  equal(log.range(1, 1, costOf(entry(0, 10)) * 2)?.entries.length, 2);
  equal(log.range(1, 0, Infinity)?.entries.length, 3);
});

Deno.test("the oldest goes first, whichever epoch it is of and whatever its clock said", () => {
  const log = new TopicLog();
  log.append({ epoch: 2, entries: [entry(9_999_999)] }, 1);
  log.append({ epoch: 1, entries: [entry(5)] }, 2);
  log.append({ epoch: 2, entries: [entry(1)] }, 3);
  log.trim(2, -Infinity);
  deepEqual(spans(log), [[2, 2, 1], [1, 1, 1]]);
  log.trim(2, 2);
  deepEqual(spans(log), [[2, 2, 1]]);
  log.trim(0, -Infinity);
  deepEqual(spans(log), []);
  deepEqual([...log.heads()], [[2, 2], [1, 1]], "how far they are is known all the same");
  equal(log.bytes, 0);
  equal(log.messages, 0);
});

Deno.test("an epoch that begins anew keeps nothing of before", () => {
  const log = new TopicLog();
  log.append({ epoch: 1, entries: some(3) }, 0);
  log.append({ epoch: 2, entries: some(2) }, 0);
  log.begin(1, 70);
  equal(log.head(1), 70);
  equal(log.first(1), 71);
  equal(log.range(1, 3, Infinity), undefined);
  deepEqual(spans(log), [[2, 1, 2]]);
  log.append({ epoch: 1, entries: some(1) }, 0);
  deepEqual(log.range(1, 70, Infinity)?.from, 71);
  equal(log.messages, 3);
});

Deno.test("heads of epochs that have ended go when nothing of them is kept", () => {
  const log = new TopicLog();
  log.append({ epoch: 1, entries: some(1) }, 0);
  log.append({ epoch: 2, entries: some(1) }, 5);
  log.append({ epoch: 3, entries: some(1) }, 6);
  log.trim(10, 0);
  log.prune((epoch) => epoch === 3);
  deepEqual([...log.heads()], [[2, 1], [3, 1]]);
});

Deno.test("what is counted is what is there, whatever is put in and taken out", () => {
  const log = new TopicLog();
  let state = 11;
  const random = (below: number) => (state = Math.imul(state, 1_103_515_245) + 12_345 & 0x7fffffff) % below;
  const heads = new Map<number, number>();
  for (let now = 0; now < 5_000; now++) {
    const epoch = 1 + random(3);
    const entries = Array.from({ length: random(4) }, () => entry(random(1_000), random(50)));
    if (random(100) === 0) {
      log.begin(epoch, (heads.get(epoch) ?? 0) + 5);
      heads.set(epoch, (heads.get(epoch) ?? 0) + 5);
    }
    log.append({ epoch, entries }, now);
    heads.set(epoch, (heads.get(epoch) ?? 0) + entries.length);
    if (random(3) === 0) log.trim(random(200), now - random(100));
    if (log.messages > 0 && random(10) === 0) log.dropOldest();
    equal(log.head(epoch), heads.get(epoch));
  }
  const all = log.kept().flatMap(({ entries }) => entries);
  ok(all.length > 0);
  equal(log.messages, all.length);
  equal(log.bytes, all.reduce((sum, entry) => sum + costOf(entry), 0));
});

Deno.test("several epochs make one order by time, which leaves that of each epoch as it is", () => {
  const range = (epoch: number, from: number, ...ats: readonly number[]) => ({
    epoch,
    from,
    entries: ats.map((at) => entry(at)),
  });
  const order = (...ranges: readonly ReturnType<typeof range>[]) =>
    inOrder(ranges).map(({ epoch, offset }) => `${epoch}:${offset}`).join(" ");
  equal(order(range(2, 1, 1, 3, 5), range(1, 8, 2, 4)), "2:1 1:8 2:2 1:9 2:3");
  equal(order(range(2, 1, 7), range(1, 1, 7), range(3, 1, 7)), "1:1 2:1 3:1", "at one time, by epoch");
  equal(order(range(1, 1, 50, 10, 20), range(2, 1, 15, 60)), "2:1 1:1 1:2 1:3 2:2", "a clock that went back");
  equal(order(range(1, 3, 3, 4), range(1, 1, 1, 2, 3), range(1, 6, 6)), "1:1 1:2 1:3 1:4 1:6", "each entry once");
  equal(order(), "");
});
