import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { MemoryDriver } from "../../../services/cache/memory/driver.ts";
import { NearDriver } from "../../../services/cache/near/driver.ts";
import { CacheService } from "../../../services/cache/service.ts";
import type { CacheEntry } from "../../../src/contracts/cache.ts";
import { FakeClock, settled } from "./support/fake_clock.ts";
import { LIFE, NearSubject, numberIn, SHOP, USERS, WAITER } from "./support/near.ts";

/** A request whose signal nobody may ask for: making it costs more than reading from memory. */
const QUICK = {
  requestId: "test",
  clientAddress: "127.0.0.1",
  get signal(): AbortSignal {
    throw new Error("the signal was asked for");
  },
};
const at = (key: string, map = USERS) => ({ map, key });
const numbersIn = (entries: readonly (CacheEntry | undefined)[]) => entries.map(numberIn);

Deno.test("what is held is answered at once: no promise, no signal, no question", async () => {
  await using t = new NearSubject();
  const cache = new CacheService(t.near, { rulesOf: () => Promise.reject(new Error("asked")) });
  t.elsewhere("a", 1);
  t.elsewhere("b", 2);
  const first = await t.read("a");
  await t.read("b");
  const again = cache.get(SHOP, at("a"), QUICK);
  ok(!(again instanceof Promise), "a promise");
  deepEqual(again, first, "with its version and its end");
  const both = cache.getMany(SHOP, USERS, ["b", "a"], QUICK);
  ok(!(both instanceof Promise), "a promise");
  deepEqual(numbersIn(both), [2, 1]);
  equal(t.asked, 2);
});

Deno.test("maps for which nobody asked have none; nor has a namespace while nobody knows what holds there", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1, undefined, "other");
  t.elsewhere("a", 1);
  for (let i = 1; i <= 2; i++) {
    equal(await t.number("a", "other"), 1);
    const many = t.near.getMany(SHOP, "other", ["a"], WAITER);
    t.far.last.arrive();
    deepEqual(numbersIn(await many), [1]);
    equal(t.asked, 2 * i);
  }
  t.lives = undefined;
  for (let i = 5; i <= 6; i++) {
    equal(await t.number("a"), 1);
    equal(t.asked, i);
  }
  deepEqual(t.near.near(), { hits: 0, misses: 0, entries: 0, bytes: 0 });
});

Deno.test("a copy is answered for its life, which begins with the reading, and not a moment longer", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const slow = t.get("a");
  t.far.last.happen();
  t.elsewhere("a", 2);
  t.clock.pass(400);
  t.far.last.arrive();
  equal(numberIn(await slow), 1);
  t.clock.pass(LIFE - 401);
  equal(await t.number("a"), 1);
  equal(t.asked, 1);
  t.clock.pass(1);
  equal(await t.number("a"), 2, "as long after the other write as a copy may live");
  t.clock.jump(-10 * LIFE);
  equal(await t.number("a"), 2);
  t.clock.pass(LIFE);
  t.elsewhere("a", 3);
  equal(await t.number("a"), 3, "whatever is done to the time of day");
});

Deno.test("an answer that took longer than a copy lives leaves none", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const slow = t.get("a");
  t.far.last.happen();
  t.clock.pass(LIFE);
  t.far.last.arrive();
  await slow;
  t.elsewhere("a", 2);
  equal(await t.number("a"), 2);
});

Deno.test("a copy ends with its entry, though it might live for longer", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1, 300);
  const { expiresAt } = (await t.read("a"))!;
  t.clock.pass(299);
  equal((await t.read("a"))?.expiresAt, expiresAt);
  equal(t.asked, 1);
  t.clock.pass(1);
  equal(await t.read("a"), undefined);
  equal(t.asked, 2);
  equal(t.near.near().entries, 0);
});

Deno.test("what is not there is asked for each time", async () => {
  await using t = new NearSubject();
  for (let i = 1; i <= 3; i++) {
    equal(await t.read("none"), undefined);
    equal(t.asked, i);
  }
  t.elsewhere("none", 1);
  equal(await t.number("none"), 1, "it is there from the moment that somebody writes it");
});

Deno.test("who has to know what is there now is told so, and other ways to read ask as well", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  await t.read("a");
  t.elsewhere("a", 2);
  equal(await t.number("a"), 1);
  const current = t.near.get(SHOP, at("a"), WAITER, { current: true });
  t.far.last.arrive();
  equal(numberIn(await current), 2);
  equal(await t.number("a"), 2, "and nobody reads what was before it any more");
  for (
    const ask of [
      () => t.near.touch(SHOP, USERS, ["a"], WAITER),
      () => t.near.scan(SHOP, USERS, { cursor: undefined, limit: 10, matches: undefined }, WAITER),
      () => t.near.maps(SHOP, WAITER),
      () => t.near.usage(SHOP, WAITER.signal),
      () => t.near.health(WAITER.signal),
      () => t.near.ping(WAITER),
    ]
  ) {
    const before = t.asked;
    const answer = ask();
    equal(t.asked, before + 1);
    t.far.last.arrive();
    await answer;
  }
});

