import { deepEqual, equal, match, ok } from "node:assert/strict";
import { routes } from "../../routes/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner, uniqueName } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import { nameOf, namespaceAccess, pathOf } from "../support/route_calls.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenCache } from "../support/test_cache.ts";
import { chosenDriver } from "../support/test_database.ts";

const suite = gatewaySuite();
const { test } = suite;
const cacheOf = ({ apiKey: key }: Owner) => new CacheCaller(suite.gateway, { key });

/** One body for each operation, all on one map and key. */
const bodiesFor = (dmap: string, key: string): readonly [string, Record<string, unknown>][] => [
  ["put", { dmap, key, value: "stolen" }],
  ["get", { dmap, key }],
  ["mget", { dmap, keys: [key] }],
  ["delete", { dmap, key }],
  ["scan", { dmap }],
  ["incr", { dmap, key }],
  ["expire", { dmap, key, ttl: "1ms" }],
  ["touch", { dmap, keys: [key] }],
  ["ttl", { dmap, key }],
  ["getset", { dmap, key, value: "stolen" }],
  ["mput", { dmap, entries: [{ key, value: "stolen" }], ttl: "1ms" }],
  ["mdelete", { dmap, keys: [key] }],
  ["lock", { dmap, key, lease: "100ms" }],
  ["renew", { dmap, key, token: "0".repeat(32), lease: "100ms" }],
  ["unlock", { dmap, key, token: "0".repeat(32) }],
];

test("names that are too long, blank or no text are refused by every operation, with the name of the field", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  for (const wrong of ["x".repeat(65_536), "x".repeat(256), "漢".repeat(86), "", " \t\n", "\ud800", 7, null, [], {}]) {
    for (
      const [place, bodies] of [["dmap", bodiesFor(wrong as string, "k")], [
        "key",
        bodiesFor("m", wrong as string),
      ]] as const
    ) {
      for (const [operation, body] of bodies) {
        if (place === "key" && operation === "scan") continue;
        const answer = await cache.call(operation, body);
        const what = `${operation} ${place} = ${JSON.stringify(wrong)?.slice(0, 30)}: ${answer.text.slice(0, 300)}`;
        equal(answer.status, 400, what);
        match(
          answer.string("details.0.field"),
          place === "dmap" ? /^dmap$/ : /^key$|^keys\.0$|^entries\.0\.key$/,
          what,
        );
        ok(answer.text.length < 2_000, what);
      }
    }
  }
  deepEqual((await cache.raw("GET", [])).get("maps"), [], "nothing came of it");
});

test("names are compared byte by byte, and no two places are one", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const names = [
    "a",
    "A",
    " a",
    "a ",
    "a\0",
    "\0a",
    "a/b",
    "a:b",
    "../a",
    "..",
    ".",
    "a%2fb",
    "é",
    "e\u0301",
    "\u212b",
    "\u00c5",
    "*",
    "[a-z]",
    "__proto__",
    "constructor",
    "x".repeat(255),
  ];
  const places = names.flatMap((map) => names.map((key) => [map, key] as const));
  // Parts that would be the same once they are put together.
  places.push(["a:b", "c"], ["a", "b:c"], ["1:a/d", "b"], ["1", "a/d/b"], ["m/d", "k"], ["m", "d/k"]);
  for (const [i, [map, key]] of places.entries()) {
    if (i % 100 === 0) ok((await suite.gateway.call("GET", "/health")).status === 200);
    await cache.put(map, key, i);
  }
  for (const [i, [map, key]] of places.entries()) equal(await cache.value(map, key), i, JSON.stringify([map, key]));
  for (const map of names) {
    const keys = places.filter(([other]) => other === map).map(([, key]) => key);
    deepEqual(await cache.keys(map), keys.toSorted(), JSON.stringify(map));
  }
  (await cache.raw("DELETE", ["a"])).expect(200);
  equal(await cache.value("a:b", "c"), places.findIndex(([map, key]) => map === "a:b" && key === "c"));
  deepEqual(await cache.keys("a/b"), names.toSorted());
});

