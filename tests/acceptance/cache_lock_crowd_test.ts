import { deepEqual, equal, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import { CROWD, LockCrowd, meanwhile } from "../support/lock_crowd.ts";
import { gatewaySuite } from "../support/suite.ts";

/** Callers of one namespace that may wait for locks where nobody set another limit. */
const DEFAULT = 1_000;
const suite = gatewaySuite({ config: { log: { level: "info" } } });
const { test } = suite;

async function held() {
  const owner = await newOwner(suite.gateway);
  const cache = new CacheCaller(suite.gateway, { key: owner.apiKey });
  const call = (operation: string, more: Record<string, string>) =>
    cache.call(operation, { dmap: "m", key: "k", ...more });
  const { gateway: { url } } = suite;
  return {
    owner,
    cache,
    call,
    crowd: new LockCrowd({ url, key: owner.apiKey, dmap: "m", name: "k" }),
    token: (await call("lock", { lease: "20s" })).expect(200).string("token"),
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

test(`${CROWD} wait for a lock whose holder dies: each gets it once, alone, in turn`, async () => {
  await using lock = await held();
  using crowd = lock.crowd;
  const { key } = await suite.gateway.makeKey("--operator");
  const path = `/v1/namespaces/${lock.owner.namespace}/limits`;
  const limits = { cache: { lock_waiters: CROWD } };
  (await suite.gateway.call("PATCH", path, { key, body: limits })).expect(200);
  const contended = awaitedLater(crowd.contend(CROWD, true));
  await meanwhile("all of them wait", async () => {
    (await lock.call("renew", { lease: "20s", token: lock.token })).expect(200);
    // Whoever asks so waits for a moment, too, if there is room.
    return (await lock.call("lock", { lease: "20s", wait: "1ms" })).status === 429;
  });
  equal(crowd.numbers.length, 0, "nobody has it but its holder");
  await lock.cache.put("m", "other", "served");
  equal(await lock.cache.value("m", "other"), "served");
  // From here on its holder says no more.
  (await lock.call("renew", { lease: "1s", token: lock.token })).expect(200);
  await contended;
  deepEqual(crowd.odd, []);
  deepEqual(crowd.statuses, { 200: CROWD });
  equal(crowd.numbers.length, CROWD);
  ok(crowd.numbers.every((number, i) => i === 0 || number > crowd.numbers[i - 1]!), "numbers grow");
  equal((await lock.call("unlock", { token: lock.token })).expect(409).get("code"), "LOCK_LOST");
});

test(
  `${CROWD} want a lock where ${DEFAULT} may wait: the others are told at once, and everybody else is served`,
  async () => {
    await using lock = await held();
    await using neighbour = await newOwner(suite.gateway);
    using crowd = lock.crowd;
    const other = new CacheCaller(suite.gateway, { key: neighbour.apiKey });
    const contended = awaitedLater(crowd.contend(CROWD, false));
    let served = 0;
    await meanwhile("all for whom there is no room are told", async () => {
      const { token } = (await other.call("lock", { dmap: "m", key: "k", lease: "1m", wait: "1m" })).expect(200).body;
      (await other.call("unlock", { dmap: "m", key: "k", token })).expect(200);
      (await lock.cache.call("lock", { dmap: "m", key: `free ${served}`, lease: "1m" })).expect(200);
      await lock.cache.put("m", "k", served);
      equal(await lock.cache.value("m", "k"), served++);
      (await lock.call("renew", { lease: "20s", token: lock.token })).expect(200);
      return crowd.statuses[429] === CROWD - DEFAULT;
    });
    ok(served > 0);
    equal(
      (await lock.call("lock", { lease: "1m" })).expect(409).get("code"),
      "LOCKED",
      "who does not wait is no waiter",
    );
    (await lock.call("unlock", { token: lock.token })).expect(200);
    await contended;
    deepEqual(crowd.odd, []);
    deepEqual(crowd.statuses, { 200: DEFAULT, 429: CROWD - DEFAULT });
    ok(crowd.numbers.every((number, i) => i === 0 || number > crowd.numbers[i - 1]!), "numbers grow");
  },
  { namespaces: 2 },
);
