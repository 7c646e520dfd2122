import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { MemoryDriver, type MemoryDriverOptions } from "../../../services/cache/memory/driver.ts";
import { hashWith } from "../../../services/cache/memory/hash.ts";
import type { CachePutOptions } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { randomFrom } from "./support/random.ts";

const WAITER = { signal: new AbortController().signal };
const MIB = 2 ** 20;

/** A driver on a clock that stands still, with short ways to ask it. */
class Subject {
  readonly clock = new FakeClock();
  readonly driver: MemoryDriver;

  constructor(options: Partial<MemoryDriverOptions> = {}) {
    this.driver = new MemoryDriver({ maxBytes: MIB, clock: this.clock, ...options });
  }

  put(namespace: string, key: string, size: number, options: CachePutOptions = {}, map = "m") {
    return this.driver.put(namespace, { map, key }, { json: JSON.stringify("x".repeat(size)) }, options, WAITER);
  }

  has(namespace: string, key: string, map = "m"): boolean {
    return this.driver.scan(namespace, map, { cursor: undefined, limit: 1e9, matches: (k) => k === key }).keys.length >
      0;
  }

  use(namespace: string, key: string) {
    return this.driver.get(namespace, { map: "m", key });
  }

  /** Puts entries until some had to leave. @returns their keys */
  fill(namespace: string, size: number): string[] {
    const { evictions } = this.driver.held(), keys: string[] = [];
    for (let i = 0; this.driver.held().evictions === evictions; i++) {
      keys.push(`${namespace} ${i}`);
      this.put(namespace, keys[i]!, size);
    }
    return keys;
  }
}

const is = (code: string, sentence: RegExp) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code);
  ok(sentence.test(error.message), error.message);
  return true;
};

Deno.test("the least recently used entry leaves, whichever namespace it is of", () => {
  const subject = new Subject();
  subject.put("a", "first", 1_000);
  subject.put("b", "second", 1_000);
  subject.put("a", "third", 1_000);
  subject.use("a", "first");
  subject.fill("c", 5_000);
  equal(subject.has("b", "second"), false);
  equal(subject.driver.held().evictions, 1);
  deepEqual([subject.has("a", "first"), subject.has("a", "third")], [true, true]);
});

Deno.test("every kind of use keeps an entry, and being scanned does not", () => {
  const uses: Readonly<Record<string, (subject: Subject, key: string) => unknown>> = {
    get: ({ driver }, key) => driver.get("a", { map: "m", key }),
    getMany: ({ driver }, key) => driver.getMany("a", "m", [key]),
    touch: ({ driver }, key) => driver.touch("a", "m", [key]),
    put: (subject, key) => subject.put("a", key, 10),
    swap: ({ driver }, key) => driver.swap("a", { map: "m", key }, { json: "1" }, undefined, WAITER),
    expire: ({ driver }, key) => driver.expire("a", { map: "m", key }, 1_000),
    scan: ({ driver }) => driver.scan("a", "m", { cursor: undefined, limit: 10, matches: undefined }),
    "get of another map": ({ driver }, key) => driver.get("a", { map: "n", key }),
  };
  for (const [name, use] of Object.entries(uses)) {
    const subject = new Subject();
    subject.put("a", "key", 1_000);
    subject.put("a", "other", 1_000);
    use(subject, "key");
    subject.fill("b", 1_000);
    equal(subject.has("a", "key"), !name.startsWith("scan") && !name.includes("another map"), name);
  }
});

Deno.test("a namespace with more than its quota loses its own entries, and nobody else does", async () => {
  const quotas = new Map([["small", 50_000]]);
  const subject = new Subject({ quotaOf: (namespace) => quotas.get(namespace) ?? 0 });
  subject.put("other", "old", 1_000);
  const keys = subject.fill("small", 1_000);
  equal(subject.driver.held().evictions, 1);
  equal(subject.has("small", keys[0]!), false);
  equal(subject.has("small", keys[1]!), true);
  equal(subject.has("other", "old"), true);
  const held = async () => (await subject.driver.usage("small"))["cache_bytes"]!;
  ok(await held() <= 50_000 && await held() > 48_000, String(await held()));
  // A lower quota holds from the next write on.
  quotas.set("small", 20_000);
  subject.put("small", "last", 1_000);
  ok(await held() <= 20_000);
  equal(subject.has("small", "last"), true);
  equal(subject.has("other", "old"), true);
});