test("no operation of one namespace touches another one's values, however maps and keys are named", async () => {
  const base = uniqueName("n");
  await using one = await newOwner(suite.gateway, base);
  await using two = await newOwner(suite.gateway, `${base}-d`);
  const [mine, theirs] = [cacheOf(one), cacheOf(two)];
  const maps = ["m", "d", `${base}/d/m`, `${base}-d/d/m`, `d/m`, `-d/d/m`, "l", "f", "w"];
  for (const map of maps) await mine.put(map, "k", `mine in ${map}`);
  const held = (await mine.call("lock", { dmap: "m", key: "k", lease: "10m" })).expect(200);
  for (const map of maps) {
    equal((await theirs.get(map, "k")).status, 404, map);
    deepEqual(await theirs.keys(map), [], map);
    for (const [operation, body] of bodiesFor(map, "k")) await theirs.call(operation, body);
    await theirs.raw("PUT", [map, "k"], { raw: '"stolen"' });
    await theirs.raw("DELETE", [map, "k"]);
    await theirs.raw("DELETE", [map]);
  }
  deepEqual((await theirs.raw("GET", [])).get("maps"), []);
  for (const map of maps) equal(await mine.value(map, "k"), `mine in ${map}`);
  equal((await mine.call("lock", { dmap: "m", key: "k", lease: "10m" })).status, 409, "it is still held");
  (await mine.call("unlock", { dmap: "m", key: "k", token: held.get("token") })).expect(200);
}, { namespaces: 2 });

test("who may only read writes nothing, who may only write reads nothing, and a revoked key does neither", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const keyFor = async (scopes: readonly string[]) => {
    const body = { name: "limited", scopes };
    return (await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body })).expect(201);
  };
  await cache.put("unknown", "unknown", "mine");
  for (const scope of ["cache:read", "cache:write"]) {
    const made = await keyFor([scope]);
    const key = made.string("api_key");
    for (const route of routes.filter(({ path }) => path.startsWith("/v1/cache") && !path.endsWith("/health"))) {
      if (namespaceAccess(route)?.scope === scope) continue;
      const answer = await suite.gateway.call(route.method, pathOf(route, owner.namespace), {
        key,
        body: route.body && {},
      });
      deepEqual([answer.status, answer.get("code")], [403, "INSUFFICIENT_SCOPE"], nameOf(route));
    }
    (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken })).expect(
      200,
    );
    const revoked = new CacheCaller(suite.gateway, { key });
    for (const [operation, body] of bodiesFor("unknown", "unknown")) {
      equal((await revoked.call(operation, body)).status, 401);
    }
    equal((await revoked.raw("GET", ["unknown", "unknown"])).status, 401);
  }
  equal(await cache.value("unknown", "unknown"), "mine");
});

test("a value that is too large is 413 with the limit, whichever way it comes, and what was there stays", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const text = (size: number) => "x".repeat(size - 2);
  await cache.put("m", "k", text(512_000));
  for (
    const [operation, body] of [
      ["put", { dmap: "m", key: "k", value: text(512_001) }],
      ["put", { dmap: "m", key: "k", value: "é".repeat(256_000) }],
      ["getset", { dmap: "m", key: "k", value: [text(511_999)] }],
      ["mput", { dmap: "m", entries: [{ key: "a", value: 1 }, { key: "k", value: text(512_001) }] }],
    ] as const
  ) {
    const answer = (await cache.call(operation, body)).expect(413);
    equal(answer.get("code"), "BODY_TOO_LARGE");
    match(answer.string("error"), /512000/, operation);
  }
  const large = new Uint8Array(65 * 2 ** 20);
  const raw = await cache.raw("PUT", ["m", "k"], { raw: large, headers: { "content-type": "a/b" } });
  match(raw.expect(413).string("error"), /512000/);
  const json = await cache.callRaw("put", `{"dmap":"m","key":"k","value":"${"x".repeat(64 * 2 ** 20)}"}`);
  match(json.expect(413).string("error"), /1048576/);
  equal((await cache.value("m", "k") as string).length, 511_998);
  const { key } = await suite.gateway.makeKey("--operator");
  const limits = (value_bytes: number | null) =>
    suite.gateway.call("PATCH", `/v1/namespaces/${owner.namespace}/limits`, { key, body: { cache: { value_bytes } } });
  (await limits(10)).expect(200);
  await cache.put("m", "small", "12345678");
  match(
    (await cache.call("put", { dmap: "m", key: "small", value: "123456789" })).expect(413).string("error"),
    /\b10\b/,
  );
  match((await cache.raw("PUT", ["m", "small"], { raw: "12345678901" })).expect(413).string("error"), /\b10\b/);
  equal(await cache.value("m", "small"), "12345678");
});

