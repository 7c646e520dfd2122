import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../src/contracts/errors.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { json, MAP, NAMESPACE, onEveryCache, REQUEST } from "./cache_drivers.ts";
import { is } from "./sql_databases.ts";

const LONG = 600_000;

onEveryCache({
  "a lock is held by one until it is freed": async (subject) => {
    const before = subject.clock.now();
    const { token, fencing, expiresAt } = await subject.lock("a", { lease: LONG });
    match(token, /^[0-9a-f]{32}$/);
    ok(Number.isSafeInteger(fencing) && fencing > 0);
    ok(expiresAt >= before + LONG && expiresAt <= subject.clock.now() + LONG);
    await rejects(subject.lock("a", { lease: LONG }), is("LOCKED"));
    await rejects(subject.during(subject.lock("a", { lease: LONG, wait: 50 })), is("LOCKED"));
    await subject.lock("b", { lease: LONG });
    await subject.unlock("a", token);
    const next = await subject.lock("a", { lease: LONG });
    notEqual(next.token, token);
    ok(next.fencing > fencing);
  },

  "a lock is free again when its lease is over, and who had it has lost it": async (subject) => {
    const first = await subject.lock("a", { lease: 300 });
    const second = await subject.during(subject.lock("a", { lease: LONG, wait: LONG }));
    ok(subject.clock.now() >= first.expiresAt - 1, "not before");
    ok(second.fencing > first.fencing);
    await rejects(subject.unlock("a", first.token), is("LOCK_LOST"));
    await rejects(subject.renew("a", first.token, LONG), is("LOCK_LOST"));
    await subject.unlock("a", second.token);
  },

  "a lock is held for longer by whoever has it": async (subject) => {
    const { token, expiresAt } = await subject.lock("a", { lease: 400 });
    const renewed = await subject.renew("a", token, LONG);
    ok(renewed.expiresAt > expiresAt);
    await subject.until(expiresAt + 100);
    await rejects(subject.lock("a", { lease: LONG }), is("LOCKED"));
    const shorter = await subject.renew("a", token, 300);
    ok(shorter.expiresAt < renewed.expiresAt);
    await subject.during(subject.lock("a", { lease: LONG, wait: LONG }));
    await rejects(subject.renew("a", token, LONG), is("LOCK_LOST"));
  },

  "only the token frees a lock, once": async (subject) => {
    const { token } = await subject.lock("a", { lease: LONG });
    const wrong = token.replace(/^./, (digit) => digit === "0" ? "1" : "0");
    await rejects(subject.unlock("a", wrong), is("LOCK_LOST"));
    await rejects(subject.renew("a", wrong, LONG), is("LOCK_LOST"));
    await rejects(subject.unlock("b", token), is("LOCK_LOST"));
    for (const none of ["", token.toUpperCase() + "0", "x".repeat(32), `${token}0`, token.slice(1)]) {
      await rejects(subject.unlock("a", none), is("INVALID_REQUEST", "token: must be the 32 hexadecimal digits"));
      await rejects(subject.renew("a", none, LONG), is("INVALID_REQUEST", "token"));
    }
    await rejects(subject.lock("a", { lease: LONG }), is("LOCKED"));
    await subject.unlock("a", token);
    await rejects(subject.unlock("a", token), is("LOCK_LOST"));
  },

  "a lock and an entry of one name are two things": async (subject) => {
    await subject.put("a", json("entry"));
    const { token } = await subject.lock("a", { lease: LONG });
    equal(await subject.json("a"), "entry");
    await subject.put("a", json("other"));
    equal(await subject.increment("b"), 1);
    await subject.lock("b", { lease: LONG });
    deepEqual((await subject.keys()).toSorted(), ["a", "b"]);
    await subject.cache.drop(NAMESPACE, MAP, REQUEST);
    deepEqual(await subject.cache.maps(NAMESPACE, REQUEST), []);
    await rejects(subject.lock("a", { lease: LONG }), is("LOCKED"));
    await subject.unlock("a", token);
    equal(await subject.get("a"), undefined);
  },

  "locks of other namespaces, maps and keys are other locks": async (subject) => {
    const places = [["a", "b", "c"], ["a", "bc", ""], ["ab", "c", "c"], ["a", "b", "cc"], ["a", "1:b", "c"]] as const;
    const fences = [];
    for (const [namespace, map, key] of places) {
      fences.push((await subject.cache.lock(namespace, { map, key: `k${key}` }, { lease: LONG }, REQUEST)).fencing);
    }
    equal(fences.length, places.length);
  },

  "times of a lock that are none are refused": async (subject) => {
    for (const lease of [0, -1, NaN, Infinity, 1, 99]) {
      await rejects(subject.lock("a", { lease }), is("INVALID_REQUEST", "lease"));
    }
    for (const wait of [-1, NaN, Infinity]) {
      await rejects(subject.lock("a", { lease: LONG, wait }), is("INVALID_REQUEST", "wait"));
    }
    const { token } = await subject.lock("a", { lease: LONG, wait: 0 });
    for (const lease of [0, 1, 99]) await rejects(subject.renew("a", token, lease), is("INVALID_REQUEST", "lease"));
  },

  "a caller who leaves while waiting takes nothing along": async (subject) => {
    const { token } = await subject.lock("a", { lease: LONG });
    const leaving = new AbortController();
    const waiting = subject.lock("a", { lease: LONG, wait: LONG }, { ...REQUEST, signal: leaving.signal });
    const behind = awaitedLater(subject.lock("a", { lease: LONG, wait: LONG }));
    leaving.abort(new Error("gone"));
    await rejects(waiting, /gone/);
    await subject.unlock("a", token);
    const next = await subject.during(behind);
    await subject.unlock("a", next.token);
  },

  "many contend for a lock whose holder dies: each has it once, in turn, nobody beside another": async (subject) => {
    const { fencing } = await subject.lock("a", { lease: 500 });
    let holders = 0, last = fencing;
    const order: number[] = [];
    const contend = async (i: number) => {
      const lease = await subject.lock("a", { lease: LONG, wait: LONG });
      equal(++holders, 1);
      ok(lease.fencing > last, `${lease.fencing} after ${last}`);
      last = lease.fencing;
      order.push(i);
      await Promise.resolve();
      holders--;
      await subject.unlock("a", lease.token);
    };
    const all = Array.from({ length: subject.contenders }, (_, i) => contend(i));
    await subject.during(Promise.all(all));
    deepEqual(order, Array.from({ length: subject.contenders }, (_, i) => i));
  },

  "of those who do not wait one has the lock": async (subject) => {
    const tries = await Promise.allSettled(Array.from({ length: 50 }, () => subject.lock("a", { lease: LONG })));
    const refused = tries.flatMap((result) => result.status === "rejected" ? [result.reason] : []);
    equal(refused.length, 49);
    ok(refused.every((error) => error instanceof GatewayError && error.code === "LOCKED"));
  },
});