Deno.test("a quota that has to be asked for is waited for", async () => {
  const subject = new Subject({ quotaOf: () => Promise.resolve(10_000) });
  const put = subject.put("a", "key", 100);
  ok(put instanceof Promise);
  equal(subject.has("a", "key"), false);
  await put;
  equal(subject.has("a", "key"), true);
  await rejects(async () => await subject.put("a", "key", 20_000), is("BODY_TOO_LARGE", /cache has 10000 for it/));
});

Deno.test("an entry that could never fit is refused, and nothing leaves for it", () => {
  const subject = new Subject({ quotaOf: (namespace) => namespace === "small" ? 10_000 : 0 });
  subject.put("a", "key", 100);
  subject.put("small", "key", 100);
  throws(() => subject.put("a", "key", 2 * MIB), is("BODY_TOO_LARGE", /^this entry takes \d+ bytes of memory/));
  throws(() => subject.put("small", "key", 10_000), is("BODY_TOO_LARGE", /the cache has 10000 for it/));
  throws(() => subject.put("small", "new", 10_000), is("BODY_TOO_LARGE", /the cache has 10000 for it/));
  equal(subject.driver.held().evictions, 0);
  for (const namespace of ["a", "small"]) {
    deepEqual(subject.use(namespace, "key")?.value, { json: JSON.stringify("x".repeat(100)) });
  }
  // What just fits has the place of everything else.
  subject.put("small", "key", 8_000);
  ok(subject.use("small", "key"));
});

Deno.test("what is over makes room before anything that is not", () => {
  const subject = new Subject();
  subject.put("a", "old", 1_000);
  for (let i = 0; i < 400; i++) subject.put("a", `short ${i}`, 1_000, { ttl: 100 });
  subject.clock.jump(100);
  for (let i = 0; i < 600; i++) subject.put("a", `new ${i}`, 1_000);
  equal(subject.driver.held().evictions, 0);
  equal(subject.has("a", "old"), true);
});

Deno.test("what is over is cleared away without anybody asking for it, and the timer goes with it", async () => {
  const subject = new Subject({ maxBytes: 64 * MIB });
  equal(subject.clock.timers, 0);
  subject.put("a", "stays", 10);
  equal(subject.clock.timers, 0, "nothing will be over");
  for (let i = 0; i < 10_000; i++) subject.put("a", `key ${i}`, 10, { ttl: 30_000 }, `map ${i % 100}`);
  subject.driver.tryLock("a", { map: "m", key: "lock" }, 30_000);
  const { bytes } = subject.driver.held();
  equal(subject.driver.held().entries, 10_001);
  await subject.clock.advance(29_000);
  equal(subject.driver.held().entries, 10_001);
  await subject.clock.advance(2_500);
  equal(subject.driver.held().entries, 1);
  ok(subject.driver.held().bytes < 1_000 && bytes > 1_000_000);
  equal(subject.clock.timers, 0);
  await subject.driver.close();
});