test("what is no time to live is refused, and nothing is stored", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const wrong = [
    "",
    " ",
    "1",
    "-1s",
    "soon",
    "1e3s",
    ".s",
    "1s ",
    "99999999h",
    "876001h",
    "1d",
    "1".repeat(10_000) + "s",
    "\0",
    "1S",
    5,
    -1,
    true,
    [],
    {},
  ];
  for (const ttl of wrong) {
    for (
      const [operation, body] of bodiesFor("m", "k").filter(([name]) =>
        ["put", "getset", "mput", "incr", "expire"].includes(name)
      )
    ) {
      const answer = (await cache.call(operation, { ...body, ttl })).expect(400);
      equal(answer.get("details.0.field"), "ttl", `${operation} ${JSON.stringify(ttl)}`);
    }
  }
  deepEqual(await cache.keys("m"), []);
  for (const ttl of ["0", "0s", "1h1h", "1.5h", "+1h", "2562h", "876000h", "60000000\u00b5s", "60000000\u03bcs"]) {
    await cache.put("m", "k", ttl, { ttl });
    equal(await cache.value("m", "k"), ttl);
  }
});

test("a pattern that would take for ever elsewhere takes its time, and a wrong one is told", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const entries = Array.from({ length: 200 }, (_, i) => ({ key: `${"a".repeat(200)}${i}!`, value: 1 }));
  (await cache.call("mput", { dmap: "m", entries })).expect(200);
  for (const match of ["(a+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]) {
    (await cache.call("scan", { dmap: "m", match })).expect(200);
  }
  for (
    const match of [
      "(",
      "[",
      "*",
      "a{2,1}",
      "(?=a)",
      "(a)\\1",
      "(?<!a)",
      "\\",
      "a".repeat(1_001),
      "(a{1000}){1000}",
      "[[:foo:]]",
    ]
  ) {
    for (const name of ["match", "pattern"]) {
      const answer = (await cache.call("scan", { dmap: "m", [name]: match })).expect(400);
      namesThePattern(answer.get("details.0.field"), name, match);
      ok(answer.text.length < 4_000);
    }
  }
  for (const wrong of [7, [], {}, true]) (await cache.call("scan", { dmap: "m", match: wrong })).expect(400);
});

/** The other name of a pattern may be told by either. */
function namesThePattern(field: unknown, name: string, pattern: string): void {
  ok(field === "match" || field === name, `${pattern.slice(0, 40)}: ${field}`);
}

