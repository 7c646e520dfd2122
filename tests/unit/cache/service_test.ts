import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import type { CacheDriver } from "../../../services/cache/driver.ts";
import { MemoryDriver } from "../../../services/cache/memory/driver.ts";
import { CacheService } from "../../../services/cache/service.ts";
import type { CacheAddress, CacheHoldings, CacheValue, Maybe } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { CacheRules } from "../../../src/contracts/settings.ts";
import { FakeClock } from "./support/fake_clock.ts";

const RULES: CacheRules = { maxValueBytes: 100, maxBytes: 0, maxScanKeys: 10, maxLockWaiters: 5, near: new Map() };
const AT = { map: "m", key: "k" };
const ONE: CacheValue = { json: "1" };

/** A request whose signal nobody may ask for: making it costs more than reading from memory. */
const QUICK = {
  requestId: "test",
  clientAddress: "127.0.0.1",
  get signal(): AbortSignal {
    throw new Error("the signal was asked for");
  },
};
const REQUEST = { ...{ requestId: "test", clientAddress: "127.0.0.1" }, signal: new AbortController().signal };

function serviceOf(rules: Maybe<CacheRules> = RULES, driver: CacheDriver = memory()): CacheService {
  return new CacheService(driver, { rulesOf: () => rules, clock: new FakeClock() });
}
const memory = () => new MemoryDriver({ maxBytes: 2 ** 20, clock: new FakeClock() });

Deno.test("what needs no waiting is answered without a promise, and without the request's signal", async () => {
  const cache = serviceOf();
  const answers = [
    cache.put("a", AT, ONE, {}, QUICK),
    cache.putMany("a", "m", [{ key: "x", value: ONE }], undefined, QUICK),
    cache.get("a", AT, QUICK),
    cache.getMany("a", "m", ["k", "x"], QUICK),
    cache.swap("a", AT, ONE, undefined, QUICK),
    cache.increment("a", AT, {}, QUICK),
    cache.expire("a", AT, 1_000, QUICK),
    cache.touch("a", "m", ["k"], QUICK),
    cache.scan("a", "m", {}, QUICK),
    cache.maps("a", QUICK),
    cache.delete("a", AT, undefined, QUICK),
    cache.deleteMany("a", "m", ["x"], QUICK),
    cache.drop("a", "m", QUICK),
  ];
  equal(answers.findIndex((answer) => answer instanceof Promise), -1);
  const { token } = await cache.lock("a", AT, { lease: 1_000, wait: 1_000 }, QUICK);
  await cache.renew("a", AT, token, 1_000, QUICK);
  await cache.unlock("a", AT, token, QUICK);
  await cache.close();
});

Deno.test("rules that have to be asked for are waited for, and hold", async () => {
  const cache = serviceOf(Promise.resolve(RULES));
  const big = { json: JSON.stringify("x".repeat(100)) };
  await cache.put("a", AT, ONE, {}, REQUEST);
  await rejects(async () => await cache.put("a", AT, big, {}, REQUEST), code("BODY_TOO_LARGE"));
  await rejects(async () => await cache.swap("a", AT, big, undefined, REQUEST), code("BODY_TOO_LARGE"));
  await rejects(
    async () => await cache.putMany("a", "m", [{ key: "k", value: big }], undefined, REQUEST),
    code("BODY_TOO_LARGE"),
  );
  await cache.lock("a", AT, { lease: 1_000 }, REQUEST);
  deepEqual((await cache.scan("a", "m", { match: "k" }, REQUEST)).keys, ["k"]);
  await rejects(async () => await cache.scan("a", "m", { match: "(" }, REQUEST), code("INVALID_REQUEST"));
});

