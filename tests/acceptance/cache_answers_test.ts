import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;
const cacheOf = ({ apiKey: key }: Owner) => new CacheCaller(suite.gateway, { key });

test("every answer to a POST is JSON and says so, a refusal too", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const at = { dmap: "m", key: "k" };
  const answers = async (operation: string, body: unknown, status: number) => {
    const answer = (await cache.call(operation, body)).expect(status);
    equal(answer.headers.get("content-type"), "application/json", `${operation} ${status}`);
    equal(typeof answer.body, "object");
    return answer;
  };
  await answers("put", { ...at, value: "<script>" }, 200);
  await answers("put", { ...at, value: 1, nx: true }, 412);
  await answers("put", { ...at, value: 1, versioned: true }, 200);
  await answers("get", at, 200);
  await answers("get", { ...at, key: "none" }, 404);
  await answers("get", { ...at, key: 5 }, 400);
  await answers("mget", { dmap: "m", keys: ["k", "none"] }, 200);
  await answers("mput", { dmap: "m", entries: [{ key: "a", value: "b" }] }, 200);
  await answers("scan", { dmap: "m" }, 200);
  await answers("incr", at, 200);
  await answers("incr", { ...at, key: "a" }, 409);
  await answers("expire", { ...at, ttl: "1h" }, 200);
  await answers("ttl", at, 200);
  await answers("touch", { dmap: "m", keys: ["k"] }, 200);
  await answers("getset", { ...at, value: 1 }, 200);
  const token = (await answers("lock", { ...at, lease: "1m" }, 200)).string("token");
  await answers("lock", { ...at, lease: "1m" }, 409);
  await answers("renew", { ...at, lease: "1m", token }, 200);
  await answers("unlock", { ...at, token }, 200);
  await answers("mdelete", { dmap: "m", keys: ["a"] }, 200);
  await answers("delete", at, 200);
});

test("values that are together more than one answer holds are refused, and fewer of them are given", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  await cache.put("m", "k", "x".repeat(511_000));
  const mget = (times: number) => cache.call("mget", { dmap: "m", keys: Array(times).fill("k") });
  // 64 MiB have room for 131 of them.
  const answer = (await mget(132)).expect(413);
  equal(answer.get("code"), "RESULT_TOO_LARGE");
  match(answer.string("error"), /67108864 characters; ask for fewer/);
  ok(answer.text.length < 2_000);
  equal((await mget(3)).expect(200).list("results").length, 3);
});

test("while a pattern that is slow on every key is looked for, others are answered", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  let seed = 1;
  const random = () => (seed = seed * 48_271 % 2_147_483_647) % 2 === 0 ? "a" : "b";
  const keys = Array.from({ length: 200 }, () => Array.from({ length: 255 }, random).join(""));
  const entries = keys.map((key) => ({ key, value: 1 }));
  (await cache.call("mput", { dmap: "m", entries })).expect(200);
  await cache.put("other", "k", 1);
  let ended = false;
  const scan = awaitedLater(
    cache.call("scan", { dmap: "m", match: "[ab]{0,250}a[ab]{0,250}[cd]" }).finally(() => ended = true),
  );
  for (let i = 0; i < 5; i++) {
    equal(await cache.value("other", "k"), 1);
    equal((await suite.gateway.call("GET", "/health")).status, 200);
  }
  equal(ended, false, "they did not wait for its end");
  deepEqual((await scan).expect(200).get("keys"), []);
});
