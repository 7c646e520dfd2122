import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, uniqueName } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** A cache of its own for each test would need as many namespaces: one key, and maps that no other test uses. */
async function cacheOf(): Promise<{ readonly cache: CacheCaller; readonly map: string }> {
  return { cache: new CacheCaller(suite.gateway, { key: await suite.gateway.defaultKey() }), map: uniqueName("map") };
}

test("health is what older clients compare it with", async () => {
  const key = await suite.gateway.defaultKey();
  const answer = (await suite.gateway.call("GET", "/v1/cache/health", { key })).expect(200);
  deepEqual(answer.body, { status: "ok", service: "olric" });
  equal((await suite.gateway.call("GET", "/v1/cache/health")).status, 401);
});

test("a value is stored, read and deleted, with the answers that older clients expect", async () => {
  const { cache, map } = await cacheOf();
  const value = { name: "John", age: 30 };
  deepEqual((await cache.put(map, "user:1", value, { ttl: "5m" })).body, { status: "ok", key: "user:1", dmap: map });
  const { version, expires_at, ...rest } = (await cache.get(map, "user:1")).expect(200).body;
  deepEqual(rest, { key: "user:1", value, dmap: map });
  match(String(version), /./);
  ok(Math.abs(Date.parse(String(expires_at)) - Date.now() - 300_000) < 60_000, String(expires_at));
  deepEqual((await cache.call("delete", { dmap: map, key: "user:1" })).expect(200).body, {
    status: "ok",
    key: "user:1",
    dmap: map,
  });
  for (const operation of ["get", "delete", "ttl"]) {
    const answer = (await cache.call(operation, { dmap: map, key: "user:1" })).expect(404);
    deepEqual([answer.get("error"), answer.get("code")], ["key not found", "NOT_FOUND"], operation);
  }
});

test("members that are missing have the sentences that older clients know", async () => {
  const { cache, map } = await cacheOf();
  const cases: readonly [string, unknown, string | RegExp][] = [
    ["get", { dmap: "", key: "k" }, "dmap and key are required"],
    ["get", { dmap: map }, "dmap and key are required"],
    ["get", {}, "dmap and key are required"],
    ["delete", { dmap: " ", key: "k" }, "dmap and key are required"],
    ["put", { key: "k", value: 1 }, "dmap and key are required"],
    ["put", { dmap: map, key: "k" }, "value is required"],
    ["put", { dmap: map, key: "k", value: null }, "value is required"],
    ["put", { dmap: map, key: "k", value: 1, ttl: "soon" }, /^invalid ttl format: /],
    ["put", { dmap: map, key: "k", value: 1, ttl: 60 }, /^invalid json body/],
    ["put", { dmap: 7, key: "k", value: 1 }, /^invalid json body/],
    ["mget", { keys: ["a"] }, "dmap is required"],
    ["mget", { dmap: map }, "keys array is required and cannot be empty"],
    ["mget", { dmap: map, keys: [] }, "keys array is required and cannot be empty"],
    ["scan", {}, "dmap is required"],
  ];
  for (const [operation, body, sentence] of cases) {
    const answer = (await cache.call(operation, body)).expect(400);
    const what = `${operation} ${JSON.stringify(body)}: ${answer.text}`;
    if (typeof sentence === "string") equal(answer.get("error"), sentence, what);
    else match(answer.string("error"), sentence, what);
    ok(answer.list("details").length > 0, what);
  }
  for (const raw of ["", "{", "nonsense", '{"dmap":']) {
    match((await cache.callRaw("put", raw)).expect(400).string("error"), /^invalid json body/);
  }
});

test("any JSON comes back as it was sent, whatever it looks like", async () => {
  const { cache, map } = await cacheOf();
  const texts = [
    "0",
    "-0",
    "1.0",
    "0.1000000000000000055511151231257827",
    "9007199254740993",
    "-123456789012345678901234567890",
    "1e-400",
    "1E+2",
    "true",
    "false",
    '""',
    '"123"',
    '"true"',
    '"null"',
    '"\\u0000\\ud83d\\ude00\\/"',
    '"\\ud800"',
    '"é漢😀\u2028"',
    "[]",
    "{}",
    '{"a":{"b":[1,2,{"c":null}]},"__proto__":1,"":2}',
    '[ 1 , "two" ,\t{ "3" : 4.50 } ]',
    "[null,false]",
  ];
  for (const text of texts) {
    (await cache.callRaw("put", `{"dmap":"${map}", "value" : ${text} ,"key":"k"}`)).expect(200);
    const answer = (await cache.get(map, "k")).expect(200);
    ok(answer.text.includes(`"value":${text},`), `${text} came back as ${answer.text}`);
    const many = (await cache.call("mget", { dmap: map, keys: ["k"] })).expect(200);
    ok(many.text.includes(`"value":${text},`), `${text} came back as ${many.text}`);
  }
});

