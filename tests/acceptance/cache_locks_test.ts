import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, uniqueName } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import type { Answer } from "../support/client.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

async function locksOf() {
  const key = await suite.gateway.defaultKey();
  const cache = new CacheCaller(suite.gateway, { key }), dmap = uniqueName("map");
  const call = (operation: string, more: Record<string, unknown>) => cache.call(operation, { dmap, key: "k", ...more });
  return {
    cache,
    dmap,
    key,
    lock: (more: Record<string, unknown> = {}) => call("lock", { lease: "1m", ...more }),
    renew: (token: string, lease: unknown = "1m", more: Record<string, unknown> = {}) =>
      call("renew", { token, lease, ...more }),
    unlock: (token: string, more: Record<string, unknown> = {}) => call("unlock", { token, ...more }),
  };
}

/** One lock of a namespace of its own, and how many wait for it: found out by whether there is room for one more. */
async function lineOf() {
  const owner = await newOwner(suite.gateway);
  const { key } = await suite.gateway.makeKey("--operator");
  const cache = new CacheCaller(suite.gateway, { key: owner.apiKey });
  const allow = async (lock_waiters: number) => {
    const path = `/v1/namespaces/${owner.namespace}/limits`;
    (await suite.gateway.call("PATCH", path, { key, body: { cache: { lock_waiters } } })).expect(200);
  };
  const lock = (wait: string, name = "k") => cache.call("lock", { dmap: "m", key: name, lease: "10m", wait });
  // Whoever asks so waits for a moment, too, if there is room.
  const isFull = async () => (await lock("1ms")).status === 429;
  return {
    key: owner.apiKey,
    lock,
    allow,
    /** Waits for the lock, and asks again where there was no room because somebody asked whether there is. */
    async joined(): Promise<Answer> {
      for (;;) {
        const answer = await lock("1m");
        if (answer.status !== 429) return answer.expect(200);
      }
    },
    unlock: (token: string) => cache.call("unlock", { dmap: "m", key: "k", token }),
    /** Waits until as many wait as may. */
    full: () => until("as many wait as may", isFull),
    /** Waits until fewer do. */
    notFull: () => until("fewer wait than may", async () => !await isFull()),
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

const STRANGER = "0123456789abcdef0123456789abcdef";

test("a lock has one holder, who alone renews and frees it", async () => {
  const { dmap, lock, renew, unlock } = await locksOf();
  const held = (await lock()).expect(200);
  match(held.string("token"), /^[0-9a-f]{32}$/);
  ok(Number.isSafeInteger(held.get("fencing")));
  ok(Math.abs(Date.parse(held.string("expires_at")) - Date.now() - 60_000) < 30_000);
  equal((await lock()).expect(409).get("code"), "LOCKED");
  for (const other of [await renew(STRANGER), await unlock(STRANGER)]) {
    equal(other.expect(409).get("code"), "LOCK_LOST");
  }
  const token = held.string("token");
  ok(Date.parse((await renew(token, "2m")).expect(200).string("expires_at")) > Date.now() + 90_000);
  deepEqual((await unlock(token)).expect(200).body, { status: "ok", key: "k", dmap });
  for (const late of [await renew(token), await unlock(token)]) equal(late.expect(409).get("code"), "LOCK_LOST");
  (await lock()).expect(200);
});

test("each holder's fencing number is larger than those before", async () => {
  const { lock, unlock } = await locksOf();
  const numbers: number[] = [];
  for (let i = 0; i < 5; i++) {
    const held = (await lock()).expect(200);
    numbers.push(Number(held.get("fencing")));
    if (i < 4) (await unlock(held.string("token"))).expect(200);
  }
  deepEqual(numbers, [...new Set(numbers)].toSorted((a, b) => a - b));
});

test("a lock whose lease is over is another one's, and its holder learns so", async () => {
  const { lock, renew, unlock } = await locksOf();
  const first = (await lock({ lease: "300ms" })).expect(200);
  const second = (await lock({ wait: "20s" })).expect(200);
  ok(Date.now() >= Date.parse(first.string("expires_at")) - 50, "not before it was over");
  ok(Number(second.get("fencing")) > Number(first.get("fencing")));
  for (const late of [await renew(first.string("token")), await unlock(first.string("token"))]) {
    equal(late.expect(409).get("code"), "LOCK_LOST");
  }
  (await renew(second.string("token"))).expect(200);
});

test("those who wait get the lock in the order in which they came", async () => {
  await using line = await lineOf();
  let token = (await line.lock("0")).expect(200).string("token");
  const order: number[] = [];
  const waiting: Promise<Answer>[] = [];
  for (let i = 0; i < 4; i++) {
    await line.allow(i + 1);
    waiting.push(
      awaitedLater(
        line.joined().then((answer) => {
          order.push(i);
          return answer;
        }),
      ),
    );
    await line.full();
  }
  for (const held of waiting) {
    (await line.unlock(token)).expect(200);
    token = (await held).string("token");
  }
  deepEqual(order, [0, 1, 2, 3]);
});

test("who waits in vain is told so, and does not get it later", async () => {
  const { lock, unlock } = await locksOf();
  const held = (await lock()).expect(200);
  equal((await lock({ wait: "150ms" })).expect(409).get("code"), "LOCKED");
  (await unlock(held.string("token"))).expect(200);
  (await lock()).expect(200);
});

test("who leaves while waiting leaves the line, and does not take the lock with them", async () => {
  await using line = await lineOf();
  const token = (await line.lock("0")).expect(200).string("token");
  const leaving = new AbortController();
  const request = {
    method: "POST",
    headers: { "x-api-key": line.key },
    body: JSON.stringify({ dmap: "m", key: "k", lease: "10m", wait: "10m" }),
    signal: leaving.signal,
  };
  const ask = async (): Promise<void> => {
    const response = await fetch(`${suite.gateway.url}/v1/cache/lock`, request);
    await response.body?.cancel();
    equal(response.status, 429, "there was no room, because somebody asked whether there is");
    await ask();
  };
  await line.allow(1);
  const gone = ask().catch((error: DOMException) => error.name);
  await line.full();
  leaving.abort();
  equal(await gone, "AbortError");
  await line.notFull();
  (await line.unlock(token)).expect(200);
  (await line.lock("0")).expect(200);
});

test("as many may wait as the namespace's limit says; one more is 429", async () => {
  await using line = await lineOf();
  const token = (await line.lock("0")).expect(200).string("token");
  await line.allow(1);
  const waiting = awaitedLater(line.joined());
  await line.full();
  const refused = (await line.lock("1m")).expect(429);
  equal(refused.get("code"), "TOO_MANY_WAITERS");
  ok(refused.headers.has("retry-after"));
  equal((await line.lock("0")).expect(409).get("code"), "LOCKED", "who does not wait is no waiter");
  (await line.lock("1m", "another")).expect(200);
  (await line.unlock(token)).expect(200);
  await waiting;
});

test("a lock is no entry, and an entry of its name no lock", async () => {
  const { cache, dmap, lock, unlock } = await locksOf();
  const held = (await lock()).expect(200);
  equal((await cache.get(dmap, "k")).status, 404);
  deepEqual(await cache.keys(dmap), []);
  await cache.put(dmap, "k", "mine");
  (await cache.raw("DELETE", [dmap])).expect(200);
  equal((await lock()).status, 409, "to drop the map frees nothing");
  equal((await cache.call("delete", { dmap, key: "k" })).status, 404);
  (await unlock(held.string("token"))).expect(200);
});

test("what is no lease, no token or no wait is refused by its name", async () => {
  const { lock, renew, unlock } = await locksOf();
  for (const lease of [undefined, null, 5, "", "0", "0s", "-1s", "1", "1ms", "99ms", "soon", "99999999h", {}, ["1s"]]) {
    equal((await lock({ lease })).expect(400).get("details.0.field"), "lease", JSON.stringify(lease));
    equal((await renew(STRANGER, lease ?? null)).expect(400).get("details.0.field"), "lease", JSON.stringify(lease));
  }
  for (const wait of [5, "", "-1s", "1", "soon", "99999999h", {}]) {
    equal((await lock({ wait })).expect(400).get("details.0.field"), "wait", JSON.stringify(wait));
  }
  for (const token of ["", "x", STRANGER.toUpperCase(), `${STRANGER}0`, `${STRANGER}\n`, null, 7, [STRANGER]]) {
    equal((await unlock(STRANGER, { token })).expect(400).get("details.0.field"), "token", JSON.stringify(token));
  }
  (await lock({ key: "x".repeat(256) })).expect(400);
  (await lock({ dmap: " " })).expect(400);
});
