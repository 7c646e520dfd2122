import { equal, rejects } from "node:assert/strict";
import { type Identified, PrincipalCache } from "../../../services/auth/principal_cache.ts";
import { SECOND, TestClock } from "../control_plane/support/clock.ts";
import { principal } from "./support/node.ts";

const identified = (parts: Partial<Identified> = {}): Identified => ({
  principal: principal(),
  bonds: [],
  ...parts,
});
const always = () => true;

function cacheOf({ size = 100, life = 60 * SECOND } = {}) {
  const clock = new TestClock();
  const cache = new PrincipalCache({ size, life, now: clock.now });
  let asked = 0;
  const lookUp = (found: Identified | undefined) => () => {
    asked++;
    return Promise.resolve(found);
  };
  return { cache, clock, lookUp, asked: () => asked };
}

Deno.test("a credential that was looked up is known without a promise until its life is over", async () => {
  const { cache, clock, lookUp } = cacheOf();
  const found = identified();
  equal(cache.peek("k"), undefined);
  equal(await cache.resolve("k", lookUp(found), always), found.principal);
  equal(cache.peek("k"), found.principal);
  clock.advance(60 * SECOND - 1);
  equal(cache.peek("k"), found.principal);
  clock.advance(1);
  equal(cache.peek("k"), undefined);
});

Deno.test("look-ups of one credential at the same time are one, those of two are two", async () => {
  const { cache, lookUp, asked } = cacheOf();
  const found = identified();
  const all = await Promise.all(["a", "a", "b", "a"].map((key) => cache.resolve(key, lookUp(found), always)));
  equal(all.every((one) => one === found.principal), true);
  equal(asked(), 2);
});

Deno.test("an unknown credential is remembered for five seconds, apart from the known ones", async () => {
  const { cache, clock, lookUp } = cacheOf({ size: 2 });
  const found = identified();
  await cache.resolve("good", lookUp(found), always);
  for (let i = 0; i < 50; i++) equal(await cache.resolve(`guess ${i}`, lookUp(undefined), always), undefined);
  equal(cache.peek("guess 49"), null);
  equal(cache.peek("good"), found.principal, "guesses push no good credential out");
  clock.advance(5 * SECOND);
  equal(cache.peek("guess 49"), undefined);
});

Deno.test("a credential is dead at its own end, though its place in the cache lives on", async () => {
  const { cache, clock, lookUp, asked } = cacheOf();
  await cache.resolve("k", lookUp(identified({ principal: principal({ expiresAt: clock.time + 10 }) })), always);
  clock.advance(9);
  equal(cache.peek("k") !== null, true);
  clock.advance(1);
  equal(cache.peek("k"), null);
  equal(asked(), 1, "a dead one is not worth a look-up");
});

Deno.test("a look-up that gives what is dead already gives nothing", async () => {
  const { cache, clock, lookUp } = cacheOf();
  equal(
    await cache.resolve("k", lookUp(identified({ principal: principal({ expiresAt: clock.time }) })), always),
    undefined,
  );
});

Deno.test("the least recently used credential leaves when the cache is full", async () => {
  const { cache, lookUp } = cacheOf({ size: 2 });
  for (const key of ["a", "b"]) await cache.resolve(key, lookUp(identified()), always);
  cache.peek("a");
  await cache.resolve("c", lookUp(identified()), always);
  equal(cache.peek("b"), undefined);
  equal(cache.peek("a") === undefined || cache.peek("c") === undefined, false);
});

Deno.test("a revocation puts out each credential that hangs on it and no other", async () => {
  const { cache, lookUp } = cacheOf();
  await cache.resolve("a", lookUp(identified({ bonds: ["key:1", "namespace:shop"] })), always);
  await cache.resolve("b", lookUp(identified({ bonds: ["key:2", "namespace:shop"] })), always);
  await cache.resolve("c", lookUp(identified({ bonds: ["key:3", "namespace:other"] })), always);
  cache.evict("key:1");
  equal(cache.peek("a"), undefined);
  equal(cache.peek("b") === undefined, false);
  cache.evict("namespace:shop");
  equal(cache.peek("b"), undefined);
  equal(cache.peek("c") === undefined, false);
});

Deno.test("what was found is not kept when something was revoked during the look-up", async () => {
  const { cache, lookUp } = cacheOf();
  await cache.resolve("a", lookUp(identified()), () => false);
  equal(cache.peek("a"), undefined);
  await cache.resolve("b", lookUp(undefined), () => false);
  equal(cache.peek("b"), undefined, "a refusal may be out of date as well");
});

Deno.test("who asks after a revocation does not get what was looked up before it", async () => {
  const { cache } = cacheOf();
  let seq = 1;
  const before = Promise.withResolvers<Identified | undefined>();
  const first = cache.resolve("k", () => before.promise, () => seq === 1);
  seq = 2;
  const second = cache.resolve("k", () => Promise.resolve(undefined), () => seq === 2);
  equal(await second, undefined);
  equal(cache.peek("k"), null);
  before.resolve(identified());
  equal(await first === undefined, false, "the request that was there before the revocation");
  equal(cache.peek("k"), null, "and its result changes nothing any more");
});

Deno.test("a look-up that fails leaves nothing behind: the next one asks again", async () => {
  const { cache, lookUp } = cacheOf();
  await rejects(cache.resolve("k", () => Promise.reject(new Error("down")), always), /down/);
  equal(cache.peek("k"), undefined);
  const found = identified();
  equal(await cache.resolve("k", lookUp(found), always), found.principal);
});

Deno.test("a credential that is unknown when it is looked up again is forgotten", async () => {
  const { cache, clock, lookUp } = cacheOf();
  await cache.resolve("k", lookUp(identified()), always);
  clock.advance(60 * SECOND);
  equal(await cache.resolve("k", lookUp(undefined), always), undefined);
  equal(cache.peek("k"), null);
});