Deno.test("what is dropped is gone at once, and what it took in time", async () => {
  const subject = new Subject({ maxBytes: 64 * MIB });
  for (let i = 0; i < 20_000; i++) subject.put("a", `key ${i}`, 10, { ttl: 1e9 }, `map ${i % 2}`);
  for (let i = 0; i < 20_000; i++) subject.put("b", `key ${i}`, 10, {}, `map ${i % 5_000}`);
  subject.put("c", "key", 10);
  const { bytes } = subject.driver.held();
  subject.driver.drop("a", "map 1");
  equal(subject.driver.held().entries, 30_001);
  deepEqual(await subject.driver.usage("a").then((usage) => usage["cache_keys"]), 10_000);
  await subject.driver.purge("b");
  equal(subject.driver.held().entries, 10_001);
  deepEqual(await subject.driver.usage("b"), { cache_bytes: 0, cache_keys: 0 });
  deepEqual(subject.driver.maps("a").map(({ name, keys }) => [name, keys]), [["map 0", 10_000]]);
  // Its name is free at once.
  subject.put("a", "key 1", 10, { condition: "absent" }, "map 1");
  subject.put("b", "key 1", 10, { condition: "absent" }, "map 1");
  await subject.clock.advance(5_000);
  ok(subject.driver.held().bytes < bytes / 3);
  equal(subject.driver.held().entries, 10_003);
  await subject.driver.purge("a");
  await subject.driver.purge("b");
  await subject.driver.purge("c");
  await subject.clock.advance(5_000);
  deepEqual(subject.driver.held(), { entries: 0, bytes: 0, evictions: 0 });
  equal(subject.clock.timers, 0);
});

Deno.test("what was dropped and not cleared away yet leaves before anything that is there", async () => {
  const subject = new Subject();
  subject.put("a", "old", 1_000);
  for (let i = 0; i < 800; i++) subject.put("a", `key ${i}`, 1_000, {}, "dropped");
  subject.driver.drop("a", "dropped");
  for (let i = 0; i < 200; i++) subject.put("a", `key ${i}`, 1_000, {}, "new");
  subject.put("a", "large", 500_000, {}, "new");
  equal(subject.driver.held().evictions, 0);
  equal(subject.has("a", "old"), true);
  await subject.driver.close();
});

Deno.test("what a namespace holds is counted entry by entry and map by map", async () => {
  const subject = new Subject();
  const bytes = async () => (await subject.driver.usage("a"))["cache_bytes"]!;
  subject.put("a", "key", 100);
  const one = await bytes();
  subject.put("a", "key", 5_000);
  ok(await bytes() >= one + 4_900);
  subject.put("a", "key", 100);
  equal(await bytes(), one);
  subject.put("a", "key", 100, { ttl: 1_000 }, "other");
  ok(await bytes() > one);
  subject.driver.delete("a", { map: "other", key: "key" }, undefined);
  equal(await bytes(), one);
  for (let i = 0; i < 10; i++) subject.put("a", `key ${i}`, 100, {}, "other");
  const [map, other] = subject.driver.maps("a");
  equal(map!.bytes + other!.bytes < await bytes(), true);
  subject.driver.drop("a", "other");
  equal(await bytes(), one);
  subject.driver.delete("a", { map: "m", key: "key" }, undefined);
  equal(await bytes(), 0);
});

Deno.test("what could not be told from something shorter is never taken", () => {
  const subject = new Subject();
  subject.put("a", "x".repeat(255), 1);
  throws(() => subject.put("a", "é".repeat(128), 1), RangeError);
  throws(() => subject.use("a", "x".repeat(256)), RangeError);
  const value = { bytes: new Uint8Array(1), type: "x".repeat(256) };
  throws(() => subject.driver.put("a", { map: "m", key: "key" }, value, {}, WAITER), RangeError);
  equal(subject.driver.held().entries, 1);
});

Deno.test("keys of one hash are two keys", () => {
  const secret = new Uint8Array(9).fill(7);
  const hash = hashWith(secret.subarray(0, 8)), seen = new Map<number, string>(), encoder = new TextEncoder();
  // Of so many texts a few have the same 32 bits; the first map has the number 0.
  let pairs = 0;
  for (let i = 0; i < 400_000 && pairs < 3; i++) {
    const key = `key ${i}`, bits = hash(0, encoder.encode(key)), other = seen.get(bits);
    seen.set(bits, key);
    if (other === undefined) continue;
    pairs++;
    const subject = new Subject({ random: (n) => secret.subarray(0, n) });
    subject.put("a", key, 1);
    subject.put("a", other, 2);
    deepEqual([subject.use("a", key)?.value, subject.use("a", other)?.value], [{ json: '"x"' }, { json: '"xx"' }]);
    equal(subject.driver.delete("a", { map: "m", key }, undefined), true);
    deepEqual([subject.use("a", key), subject.use("a", other)?.value], [undefined, { json: '"xx"' }]);
  }
  ok(pairs > 0);
});

