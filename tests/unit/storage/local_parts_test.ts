import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { DigestSet } from "../../../services/storage/car/digest_set.ts";
import { Room, Syncs } from "../../../services/storage/local/incoming.ts";
import { aheadOf, until } from "../../../services/storage/car/sources.ts";
import { Buffers, chunksOf, eachOf } from "../../../services/storage/local/sources.ts";
import { Underway } from "../../../services/storage/local/underway.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { bytesOf, inPieces, joined, noise } from "../../support/blocks.ts";
import { leaver } from "../../support/test_content.ts";
import { gate, StandingClock } from "./support/local_storage.ts";

const MINUTE = 60_000;
const settled = () => new Promise<void>((resolve) => setTimeout(resolve));

Deno.test("a set of digests knows what was added, and nothing else", () => {
  const set = new DigestSet(), known = Array.from({ length: 20_000 }, () => randomBytes(32));
  for (const digest of known) equal(set.add(digest), true);
  for (const digest of known) equal(set.add(digest), false);
  equal(set.size, known.length);
  ok(known.every((digest) => set.has(digest)));
  ok(known.every((digest) => !set.has(digest, 1)), "another tag makes it another one");
  ok(Array.from({ length: 20_000 }, () => randomBytes(32)).every((digest) => !set.has(digest)));
});

Deno.test("a set of digests takes those that look like empty places, or like each other", () => {
  const set = new DigestSet();
  const zero = new Uint8Array(32),
    like = Array.from({ length: 3_000 }, (_, i) => {
      const digest = new Uint8Array(32);
      new DataView(digest.buffer).setUint32(8, i + 1);
      return digest;
    });
  ok(set.add(zero) && !set.add(zero) && set.has(zero));
  ok(like.every((digest) => set.add(digest)));
  ok(like.every((digest) => set.has(digest)));
});

Deno.test("there is room for so many bytes, and whoever comes first is let in first", async () => {
  const room = new Room(1_000_000);
  const order: number[] = [];
  const enter = async (bytes: number, number: number) => {
    const leave = await room.enter(bytes);
    order.push(number);
    return leave;
  };
  const first = await enter(600_000, 1), second = await enter(400_000, 2);
  const third = enter(900_000, 3), fourth = enter(1, 4), fifth = enter(1, 5);
  await settled();
  deepEqual(order, [1, 2]);
  second();
  await settled();
  deepEqual(order, [1, 2], "a small one does not pass a large one by");
  first();
  (await third)();
  (await fourth)();
  (await fifth)();
  deepEqual(order, [1, 2, 3, 4, 5]);
  const huge = await room.enter(50_000_000);
  huge();
  await room.enter(1_000_000);
});

Deno.test("small blocks count for more than their bytes, so that files are not open by the thousand", async () => {
  const room = new Room(2 ** 20);
  let entered = 0;
  for (let i = 0; i < 100; i++) void room.enter(1).then(() => entered++);
  await settled();
  equal(entered, 16);
});

Deno.test("files that are written while others are synced are synced together, and a failure is told to its own", async () => {
  const syncs = new Syncs();
  const { reached, pass, open } = gate();
  const synced: number[] = [];
  const file = (number: number, sync: () => Promise<void> = () => Promise.resolve()) => ({
    sync: async () => {
      await sync();
      synced.push(number);
    },
    close() {},
  });
  const first = awaitedLater(syncs.sync(file(0, pass)));
  await reached;
  const others = [1, 2, 3].map((number) =>
    syncs.sync(file(number, number === 2 ? () => Promise.reject(new Error("broken")) : undefined))
  );
  const results = Promise.allSettled(others);
  await settled();
  deepEqual(synced, []);
  open();
  await first;
  deepEqual((await results).map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  await syncs.sync(file(9));
  deepEqual(synced, [0, 1, 3, 9]);
});

Deno.test("chunks have one length but the last, however the pieces were cut", async () => {
  for (const length of [0, 1, 99, 100, 101, 1_000, 1_001]) {
    for (const pieces of [[1], [7, 0, 93], [100], [250], [10_000]]) {
      const content = noise(length), chunks: Uint8Array[] = [];
      for await (const chunk of chunksOf(inPieces(content, ...pieces), new Buffers(100))) chunks.push(chunk);
      deepEqual(joined(chunks), content);
      equal(chunks.length, Math.max(1, Math.ceil(length / 100)));
      ok(chunks.slice(0, -1).every((chunk) => chunk.length === 100));
    }
  }
});

Deno.test("memory that was given back is taken again", () => {
  const buffers = new Buffers(10);
  const one = buffers.take();
  buffers.give(one.subarray(0, 3));
  const other = buffers.take();
  equal(other.buffer, one.buffer);
  equal(other.length, 10);
  ok(buffers.take().buffer !== one.buffer);
});

Deno.test("a source that is silent keeps nobody who leaves, and one that fails is told as it is", async () => {
  const caller = leaver();
  let returned = 0;
  const silent: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      // Nor does one that does not even end.
      return: () => (returned++, new Promise(() => {})),
    }),
  };
  const left = rejects(Array.fromAsync(until(caller.signal, silent)), (error) => error === caller.reason);
  await settled();
  caller.leave();
  await left;
  equal(returned, 1);
  await rejects(Array.fromAsync(until(caller.signal, silent)), (error) => error === caller.reason);
  equal(returned, 2, "also where it was never asked");
  const broken = new Error("broken");
  async function* failing() {
    yield 1;
    await Promise.resolve();
    throw broken;
  }
  await rejects(Array.fromAsync(until(leaver().signal, failing())), (error) => error === broken);
  deepEqual(
    await Array.fromAsync(until(
      leaver().signal,
      (async function* () {
        yield* [1, 2, 3];
      })(),
    )),
    [1, 2, 3],
  );
});

