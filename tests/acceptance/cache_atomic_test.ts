import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { uniqueName } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

async function cacheOf(): Promise<{ readonly cache: CacheCaller; readonly map: string }> {
  return { cache: new CacheCaller(suite.gateway, { key: await suite.gateway.defaultKey() }), map: uniqueName("map") };
}

test("a condition that does not hold is 412, and changes nothing", async () => {
  const { cache, map } = await cacheOf();
  const put = (more: Record<string, unknown>, value: unknown = "new") =>
    cache.call("put", { dmap: map, key: "k", value, ...more });
  equal((await put({ xx: true })).expect(412).get("code"), "PRECONDITION_FAILED");
  equal((await put({ if_version: "1" })).expect(412).get("code"), "PRECONDITION_FAILED");
  const first = (await put({ nx: true, versioned: true }, 1)).expect(200).string("version");
  equal((await cache.get(map, "k")).get("version"), first);
  (await put({ nx: true })).expect(412);
  const second = (await put({ if_version: first }, 2)).expect(200).string("version");
  notEqual(second, first);
  (await put({ if_version: first })).expect(412);
  equal((await cache.call("delete", { dmap: map, key: "k", if_version: first })).status, 412);
  equal(await cache.value(map, "k"), 2);
  (await put({ xx: true }, 3)).expect(200);
  (await put({ if_version: second })).expect(412);
  const third = (await cache.get(map, "k")).string("version");
  (await cache.call("delete", { dmap: map, key: "k", if_version: third })).expect(200);
  equal((await cache.call("delete", { dmap: map, key: "k", if_version: third })).status, 404);
  for (const [one, two] of [["nx", "xx"], ["nx", "if_version"], ["xx", "if_version"]] as const) {
    const both = await put({ [one]: true, [two]: two === "if_version" ? "1" : true });
    equal(both.expect(400).get("details.0.field"), two);
  }
  (await put({ nx: false, xx: null, if_version: null, versioned: false })).expect(200);
});

test("of many who write on the same version, one does", async () => {
  const { cache, map } = await cacheOf();
  const version = (await cache.put(map, "k", 0, { versioned: true })).string("version");
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => cache.call("put", { dmap: map, key: "k", value: i + 1, if_version: version })),
  );
  deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array(11).fill(412)]);
  const won = answers.findIndex(({ status }) => status === 200);
  equal(await cache.value(map, "k"), won + 1);
});

test("a value is exchanged for the one before", async () => {
  const { cache, map } = await cacheOf();
  const swap = (value: unknown) => cache.call("getset", { dmap: map, key: "k", value, ttl: "1h" });
  deepEqual((await swap({ a: 1 })).expect(200).body, { key: "k", dmap: map, value: null, existed: false });
  deepEqual((await swap("b")).expect(200).body, { key: "k", dmap: map, value: { a: 1 }, existed: true });
  equal(await cache.value(map, "k"), "b");
  equal((await cache.call("getset", { dmap: map, key: "k" })).expect(400).get("error"), "value is required");
});

test("a counter counts what every caller adds", async () => {
  const { cache, map } = await cacheOf();
  const incr = (more: Record<string, unknown> = {}) => cache.call("incr", { dmap: map, key: "n", ...more });
  deepEqual((await incr()).expect(200).body, { value: 1, key: "n", dmap: map });
  equal((await incr({ by: 5 })).get("value"), 6);
  equal((await incr({ by: -7 })).get("value"), -1);
  await Promise.all(Array.from({ length: 40 }, () => incr().then((answer) => answer.expect(200))));
  equal((await incr({ by: 0 })).get("value"), 39);
  equal(await cache.value(map, "n"), 39);
  equal((await cache.call("incr", { dmap: map, key: "m", initial: 100, by: 0.5, ttl: "1h" })).get("value"), 100.5);
  ok(Number((await cache.call("ttl", { dmap: map, key: "m" })).get("ttl_ms")) > 3_000_000);
  await cache.put(map, "n", 41);
  equal((await incr()).get("value"), 42, "a number that was put is counted on");
});

test("what is no number is not counted, and stays", async () => {
  const { cache, map } = await cacheOf();
  for (const value of ["5", true, [1], { n: 1 }, ""]) {
    await cache.put(map, "n", value);
    equal(
      (await cache.call("incr", { dmap: map, key: "n" })).expect(409).get("code"),
      "WRONG_TYPE",
      JSON.stringify(value),
    );
    deepEqual(await cache.value(map, "n"), value);
  }
  await cache.put(map, "n", Number.MAX_SAFE_INTEGER);
  equal((await cache.call("incr", { dmap: map, key: "n" })).expect(409).get("code"), "WRONG_TYPE");
  equal(await cache.value(map, "n"), Number.MAX_SAFE_INTEGER);
  for (const by of ['"1"', "true", "[]", "1e400", "1e300", "1234567890123456789", "12345678901234567890"]) {
    const answer = (await cache.callRaw("incr", `{"dmap":"${map}","key":"x","by":${by}}`)).expect(400);
    equal(answer.get("details.0.field"), "by", by);
  }
  (await cache.call("incr", { dmap: map, key: "x", by: null, initial: null })).expect(200);
});