Deno.test("a driver that was closed keeps no timer", async () => {
  const subject = new Subject();
  subject.put("a", "key", 10, { ttl: 1_000 });
  equal(subject.clock.timers, 1);
  await subject.driver.close();
  equal(subject.clock.timers, 0);
  subject.put("a", "key", 10, { ttl: 1_000 });
  equal(subject.clock.timers, 0);
});

Deno.test("versions of two processes are never the same", () => {
  const versions = [new Subject(), new Subject()].map((subject) => {
    subject.put("a", "key", 1);
    return subject.use("a", "key")?.version;
  });
  notEqual(versions[0], versions[1]);
});

Deno.test("a scan of a large map stops at times, with a pattern that takes long at every key", () => {
  const subject = new Subject({ maxBytes: 64 * MIB });
  for (let i = 0; i < 25_000; i++) subject.put("a", `key ${i}`, 1);
  const scan = (cursor: string | undefined, matches: (key: string) => boolean) =>
    subject.driver.scan("a", "m", { cursor, limit: 1_000, matches });
  let pages = 0, cursor: string | undefined;
  do {
    let looked = 0;
    const page = scan(cursor, () => ++looked < 0);
    ok(looked <= 10_000);
    pages++;
    cursor = page.cursor;
  } while (cursor !== undefined);
  equal(pages, 3);
  // Three looks of 4 ms are more than a page may take.
  let looked = 0;
  const page = scan(undefined, () => {
    looked++;
    subject.clock.pass(4);
    return true;
  });
  equal(looked, 3);
  equal(page.keys.length, 3);
  ok(page.cursor);
});

Deno.test("locks are bounded, and their leases run by the clock that never jumps", () => {
  const subject = new Subject({ maxBytes: 64 * MIB });
  const { driver, clock } = subject;
  for (let i = 0; i < 10_000; i++) driver.tryLock("a", { map: "m", key: `key ${i}` }, 1_000);
  throws(() => driver.tryLock("a", { map: "m", key: "another" }, 1_000), is("QUOTA_EXCEEDED", /10000 locks already/));
  ok(driver.tryLock("b", { map: "m", key: "another" }, 1_000));
  ok(driver.held().bytes > 2_000_000);
  clock.jump(1e9);
  equal(driver.tryLock("a", { map: "m", key: "key 1" }, 1_000), undefined);
  const small = new Subject({ maxBytes: 40_000 });
  for (let i = 0; i < 20; i++) small.put("a", `key ${i}`, 1_000);
  const lockAll = () => {
    for (let i = 0; i < 1_000; i++) small.driver.tryLock(`namespace ${i}`, { map: "m", key: "key" }, 1_000);
  };
  throws(lockAll, is("NO_CAPACITY", /no room for another lock/));
  ok(small.driver.held().bytes <= 40_000, "entries made room for them");
});

Deno.test("numbers of a lock grow though the clock goes back, and beyond those of the process before", () => {
  const clock = new FakeClock(), fences: number[] = [];
  const take = (driver: MemoryDriver, key: string) => {
    fences.push(driver.tryLock("a", { map: "m", key }, 1_000)!.fencing);
  };
  const before = new MemoryDriver({ maxBytes: MIB, clock });
  for (const key of ["1", "2", "3"]) take(before, key);
  clock.jump(-10_000);
  take(before, "4");
  clock.jump(10_001);
  const after = new MemoryDriver({ maxBytes: MIB, clock });
  for (const key of ["1", "2"]) take(after, key);
  ok(fences.every((fence, i) => i === 0 || fence > fences[i - 1]!), fences.join());
});