test("a cursor that no scan gave is refused, another map's too", async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  const entries = Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: 1 }));
  for (const dmap of ["m", "n"]) (await cache.call("mput", { dmap, entries })).expect(200);
  const good = (await cache.call("scan", { dmap: "m", limit: 10 })).expect(200).string("cursor");
  (await cache.call("scan", { dmap: "m", limit: 10, cursor: good })).expect(200);
  for (
    const cursor of ["", "0", "1", "-1", "x", `${good}x`, good.slice(1), "\0", "a".repeat(5_000), "%00", 7, [], {}]
  ) {
    const answer = (await cache.call("scan", { dmap: "m", cursor })).expect(400);
    equal(answer.get("details.0.field"), "cursor", JSON.stringify(cursor).slice(0, 40));
  }
  (await cache.call("scan", { dmap: "n", cursor: good })).expect(400);
  for (const limit of [0, -1, 1.5, "10", 1e300, [], {}]) {
    equal((await cache.call("scan", { dmap: "m", limit })).expect(400).get("details.0.field"), "limit");
  }
  equal(((await cache.call("scan", { dmap: "m", limit: 2 ** 53 - 1 })).expect(200).get("keys") as string[]).length, 50);
});

test("a namespace that is deleted and made anew has nothing of the one before", async () => {
  await using made = new AsyncDisposableStack();
  const owner = await newOwner(suite.gateway);
  const before = new CacheCaller(suite.gateway, { key: owner.apiKey });
  await before.put("m", "k", "old");
  (await before.call("lock", { dmap: "m", key: "k", lease: "10m" })).expect(200);
  const { namespace, accessToken: token } = owner;
  (await suite.gateway.call("DELETE", `/v1/namespaces/${namespace}`, { token })).expect(200);
  let key = "";
  await until("the name is free", async () => {
    key = made.use(await newOwner(suite.gateway, namespace)).apiKey;
    return true;
  });
  const after = new CacheCaller(suite.gateway, { key });
  equal((await after.get("m", "k")).status, 404);
  deepEqual((await after.raw("GET", [])).get("maps"), []);
  (await after.call("lock", { dmap: "m", key: "k", lease: "1s" })).expect(200);
});

Deno.test({
  name: "a namespace that one gateway deletes is gone from the memory of another before its next owner comes there",
  ignore: chosenDriver() === "sqlite" || chosenCache() !== "memory" || Deno.env.has("TEST_BASE_URL"),
  async fn() {
    await using second = await suite.gateway.twin();
    await using made = new AsyncDisposableStack();
    const owner = await newOwner(suite.gateway);
    const there = (key: string) => new CacheCaller(second, { key });
    await there(owner.apiKey).put("m", "k", "old");
    const { namespace, accessToken: token } = owner;
    (await suite.gateway.call("DELETE", `/v1/namespaces/${namespace}`, { token })).expect(200);
    const { apiKey } = made.use(await newOwner(suite.gateway, namespace));
    equal((await there(apiKey).get("m", "k")).status, 404);
  },
});

// Only there the gateway knows what is used, and how much of it there is.
if (chosenCache() === "memory") {
  test(
    "in the gateway's own memory, a namespace that holds too much makes room by itself, and others keep theirs",
    async () => {
      await using one = await newOwner(suite.gateway);
      await using two = await newOwner(suite.gateway);
      const [mine, theirs] = [cacheOf(one), cacheOf(two)];
      await theirs.put("m", "k", "theirs");
      const { key } = await suite.gateway.makeKey("--operator");
      const path = `/v1/namespaces/${one.namespace}/limits`;
      (await suite.gateway.call("PATCH", path, { key, body: { cache: { bytes: 100_000 } } })).expect(200);
      const value = "x".repeat(9_000);
      for (let i = 0; i < 40; i++) {
        await mine.put("m", `k${i}`, value);
        await mine.get("m", "k0");
      }
      const keys = await mine.keys("m");
      ok(keys.length < 12 && keys.includes("k0") && keys.includes("k39"), keys.join());
      equal(await theirs.value("m", "k"), "theirs");
      equal(
        (await mine.call("put", { dmap: "m", key: "big", value: "x".repeat(150_000) })).expect(413).get("code"),
        "BODY_TOO_LARGE",
      );
      deepEqual(await mine.keys("m"), keys, "nothing had to go for what cannot be stored");
    },
    { namespaces: 2 },
  );
}
