import { deepEqual, equal, match } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenCache } from "../support/test_cache.ts";

const suite = gatewaySuite();
const { test } = suite;
const pathOf = (namespace: string) => `/v1/namespaces/${namespace}/settings`;

test("an owner says which maps have a near cache and for how long, reads what holds, and gives it back", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const set = async (near: unknown) =>
    (await suite.gateway.call("PATCH", pathOf(namespace), { token, body: { cache: { near } } })).expect(200);
  const wanted = [
    { dmap: "users", ttl: "1s" },
    { dmap: "__proto__", ttl: "10ms" },
    { dmap: "é".repeat(127), ttl: 5_000 },
    { dmap: "a b\u0000/", ttl: "0.5s" },
  ];
  const near = [1_000, 10, 5_000, 500].map((ttl, i) => ({ dmap: wanted[i]!.dmap, ttl }));
  const first = await set(wanted);
  deepEqual(first.get("settings.cache"), { near });
  // The gateway's own memory is as near as it gets.
  deepEqual(first.get("effective.cache"), { near: chosenCache() === "olric" ? near : [] });
  deepEqual((await suite.gateway.call("GET", pathOf(namespace), { token })).expect(200).body, first.body);
  equal((await set(near)).get("version"), 1, "the same as it was answered");
  const cache = new CacheCaller(suite.gateway, { key: owner.apiKey });
  for (const value of [1, 2]) {
    await cache.put("users", "a", value);
    for (let i = 0; i < 3; i++) equal(await cache.value("users", "a"), value);
  }
  const many = Array.from({ length: 32 }, (_, i) => ({ dmap: `m${i}`, ttl: 10 }));
  deepEqual((await set(many)).get("settings.cache.near"), many, "the list as a whole");
  deepEqual((await set([])).get("settings.cache"), { near: [] });
  deepEqual((await set(null)).get("settings.cache"), { near: null });
  deepEqual((await suite.gateway.call("GET", pathOf(namespace), { token })).get("effective.cache"), { near: [] });
});

test("what is wrong with a near cache is told by its field, and nothing of it is set", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  const change = (body: unknown) => suite.gateway.call("PATCH", pathOf(namespace), { token, body });
  const good = { dmap: "users", ttl: "1s" };
  const ttls = [9, 0, -1, 10.5, 1e300, 9_007_199_254_740_993, 5_001, "5001ms", "5.1s", "1h", "9ms", "9.4ms", "0s"];
  const texts = ["", " ", "10", "1 s", "1S", "-1s", "+1s", "1d", "1e3ms", "Infinity", "1s".repeat(50), "١s"];
  const names = ["", " ", "\t", "x".repeat(256), "é".repeat(128), "\ud800", 5, true, null, [], {}];
  const wrong: readonly (readonly [unknown, string])[] = [
    ...[...ttls, ...texts, null, true, [], {}].map((ttl) => [[good, { ...good, dmap: "m", ttl }], "1.ttl"] as const),
    ...names.map((dmap) => [[{ ...good, dmap }], "0.dmap"] as const),
    ...[5, "users", { users: "1s" }, true].map((near) => [near, ""] as const),
    ...[null, 5, "users", [good]].map((one) => [[good, one], "1"] as const),
    [[{ dmap: "users" }], "0.ttl"],
    [[{ ttl: "1s" }], "0.dmap"],
    [[{ ...good, life: "1s" }], "0.life"],
    [[good, { dmap: "m", ttl: 10 }, { ...good, ttl: 20 }], "2.dmap"],
    [Array.from({ length: 33 }, (_, i) => ({ dmap: `m${i}`, ttl: 10 })), ""],
    [Array.from({ length: 20_000 }, (_, i) => ({ dmap: `m${i}`, ttl: 10 })), ""],
  ];
  for (const [near, field] of wrong) {
    const what = JSON.stringify(near).slice(0, 200);
    const answer = await change({ cache: { near } });
    equal(answer.status, 400, `${what}: ${answer.text}`);
    const expected = field === "" ? "cache.near" : `cache.near.${field}`;
    equal(answer.get("details.0.field"), expected, `${what}: ${answer.text}`);
    equal(answer.text.length < 5_000, true, what);
  }
  const beyond = (await change({ cache: { near: [{ ...good, ttl: "6s" }] } })).expect(400);
  match(beyond.string("error"), /^cache\.near\.0\.ttl: at most 5000 ms, /);
  const misspelt = (await change({ cache: { near: [{ dmap: "m", tll: "1s" }] } })).expect(400);
  const problems = Object.fromEntries(misspelt.list("details").map(({ field, problem }) => [field, problem]));
  match(String(problems["cache.near.0.tll"]), /did you mean ttl\?/);
  for (const cache of [null, 5, [], "near"]) {
    equal((await change({ cache })).expect(400).get("details.0.field"), "cache");
  }
  equal((await suite.gateway.call("GET", pathOf(namespace), { token })).get("version"), 0);
});
