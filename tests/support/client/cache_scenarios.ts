import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { type Cache, createCache, createClient, OramaError } from "../../../src/client/index.ts";
import { awaitedLater } from "../awaited_later.ts";
import type { Target } from "./scenarios.ts";

const cacheOf = (target: Target): Cache => createCache(createClient(target));
const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;

/** Waits until something is so. */
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function pagesOf(scan: AsyncIterable<string[]>): Promise<string[][]> {
  const pages: string[][] = [];
  for await (const page of scan) pages.push(page);
  return pages;
}

/** Settles when a signal fires, with its reason. */
const fired = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener("abort", () => resolve(signal.reason));
  });

/** What an application does with its cache, each in maps of its own. Runs on Deno and on Node. */
export const CACHE_SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  async "values of any kind come back as they were"(target) {
    const map = cacheOf(target).map("kinds: ä/%?#\0");
    const values = [
      0,
      -1.5,
      "",
      "12345678901234567890",
      "é\u0000\ud83d\ude00",
      true,
      false,
      [],
      {},
      { a: [null, { b: 9007199254740993n }], ["__proto__"]: 1 },
      2n ** 63n - 1n,
      -(2n ** 63n),
    ];
    for (const [i, value] of values.entries()) {
      deepEqual(await map.put(String(i), value), { version: undefined });
      deepEqual(await map.get(String(i)), value);
    }
    deepEqual(await map.mget(["3", "nothing", "0", "3"]), [values[3], null, 0, values[3]]);
    equal(await map.get("nothing"), null);
    await map.put("date", new Date(0).toJSON());
    equal(await map.get("date"), "1970-01-01T00:00:00.000Z");
    await rejects(map.get("x".repeat(256)), withCode("INVALID_REQUEST"));
    await rejects(map.put("\ud800", 1), withCode("INVALID_REQUEST"));
  },

  async "a value has the type that the application says, and a version that each write changes"(target) {
    interface User {
      readonly name: string;
      readonly age?: number;
    }
    const users = cacheOf(target).map<User>("users");
    const { version } = await users.put("1", { name: "Ada" }, { versioned: true, ttl: "1h" });
    const entry = await users.entry("1");
    deepEqual([entry?.value.name, entry?.version, entry?.type], ["Ada", version, undefined]);
    ok(Math.abs(entry!.expiresAt!.getTime() - Date.now() - 3_600_000) < 60_000);
    const second = await users.put("1", { name: "Ada", age: 36 }, { ifVersion: version! });
    notEqual(second.version, version);
    await rejects(users.put("1", { name: "Eve" }, { ifVersion: version! }), withCode("PRECONDITION_FAILED"));
    await rejects(users.delete("1", { ifVersion: version! }), withCode("PRECONDITION_FAILED"));
    deepEqual(await users.getset("1", { name: "Bob" }), { name: "Ada", age: 36 });
    equal((await users.entry("1"))?.expiresAt, null, "the time of the value before is not kept");
    equal(await users.getset("2", { name: "Cleo" }), null);
    deepEqual([await users.delete("1"), await users.delete("1")], [true, false]);
  },

  async "of nx and xx the one happens where nothing is, the other where something is"(target) {
    const map = cacheOf(target).map<string>("conditions");
    await rejects(map.put("k", "x", { xx: true }), withCode("PRECONDITION_FAILED"));
    await map.put("k", "first", { nx: true });
    await rejects(map.put("k", "second", { nx: true }), withCode("PRECONDITION_FAILED"));
    await map.put("k", "third", { xx: true });
    equal(await map.get("k"), "third");
    const wins = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => map.put("race", String(i), { nx: true })),
    );
    equal(wins.filter(({ status }) => status === "fulfilled").length, 1);
  },

  async "several values are stored, read, touched and deleted at once"(target) {
    const map = cacheOf(target).map<number>("many");
    const entries = Array.from({ length: 2_500 }, (_, i) => [`k${i}`, i] as const);
    await map.mput(entries, { ttl: "1h" });
    await map.mput(new Map([["k1", 1n as unknown as number], ["k2", 2]]));
    const keys = entries.map(([key]) => key);
    deepEqual(await map.mget(keys), entries.map(([, value]) => value));
    const [one, other] = await map.entries(["k0", "k1"]);
    deepEqual([one?.expiresAt !== null, other?.expiresAt], [true, null]);
    equal(await map.touch(["k0", "k1", "nothing"]), 2);
    const pages = await pagesOf(map.scan({ limit: 500 }));
    ok(pages.every(({ length }) => length > 0 && length <= 500));
    equal(new Set(pages.flat()).size, 2_500);
    equal(new Set((await pagesOf(map.scan({ match: "^k24.{2}$" }))).flat()).size, 100);
    equal(await map.mdelete([...keys.slice(0, 1_000), "nothing"]), 1_000);
    await map.drop();
    deepEqual(await map.mget(["k1500"]), [null]);
    deepEqual(await pagesOf(map.scan()), []);
    await rejects(pagesOf(map.scan({ match: "(" })), withCode("INVALID_REQUEST"));
  },

  async "maps are listed as long as something is in them"(target) {
    const cache = cacheOf(target);
    await cache.map("listed").put("k", 1);
    const found = (await cache.maps()).find(({ name }) => name === "listed");
    ok(found !== undefined && found.keys === 1 && found.bytes > 0, JSON.stringify(found));
    await cache.map("listed").drop();
    equal((await cache.maps()).some(({ name }) => name === "listed"), false);
  },

  async "an expired key is gone for every call, and one that has time says how much"(target) {
    const map = cacheOf(target).map<number>("ending");
    await map.put("k", 1, { ttl: 60 });
    await until("it is gone", async () => await map.get("k") === null);
    deepEqual([await map.entry("k"), await map.ttl("k"), await map.getBytes("k")], [null, null, null]);
    deepEqual(await map.mget(["k"]), [null]);
    deepEqual([await map.delete("k"), await map.expire("k", "1h"), await map.touch(["k"])], [false, false, 0]);
    await rejects(map.put("k", 2, { xx: true }), withCode("PRECONDITION_FAILED"));
    equal(await map.getset("k", 3, { ttl: 60_000 }), null);
    const life = await map.ttl("k");
    ok(life!.ttl! > 30_000 && life!.ttl! <= 60_000 && life!.expiresAt instanceof Date, JSON.stringify(life));
    equal(await map.expire("k", 0), true);
    deepEqual(await map.ttl("k"), { ttl: null, expiresAt: null });
    await rejects(map.expire("k", "876001h"), withCode("INVALID_REQUEST"));
  },

  async "counters lose no count"(target) {
    const map = cacheOf(target).map("counters");
    equal(await map.incr("n", { by: 2, initial: 40, ttl: "1h" }), 42);
    await Promise.all(Array.from({ length: 20 }, () => map.incr("n")));
    equal(await map.get("n"), 62);
    equal(await map.incr("n", { by: -0.5 }), 61.5);
    await map.put("text", "x");
    await rejects(map.incr("text"), withCode("WRONG_TYPE"));
    await map.put("large", 2 ** 53 - 1);
    await rejects(map.incr("large"), withCode("WRONG_TYPE"));
    equal(await map.get("large"), 2 ** 53 - 1);
  },

  async "bytes have a type, and a version to revalidate them by"(target) {
    const map = cacheOf(target).map("files");
    const key = "img/ä b?.png", bytes = Uint8Array.from({ length: 70_000 }, (_, at) => at % 256);
    const { version } = await map.putBytes(key, bytes, { type: "image/png", ttl: "1h", nx: true });
    deepEqual(await map.getBytes(key), { bytes, type: "image/png", version });
    equal(await map.getBytes(key, { unlessVersion: version! }), "unchanged");
    deepEqual([(await map.entry(key))?.type, await map.get(key)], ["image/png", bytes]);
    await rejects(map.putBytes(key, bytes, { nx: true }), withCode("PRECONDITION_FAILED"));
    await rejects(map.putBytes(key, bytes, { ifVersion: "other" }), withCode("PRECONDITION_FAILED"));
    await rejects(map.getBytes(key, { ifVersion: "other" }), withCode("PRECONDITION_FAILED"));
    const second = await map.putBytes(key, new Blob(["hi"], { type: "text/plain" }), { ifVersion: version! });
    const found = await map.getBytes(key, { unlessVersion: version! });
    deepEqual(found, { bytes: new Uint8Array([104, 105]), type: "text/plain", version: second.version });
    deepEqual(await map.putBytes("json", new Blob(['{ "n": 1.50 }']), { type: "application/json" }), {
      version: undefined,
    });
    deepEqual(await map.get("json"), { n: 1.5 });
    equal(new TextDecoder().decode((await map.getBytes("json"))!.bytes), '{ "n": 1.50 }');
    await map.putBytes("empty", new Uint8Array());
    equal((await map.getBytes("empty"))?.bytes.length, 0);
    equal(await map.delete(key, { ifVersion: second.version! }), true);
    equal(await map.getBytes(key), null);
  },

  async "a value that is too large is refused with the limit, whichever way it goes"(target) {
    const map = cacheOf(target).map("large");
    await map.put("k", "here");
    const large = "x".repeat(600_000), huge = "x".repeat(3_000_000);
    for (
      const work of [
        () => map.put("k", large),
        () => map.put("k", huge),
        () => map.getset("k", large),
        () => map.mput([["k", large]]),
        () => map.putBytes("k", new TextEncoder().encode(large)),
        () => map.putBytes("k", new TextEncoder().encode(huge)),
      ]
    ) {
      await rejects(work(), (error) => withCode("BODY_TOO_LARGE")(error) && (error as OramaError).status === 413);
    }
    equal(await map.get("k"), "here");
  },

  async "a lock has one holder, who alone renews and frees it"(target) {
    const map = cacheOf(target).map("locks");
    const held = await map.lock("daily", { lease: "1m" });
    ok(Number.isSafeInteger(held.fencing) && held.expiresAt.getTime() > Date.now() + 30_000);
    await rejects(map.lock("daily", { lease: "1m" }), withCode("LOCKED"));
    await rejects(map.lock("daily", { lease: "1m", wait: 50 }), withCode("LOCKED"));
    const stranger = "0123456789abcdef0123456789abcdef";
    await rejects(map.renew("daily", stranger, "1m"), withCode("LOCK_LOST"));
    await rejects(map.unlock("daily", stranger), withCode("LOCK_LOST"));
    ok((await map.renew("daily", held.token, "10m")).getTime() > held.expiresAt.getTime());
    const next = awaitedLater(map.lock("daily", { lease: "1m", wait: "20s" }));
    await map.unlock("daily", held.token);
    ok((await next).fencing > held.fencing);
    await map.unlock("daily", (await next).token);
    await rejects(map.unlock("daily", held.token), withCode("LOCK_LOST"));
    await rejects(map.lock("daily", { lease: 0 }), withCode("INVALID_REQUEST"));
  },

  async "work under a lock is done by one at a time, and the lock outlives its lease"(target) {
    const map = cacheOf(target).map("with lock");
    let running = 0;
    const numbers: number[] = [];
    const run = () =>
      map.withLock("k", { lease: "1m", wait: "1m" }, async ({ fencing }) => {
        equal(++running, 1, "nobody else is at work");
        numbers.push(fencing);
        await map.incr("done");
        running--;
        return fencing;
      });
    const results = await Promise.all(Array.from({ length: 5 }, run));
    deepEqual(numbers, numbers.toSorted((a, b) => a - b));
    deepEqual(new Set(results), new Set(numbers));

    const { token } = await map.withLock("long", { lease: 4_000 }, async (held) => {
      const since = Date.now();
      await until("the lease would be over", () => Promise.resolve(Date.now() > since + 4_400));
      equal(held.signal.aborted, false);
      await rejects(map.lock("long", { lease: "1s" }), withCode("LOCKED"));
      return held;
    });
    await rejects(map.renew("long", token, "1m"), withCode("LOCK_LOST"), "it is free");
    await rejects(map.withLock("long", {}, () => Promise.reject(new Error("work"))), /^Error: work$/);
    await map.unlock("long", (await map.lock("long", { lease: "1m" })).token);
  },

  async "work whose lock is taken away is told, and its result is not taken for one under the lock"(target) {
    const map = cacheOf(target).map("lost locks");
    const lost = map.withLock("k", { lease: 3_000 }, async ({ token, signal }) => {
      await map.unlock("k", token);
      const other = await map.lock("k", { lease: "1m" });
      ok(withCode("LOCK_LOST")(await fired(signal)));
      await map.renew("k", other.token, "1m");
      await map.put("other", other.token);
      return "done all the same";
    });
    await rejects(lost, withCode("LOCK_LOST"));
    await map.unlock("k", String(await map.get("other")));
    const noticedLate = map.withLock("k", {}, ({ token }) => map.unlock("k", token));
    await rejects(noticedLate, withCode("LOCK_LOST"));
  },

  async "a signal ends waiting for a lock, and work under it"(target) {
    const map = cacheOf(target).map("signals");
    const reason = new Error("left"), controller = new AbortController();
    const { signal } = controller;
    const work = map.withLock("k", { signal }, async (held) => {
      controller.abort(reason);
      throw await fired(held.signal);
    });
    await rejects(work, reason);
    await rejects(map.withLock("k", { signal }, () => ok(false, "it began")), reason);
    const held = await map.lock("k", { lease: "1m" });
    const leaving = new AbortController();
    // The gateway may hear of its leaving after it gave it the lock.
    const waiting = map.lock("k", { lease: "1s", wait: "10m", signal: leaving.signal });
    setTimeout(() => leaving.abort(reason), 50);
    await rejects(waiting, (error) => withCode("OUTCOME_UNKNOWN")(error) && (error as OramaError).cause === reason);
    await map.unlock("k", held.token);
    const next = await map.lock("k", { lease: "1m", wait: "20s" });
    await map.unlock("k", next.token);
  },
};