Deno.test("a source is told when nobody wants more of it", async () => {
  let ended = false;
  async function* numbers() {
    try {
      for (let i = 0;; i++) yield i;
    } finally {
      ended = true;
    }
  }
  for await (const number of until(leaver().signal, numbers())) if (number === 3) break;
  ok(ended);
});

Deno.test("what is made ahead comes in order, never more of it than was said", async () => {
  let making = 0, most = 0;
  async function* numbers() {
    for (let i = 0; i < 50; i++) yield i;
  }
  const made = aheadOf(numbers(), 4, async (number) => {
    most = Math.max(most, ++making);
    for (let turns = (number * 7) % 5; turns > 0; turns--) await settled();
    making--;
    return number * 2;
  });
  deepEqual(await Array.fromAsync(made), Array.from({ length: 50 }, (_, i) => i * 2));
  ok(most > 1 && most <= 5, String(most));
});

Deno.test("the first failure of many ends them, once those under way have ended", async () => {
  const ended: number[] = [];
  const broken = new Error("broken");
  await rejects(
    eachOf([0, 1, 2, 3, 4, 5, 6, 7], 3, async (number) => {
      await settled();
      if (number === 1) throw broken;
      await settled();
      ended.push(number);
    }),
    (error) => error === broken,
  );
  ok(ended.includes(0) && ended.includes(2) && !ended.includes(7), String(ended));
});

Deno.test("what an add may have written stays from its begin to the grace after its end", () => {
  const clock = new StandingClock(), underway = new Underway(clock, 10 * MINUTE);
  const spares = (written: number) => written >= underway.floor;
  const begun = clock.now();
  equal(spares(begun), true);
  clock.pass(11 * MINUTE);
  equal(spares(begun), false, "nobody is at it");
  const add = underway.begin(), since = clock.now();
  clock.pass(500 * MINUTE);
  equal(spares(since), true);
  underway.end(add, true);
  clock.pass(9 * MINUTE);
  equal(spares(since), true);
  underway.collect();
  clock.pass(900 * MINUTE);
  underway.end(underway.begin(), true);
  equal(spares(since), true, "a collection began while it was remembered");
  underway.collected();
  clock.pass(20 * MINUTE);
  underway.collect();
  equal(spares(since), false);
  const failed = underway.begin();
  underway.collected();
  underway.end(failed, false);
  clock.pass(11 * MINUTE);
  equal(spares(clock.now() - 11 * MINUTE), false, "what failed is remembered by nobody");
});

Deno.test("a clock that is set back takes the begin of adds with it", () => {
  const clock = new StandingClock(), underway = new Underway(clock, 10 * MINUTE);
  const add = underway.begin();
  clock.jump(-300 * MINUTE);
  underway.note(add);
  const written = clock.now();
  clock.jump(300 * MINUTE);
  clock.pass(60 * MINUTE);
  ok(written >= underway.floor);
});

Deno.test("many adds that ended are remembered as few", () => {
  const clock = new StandingClock(), underway = new Underway(clock, 10 * MINUTE);
  const first = clock.now();
  for (let i = 0; i < 100_000; i++) {
    underway.end(underway.begin(), true);
    clock.pass(1);
  }
  ok(first >= underway.floor);
  clock.pass(30 * MINUTE);
  underway.end(underway.begin(), true);
  ok(first < underway.floor);
});

Deno.test("pieces put together are the whole", async () => {
  const content = noise(1_000);
  deepEqual(await bytesOf(inPieces(content, 7, 1, 300)), content);
});