Deno.test("the shortest lease that is given is one that may outlive its answer", async () => {
  const cache = serviceOf();
  await rejects(cache.lock("a", AT, { lease: 99 }, REQUEST), code("INVALID_REQUEST"));
  const { token } = await cache.lock("a", AT, { lease: 100 }, REQUEST);
  await rejects(cache.renew("a", AT, token, 99, REQUEST), code("INVALID_REQUEST"));
  await cache.renew("a", AT, token, 100, REQUEST);
});

Deno.test("a client's mistake is found before anybody is asked", () => {
  const asked = () => {
    throw new Error("asked for nothing");
  };
  const driver = new Proxy({} as CacheDriver, { get: () => asked });
  const cache = new CacheService(driver, { rulesOf: asked });
  const wrong: CacheAddress = { map: "m", key: "" };
  const invalid = code("INVALID_REQUEST");
  throws(() => cache.get("a", wrong, QUICK), invalid);
  throws(() => cache.put("a", wrong, ONE, {}, QUICK), invalid);
  throws(() => cache.put("a", AT, ONE, { ttl: -1 }, QUICK), invalid);
  throws(() => cache.putMany("a", "m", [{ key: "", value: ONE }], undefined, QUICK), invalid);
  throws(() => cache.putMany("a", "m", [], 0, QUICK), invalid);
  throws(() => cache.swap("a", wrong, ONE, undefined, QUICK), invalid);
  throws(() => cache.delete("a", wrong, undefined, QUICK), invalid);
  throws(() => cache.getMany("a", "", ["k"], QUICK), invalid);
  throws(() => cache.deleteMany("a", "m", [""], QUICK), invalid);
  throws(() => cache.touch("a", "m", [""], QUICK), invalid);
  throws(() => cache.increment("a", AT, { by: NaN }, QUICK), invalid);
  throws(() => cache.expire("a", AT, NaN, QUICK), invalid);
  throws(() => cache.scan("a", "m", { cursor: "x" }, QUICK), invalid);
  throws(() => cache.drop("a", "", QUICK), invalid);
});

Deno.test("answers that take long are counted when they come", async () => {
  const entry = { value: ONE, version: "1", expiresAt: undefined };
  const driver = new Proxy(memory(), {
    get(target, name) {
      if (name === "get") return (_: string, { key }: CacheAddress) => Promise.resolve(key === "k" ? entry : undefined);
      if (name === "getMany") return () => Promise.resolve([entry, undefined, entry]);
      if (name === "held") return () => undefined;
      return Reflect.get(target, name)?.bind(target);
    },
  });
  const cache = serviceOf(RULES, driver);
  const answer = cache.get("a", AT, REQUEST);
  deepEqual(cache.statistics(), { hits: 0, misses: 0, near: undefined });
  equal(await answer, entry);
  equal(await cache.get("a", { map: "m", key: "other" }, REQUEST), undefined);
  await cache.getMany("a", "m", ["1", "2", "3"], REQUEST);
  const { hits, misses } = cache.statistics();
  deepEqual([hits, misses], [3, 2]);
});

Deno.test("it tells what is held, at once where that is known", () => {
  const cache = serviceOf();
  cache.put("a", AT, ONE, {}, REQUEST);
  const { entries, bytes, evictions } = cache.holdings() as CacheHoldings;
  deepEqual([entries, evictions], [1, 0]);
  ok(bytes > 0);
});

Deno.test("a limit of a page is a number of its own, and never more than the namespace's", async () => {
  const cache = serviceOf();
  const entries = Array.from({ length: 30 }, (_, i) => ({ key: `k${i}`, value: ONE }));
  cache.putMany("a", "m", entries, undefined, REQUEST);
  const sizeOf = async (limit?: number) =>
    (await cache.scan("a", "m", limit === undefined ? {} : { limit }, REQUEST)).keys.length;
  deepEqual([await sizeOf(), await sizeOf(3), await sizeOf(1_000)], [10, 3, 10]);
});

const code = (expected: string) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, expected);
  ok(Array.isArray(error.extra.details) || expected !== "INVALID_REQUEST", "a field is named");
  return true;
};