Deno.test("an entry may end at any moment, also while it is written over", () => {
  const random = randomFrom(5), keys = Array.from({ length: 12 }, (_, i) => `key ${i}`);
  const clock = new FakeClock();
  // Each look at the clock sees another time.
  const ticking = {
    now: () => (clock.pass(1), clock.now()),
    monotonic: () => clock.monotonic(),
    after: () => () => {},
  };
  const driver = new MemoryDriver({ maxBytes: 20_000, clock: ticking });
  const last = new Map<string, string>();
  for (let round = 0; round < 30_000; round++) {
    const key = keys[Math.floor(random() * keys.length)]!, at = { map: "m", key };
    if (random() < 0.5) {
      const json = JSON.stringify(`${round}`.repeat(1 + Math.floor(random() * 800)));
      driver.put("a", at, { json }, { ttl: 1 + Math.floor(random() * 12) }, WAITER);
      last.set(key, json);
    } else {
      const found = driver.get("a", at);
      if (found) deepEqual(found.value, { json: last.get(key) });
    }
    ok(driver.held().bytes <= 20_000);
  }
  clock.pass(100);
  driver.deleteMany("a", "m", keys);
  equal(driver.held().bytes, 0);
});

Deno.test("whatever is written and deleted, entries are those that a plain map has, and no byte is left over", async () => {
  for (const seed of [1, 2, 3]) {
    const random = randomFrom(seed), pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)]!;
    const subject = new Subject({ maxBytes: 64 * MIB }), { driver, clock } = subject;
    const model = new Map<string, { readonly json: string; readonly due: number | undefined }>();
    const namespaces = ["a", "b"],
      maps = ["m", "n"],
      keys = Array.from({ length: 60 }, (_, i) => `key ${i}`.repeat(1 + i));
    for (let round = 0; round < 6_000; round++) {
      const namespace = pick(namespaces),
        map = pick(maps),
        key = pick(keys).slice(0, 255),
        id = [namespace, map, key].join("|");
      for (const [name, { due }] of model) if (due !== undefined && due <= clock.now()) model.delete(name);
      const action = random(), json = JSON.stringify("y".repeat(Math.floor(2 ** (random() * 14))));
      const ttl = random() < 0.3 ? Math.ceil(random() * 500) : undefined;
      const due = ttl && clock.now() + ttl;
      const expected = model.get(id);
      if (action < 0.4) {
        driver.put(namespace, { map, key }, { json }, { ttl }, WAITER);
        model.set(id, { json, due });
      } else if (action < 0.5) {
        equal(driver.delete(namespace, { map, key }, undefined), model.delete(id));
      } else if (action < 0.6) {
        equal(driver.expire(namespace, { map, key }, ttl), expected !== undefined);
        if (expected) model.set(id, { json: expected.json, due });
      } else if (action < 0.9) {
        const found = driver.get(namespace, { map, key });
        deepEqual(found?.value, expected && { json: expected.json });
        equal(found?.expiresAt, expected?.due);
      } else if (action < 0.905) {
        driver.drop(namespace, map);
        for (const name of model.keys()) if (name.startsWith(`${namespace}|${map}|`)) model.delete(name);
      } else if (action < 0.907) {
        await driver.purge(namespace);
        for (const name of model.keys()) if (name.startsWith(`${namespace}|`)) model.delete(name);
      } else if (action < 0.91) await clock.advance(Math.floor(random() * 300));
      else clock.jump(Math.floor(random() * 3));
    }
    for (const [name, { due }] of model) if (due !== undefined && due <= clock.now()) model.delete(name);
    const found = namespaces.flatMap((namespace) =>
      maps.flatMap((map) =>
        driver.scan(namespace, map, { cursor: undefined, limit: 1_000, matches: undefined }).keys.map((key) =>
          [namespace, map, key].join("|")
        )
      )
    );
    deepEqual(found.toSorted(), [...model.keys()].toSorted());
    for (const namespace of namespaces) {
      for (const map of maps) driver.deleteMany(namespace, map, keys.map((key) => key.slice(0, 255)));
    }
    await clock.advance(10_000);
    deepEqual(driver.held(), { entries: 0, bytes: 0, evictions: 0 });
  }
});