test("a number that nobody could read back is refused, and what was there stays", async () => {
  const { cache, map } = await cacheOf();
  await cache.put(map, "k", "old");
  for (const text of ["1e400", "-1e999", '{"a":[1e400]}', "9".repeat(400)]) {
    const answer = (await cache.callRaw("put", `{"dmap":"${map}","key":"k","value":${text}}`)).expect(400);
    equal(answer.get("details.0.field"), "value");
    const entries = `[{"key":"a","value":1},{"key":"k","value":${text}}]`;
    const many = (await cache.callRaw("mput", `{"dmap":"${map}","entries":${entries}}`)).expect(400);
    equal(many.get("details.0.field"), "entries.1.value");
  }
  equal(await cache.value(map, "k"), "old");
  deepEqual(await cache.keys(map), ["k"]);
});

test("several values are read in the order of their keys, those that are not there left out", async () => {
  const { cache, map } = await cacheOf();
  for (const [i, key] of ["a", "b", "c"].entries()) await cache.put(map, key, { i });
  const answer = (await cache.call("mget", { dmap: map, keys: ["c", "none", "a", "c"] })).expect(200);
  equal(answer.get("dmap"), map);
  deepEqual(answer.list("results").map(({ key, value }) => [key, value]), [["c", { i: 2 }], ["a", { i: 0 }], ["c", {
    i: 2,
  }]]);
  deepEqual((await cache.call("mget", { dmap: map, keys: ["none"] })).expect(200).body, { results: [], dmap: map });
  const all = (await cache.call("mget", { dmap: map, keys: ["a", "b", "c"] })).expect(200);
  equal(all.list("results").length, 3);
});

test("several values are stored and deleted at once", async () => {
  const { cache, map } = await cacheOf();
  const raw = `{"dmap":"${map}","ttl":"1h","entries":[{"key":"a","value":1.50},{"value":{"x":[]},"key":"b"},` +
    `{"key":"a","value":12345678901234567890}]}`;
  deepEqual((await cache.callRaw("mput", raw)).expect(200).body, { status: "ok", count: 2, dmap: map });
  ok((await cache.get(map, "a")).text.includes('"value":12345678901234567890,'), "the last one of a key stays");
  deepEqual(await cache.value(map, "b"), { x: [] });
  notEqual((await cache.get(map, "b")).get("expires_at"), undefined);
  deepEqual((await cache.call("touch", { dmap: map, keys: ["a", "b", "c", "a"] })).expect(200).body, {
    touched: 2,
    dmap: map,
  });
  const gone = (await cache.call("mdelete", { dmap: map, keys: ["a", "c", "b", "a"] })).expect(200);
  deepEqual(gone.body, { deleted: 2, dmap: map });
  deepEqual(await cache.keys(map), []);
});

test("a scan gives the keys of its map, by a pattern of RE2 under either name", async () => {
  const { cache, map } = await cacheOf();
  const none = (await cache.call("scan", { dmap: map })).expect(200);
  deepEqual(none.body, { keys: [], count: 0, dmap: map });
  for (const key of ["user-1", "user-2", "session-1", "USER-3"]) await cache.put(map, key, 1);
  await cache.put(`${map}2`, "user-9", 1);
  const scan = async (body: Record<string, unknown>) => {
    const answer = (await cache.call("scan", { dmap: map, ...body })).expect(200);
    const keys = answer.get("keys") as string[];
    deepEqual([answer.get("count"), answer.get("dmap")], [keys.length, map]);
    return keys.toSorted();
  };
  deepEqual(await scan({}), ["USER-3", "session-1", "user-1", "user-2"]);
  deepEqual(await scan({ match: "^user-" }), ["user-1", "user-2"]);
  deepEqual(await scan({ pattern: "^user-" }), ["user-1", "user-2"]);
  deepEqual(await scan({ match: "1$", pattern: "^user-" }), ["session-1", "user-1"]);
  deepEqual(await scan({ match: "(?i)^user-[[:digit:]]\\z" }), ["USER-3", "user-1", "user-2"]);
  deepEqual(await scan({ match: "none" }), []);
  deepEqual(await scan({ match: null, pattern: null }), ["USER-3", "session-1", "user-1", "user-2"]);
});

