import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type CacheMap, createCache, createClient, OramaError } from "../../src/client/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import type { Client } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

const mapOf = ({ url }: Client, apiKey: string, attempts = 3): CacheMap<unknown> =>
  createCache(createClient({ url, apiKey, retry: { attempts, firstPause: 10 } })).map("m");

/** A key of the owner's that can be taken back. */
async function keyOf({ accessToken: token }: Owner, scopes: readonly string[]) {
  const body = { name: "limited", scopes };
  const made = (await suite.gateway.call("POST", "/v1/auth/keys", { token, body })).expect(201);
  const revoke = async () => {
    (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token })).expect(200);
  };
  return { key: made.string("api_key"), revoke };
}

/** The client's error that comes of it. */
async function errorOf(work: Promise<unknown>): Promise<OramaError> {
  const error = await work.then(() => undefined, (error) => error);
  ok(error instanceof OramaError, String(error));
  return error;
}

/** Why a signal fired. */
async function reasonOf(signal: AbortSignal): Promise<OramaError> {
  await until("the signal fires", () => signal.aborted);
  ok(signal.reason instanceof OramaError);
  return signal.reason;
}

test("work whose key is revoked is told when its lease is over, and why; every call is told at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, revoke } = await keyOf(owner, ["cache:read", "cache:write"]);
  const map = mapOf(suite.gateway, key);
  await map.put("k", 1);
  const working = map.withLock("k", { lease: 2_000 }, async ({ signal }) => {
    await revoke();
    return await reasonOf(signal);
  });
  const loss = await errorOf(working);
  deepEqual([loss.code, (loss.cause as OramaError).status], ["LOCK_LOST", 401]);
  const works = [map.get("k"), map.put("k", 2), map.delete("k"), map.getBytes("k"), map.lock("k", { lease: 1e3 })];
  // All are waited for at once: one that is refused before its turn would be nobody's.
  for (const { status } of await Promise.all(works.map((work) => errorOf(work)))) equal(status, 401);
  const other = mapOf(suite.gateway, owner.apiKey);
  equal(await other.get("k"), 1);
  await other.withLock("k", { wait: "20s" }, () => {});
});

test("a key that may only read is refused its writes, one that may only write its reads", async () => {
  await using owner = await newOwner(suite.gateway);
  const reader = mapOf(suite.gateway, (await keyOf(owner, ["cache:read"])).key);
  const writer = mapOf(suite.gateway, (await keyOf(owner, ["cache:write"])).key);
  await writer.put("k", 1);
  deepEqual([await reader.get("k"), await reader.touch(["k"])], [1, 1]);
  const refused = [
    writer.get("k"),
    reader.put("k", 2),
    reader.putBytes("k", new Uint8Array()),
    reader.drop({ repeat: true }),
    reader.withLock("k", {}, () => ok(false, "it began")),
  ];
  for (const { code } of await Promise.all(refused.map((work) => errorOf(work)))) equal(code, "INSUFFICIENT_SCOPE");
});

test("at the limit a read waits as long as it is told, and a write is told so", async () => {
  const limits = { key: { rate: 1, burst: 6 }, address: { rate: 0 }, credentials: { rate: 0 } };
  await using gateway = await TestGateway.start({ driver: "sqlite", config: { limits } });
  const map = mapOf(gateway, await gateway.defaultKey());
  await map.put("k", 1);
  const writes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => map.put("k", i)));
  const refused = writes.flatMap((result) => result.status === "rejected" ? [result.reason as OramaError] : []);
  ok(refused.length >= 5, String(refused.length));
  ok(refused.every(({ code, status, retryAfter }) => code === "RATE_LIMITED" && status === 429 && retryAfter! >= 1));
  ok(typeof await map.get("k") === "number");
});

test("a gateway that is gone loses its locks, and what was on its way is unknown or made again", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite" });
  const map = mapOf(gateway, await gateway.defaultKey());
  await map.put("k", 1);
  const waiting: Promise<unknown>[] = [];
  const working = map.withLock("k", { lease: 2_500 }, async ({ signal }) => {
    waiting.push(errorOf(map.lock("k", { lease: "1m", wait: "1m" })));
    gateway.signal("SIGKILL");
    return await reasonOf(signal);
  });
  const loss = await errorOf(working);
  deepEqual([loss.code, loss.status, (loss.cause as OramaError).code], ["LOCK_LOST", 0, "OUTCOME_UNKNOWN"]);
  equal(((await waiting[0]) as OramaError).code, "OUTCOME_UNKNOWN");
  equal((await errorOf(map.get("k"))).code, "NETWORK_ERROR");
  equal((await errorOf(map.getBytes("k"))).code, "NETWORK_ERROR");
  equal((await errorOf(map.put("k", 2, { repeat: true }))).code, "OUTCOME_UNKNOWN");
  await rejects(map.withLock("k", {}, () => ok(false, "it began")), { code: "OUTCOME_UNKNOWN" });
  await gateway.exitCode();
});

test("as many may wait for a lock as the namespace's limit says, and one more is told so", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key } = await suite.gateway.makeKey("--operator");
  const path = `/v1/namespaces/${owner.namespace}/limits`;
  (await suite.gateway.call("PATCH", path, { key, body: { cache: { lock_waiters: 1 } } })).expect(200);
  const map = mapOf(suite.gateway, owner.apiKey, 0);
  const held = await map.lock("k", { lease: "1m" });
  const [first, second] = [1, 2].map(() => map.lock("k", { lease: "1m", wait: "1m" }));
  const refused = await Promise.race([errorOf(first!), errorOf(second!)]);
  deepEqual([refused.code, refused.status], ["TOO_MANY_WAITERS", 429]);
  await map.unlock("k", held.token);
  const { token } = await Promise.any([first!, second!]);
  await map.unlock("k", token);
});