Deno.test("of several, those that are not held are asked for together, and held from then on", async () => {
  await using t = new NearSubject();
  for (const [i, key] of ["a", "b", "c"].entries()) t.elsewhere(key, i);
  await t.read("b");
  const many = t.near.getMany(SHOP, USERS, ["c", "none", "b", "a", "c"], WAITER);
  equal(t.asked, 2);
  deepEqual(t.far.last.args[2], ["c", "none", "a", "c"]);
  t.far.last.arrive();
  deepEqual(numbersIn(await many), [2, undefined, 1, 0, 2]);
  for (const [i, key] of ["a", "b", "c"].entries()) t.elsewhere(key, 10 + i);
  equal(await t.number("a"), 0);
  equal(await t.number("c"), 2);
  const again = t.near.getMany(SHOP, USERS, ["a", "none"], WAITER);
  deepEqual(t.far.last.args[2], ["none"]);
  t.far.last.arrive();
  deepEqual(numbersIn(await again), [0, undefined]);
  const { hits, misses } = t.near.near();
  deepEqual([hits, misses], [4, 6]);
});

Deno.test("who wants the same at the same moment asks once; nobody's leaving ends it for the others", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const leaving = new AbortController();
  const readers = [t.near.get(SHOP, at("a"), leaving), t.get("a"), t.get("a")];
  const other = t.get("b");
  equal(t.asked, 2);
  leaving.abort();
  equal(t.far.calls[0]!.signal.aborted, false);
  for (const call of t.far.calls) call.arrive();
  deepEqual(numbersIn(await Promise.all(readers)), [1, 1, 1]);
  equal(await other, undefined);
});

Deno.test("nobody joins a read that began so long ago that its copy would be over", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const old = t.get("a");
  t.far.last.happen();
  t.clock.pass(LIFE - 1);
  const joined = t.get("a");
  equal(t.asked, 1);
  t.elsewhere("a", 2);
  t.clock.pass(1);
  const young = t.get("a");
  equal(t.asked, 2);
  t.far.calls[1]!.arrive();
  equal(numberIn(await young), 2);
  t.far.calls[0]!.arrive();
  deepEqual(numbersIn(await Promise.all([old, joined])), [1, 1]);
  equal(await t.number("a"), 2, "and what it brings takes the place of nothing newer");
  equal(t.asked, 2);
});

Deno.test("reads of several that come thick and fast leave copies all the same", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const reads = [];
  for (let i = 0; i < 5; i++) {
    reads.push(t.near.getMany(SHOP, USERS, ["a"], WAITER));
    // Each begins before the one before it is answered.
    if (i > 0) t.far.calls[i - 1]!.arrive();
    await settled();
    if (i === 1) break;
  }
  equal(t.asked, 2);
  deepEqual(numbersIn(await reads[0]!), [1]);
  ok(!(t.get("a") instanceof Promise), "held since the first answer");
  t.far.last.arrive();
  await reads[1];
});

Deno.test("a read that fails fails for all who wait, leaves nothing, and is tried anew by the next", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const readers = [t.get("a"), t.get("a")];
  const many = t.near.getMany(SHOP, USERS, ["a", "b"], WAITER);
  for (const call of t.far.calls) call.fail(new Error("gone"));
  await Promise.all([...readers, many].map((reader) => rejects(Promise.resolve(reader), /gone/)));
  equal(await t.number("a"), 1);
  equal(t.asked, 3);
  equal(await t.number("a"), 1);
  equal(t.asked, 3, "and held again");
  const broken = new NearDriver({
    driver: new Proxy(t.memory, {
      get: () => () => {
        throw new Error("at once");
      },
    }),
    maxBytes: 1_000,
    livesOf: () => t.lives,
  });
  throws(() => broken.get(SHOP, at("a"), WAITER), /at once/);
  throws(() => broken.getMany(SHOP, USERS, ["a"], WAITER), /at once/);
  throws(() => broken.delete(SHOP, at("a"), undefined, WAITER), /at once/);
});

Deno.test("bytes that somebody was given are theirs alone", async () => {
  await using t = new NearSubject();
  t.memory.put(SHOP, at("a"), { bytes: new Uint8Array([1, 2]), type: "a/b" }, {}, WAITER);
  const reads = [t.get("a"), t.get("a")];
  t.far.last.arrive();
  const bytes = async (given: unknown) => {
    const { value } = await given as CacheEntry;
    ok("bytes" in value);
    return value.bytes;
  };
  for (const given of [...reads, t.get("a"), t.get("a")]) {
    const mine = await bytes(given);
    deepEqual(mine, new Uint8Array([1, 2]));
    mine.fill(9);
  }
  equal(t.asked, 1);
});

Deno.test("a driver that answers without a promise may stand behind it too", async () => {
  const clock = new FakeClock();
  const memory = new MemoryDriver({ maxBytes: 2 ** 20, clock });
  const lives = new Map([[USERS, LIFE]]);
  const near = new NearDriver({ driver: memory, maxBytes: 2 ** 20, livesOf: () => lives, clock });
  const put = (key: string, value: number) => memory.put(SHOP, at(key), { json: String(value) }, {}, WAITER);
  put("a", 1);
  put("b", 1);
  const read = () => [
    numberIn(near.get(SHOP, at("a"), QUICK) as CacheEntry),
    ...numbersIn(near.getMany(SHOP, USERS, ["a", "b"], QUICK) as CacheEntry[]),
  ];
  deepEqual(read(), [1, 1, 1]);
  put("a", 2);
  put("b", 2);
  deepEqual(read(), [1, 1, 1]);
  near.put(SHOP, at("a"), { json: "3" }, {}, QUICK);
  deepEqual(read(), [3, 3, 1]);
  clock.pass(LIFE);
  deepEqual(read(), [3, 3, 2]);
  const { hits, misses } = near.near();
  deepEqual([hits, misses], [7, 5]);
  notEqual(near.held(), undefined);
  await near.close();
});