test("a scan by pages meets every key that stays, and without a limit all of them at once", async () => {
  const { cache, map } = await cacheOf();
  const keys = Array.from({ length: 1_500 }, (_, i) => `key-${i}`);
  for (let from = 0; from < keys.length; from += 500) {
    const entries = keys.slice(from, from + 500).map((key) => ({ key, value: 1 }));
    (await cache.call("mput", { dmap: map, entries })).expect(200);
  }
  const all = (await cache.call("scan", { dmap: map })).expect(200);
  deepEqual((all.get("keys") as string[]).toSorted(), keys.toSorted());
  equal(all.get("cursor"), undefined);
  const seen = new Set<string>();
  let cursor: unknown;
  let pages = 0;
  do {
    const page = (await cache.call("scan", { dmap: map, limit: 400, cursor })).expect(200);
    const found = page.get("keys") as string[];
    ok(found.length <= 400, String(found.length));
    for (const key of found) seen.add(key);
    cursor = page.get("cursor");
    // A change on the way must not hide what stays.
    if (pages++ === 0) {
      await cache.call("delete", { dmap: map, key: keys[0] });
      await cache.put(map, "new", 1);
    }
  } while (cursor !== undefined);
  ok(pages >= 4, String(pages));
  deepEqual(keys.slice(1).filter((key) => !seen.has(key)), []);
});

test("an entry ends when its time is over, and not before", async () => {
  const { cache, map } = await cacheOf();
  const begun = Date.now();
  await cache.put(map, "short", "x", { ttl: "700ms" });
  await cache.put(map, "long", "x", { ttl: "1h" });
  for (let found = true; found;) {
    const answer = await cache.get(map, "short");
    found = answer.status === 200;
    if (!found) ok(Date.now() - begun >= 600, `it was gone after ${Date.now() - begun} ms`);
    ok(Date.now() - begun < 30_000, "it is there for ever");
  }
  deepEqual(await cache.keys(map), ["long"]);
  equal((await cache.call("delete", { dmap: map, key: "short" })).status, 404);
  deepEqual((await cache.call("mget", { dmap: map, keys: ["short", "long"] })).list("results").length, 1);
  equal((await cache.call("mdelete", { dmap: map, keys: ["short"] })).get("deleted"), 0);
  (await cache.call("put", { dmap: map, key: "short", value: 1, nx: true })).expect(200);
});

test("a time to live is told, changed and taken away; a write brings its own", async () => {
  const { cache, map } = await cacheOf();
  const ttl = async () => (await cache.call("ttl", { dmap: map, key: "k" })).expect(200).body;
  await cache.put(map, "k", 1);
  deepEqual(await ttl(), { key: "k", dmap: map, ttl_ms: null, expires_at: null });
  (await cache.call("expire", { dmap: map, key: "k", ttl: "1h" })).expect(200);
  const { ttl_ms, expires_at } = await ttl();
  ok(Number(ttl_ms) > 3_500_000 && Number(ttl_ms) <= 3_600_000, String(ttl_ms));
  ok(Math.abs(Date.parse(String(expires_at)) - Date.now() - 3_600_000) < 60_000);
  (await cache.call("expire", { dmap: map, key: "k", ttl: "0" })).expect(200);
  equal((await ttl()).ttl_ms, null);
  await cache.put(map, "k", 2, { ttl: "1h" });
  await cache.put(map, "k", 3);
  equal((await ttl()).ttl_ms, null, "nothing is kept of the entry before");
  equal((await cache.call("expire", { dmap: map, key: "none", ttl: "1h" })).status, 404);
  (await cache.call("expire", { dmap: map, key: "k" })).expect(400);
  (await cache.call("expire", { dmap: map, key: "k", ttl: "1ms" })).expect(200);
  await until("it is gone", async () => (await cache.get(map, "k")).status === 404);
});

test("maps that hold something are listed, and one is dropped as a whole", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = new CacheCaller(suite.gateway, { key: owner.apiKey });
  deepEqual((await cache.raw("GET", [])).expect(200).body, { maps: [] });
  for (const map of ["b", "a/b", "a"]) await cache.put(map, "k", "x".repeat(100));
  await cache.put("a", "k2", 1);
  const maps = (await cache.raw("GET", [])).expect(200).list("maps");
  deepEqual(maps.map(({ name, keys }) => [name, keys]), [["a", 2], ["a/b", 1], ["b", 1]]);
  for (const { bytes } of maps) ok(Number(bytes) > 0);
  deepEqual((await cache.raw("DELETE", ["a/b"])).expect(200).body, { status: "ok", dmap: "a/b" });
  (await cache.raw("DELETE", ["none"])).expect(200);
  equal((await cache.get("a/b", "k")).status, 404);
  deepEqual(await cache.keys("a"), ["k", "k2"]);
  deepEqual((await cache.raw("GET", [])).list("maps").map(({ name }) => name), ["a", "b"]);
});
