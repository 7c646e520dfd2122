import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type CacheMap, createCache, createClient } from "../../../src/client/index.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { ANSWERS, END, mapAt, MISS, operationOf, TOKEN, wellBehaved } from "./support/caches.ts";
import { collect, oramaError } from "./support/databases.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";

Deno.test("what a call asks for goes out by the names of the wire, and nothing else does", async () => {
  await using server = wellBehaved();
  const map = mapAt(server.url);
  equal(await map.get("k"), 1);
  deepEqual(await map.entries(["a", "b"]), [
    null,
    { value: 2, version: "v2", expiresAt: new Date(END), type: undefined },
  ]);
  deepEqual(await map.put("k", { a: 1 }, { ttl: 1_500, ifVersion: "v1" }), { version: "v3" });
  await map.put("k", "x", { nx: true, versioned: true });
  await map.mput(new Map<string, unknown>([["a", 1], ["b", [2n ** 60n]]]), { ttl: "1h30m" });
  equal(await map.getset("k", false, { ttl: 0 }), null);
  equal(await map.delete("k", { ifVersion: "v1" }), true);
  equal(await map.mdelete(["a", "b"]), 2);
  equal(await map.touch(["a"]), 1);
  equal(await map.expire("k", "1.5s"), true);
  deepEqual(await map.ttl("k"), { ttl: 1500, expiresAt: new Date(END) });
  equal(await map.incr("k", { by: 5, initial: 2, ttl: "1m" }), 7);
  equal(await map.incr("k"), 7);
  deepEqual(await collect(map.scan({ match: "^a", limit: 5 })), [["a"]]);
  deepEqual(await map.lock("k", { lease: "30s", wait: 250 }), {
    token: TOKEN,
    fencing: 1768730000000000,
    expiresAt: new Date(END),
  });
  deepEqual(await map.renew("k", TOKEN, 1_000), new Date(END));
  await map.unlock("k", TOKEN);
  const at = { dmap: "m", key: "k" };
  deepEqual(server.requests.map((request, i) => [operationOf(request), server.sent(i)]), [
    ["get", at],
    ["mget", { dmap: "m", keys: ["a", "b"] }],
    ["put", { ...at, value: { a: 1 }, ttl: "1500ms", if_version: "v1" }],
    ["put", { ...at, value: "x", nx: true, versioned: true }],
    ["mput", { dmap: "m", entries: [{ key: "a", value: 1 }, { key: "b", value: [2 ** 60] }], ttl: "5400000ms" }],
    ["getset", { ...at, value: false, ttl: "0ms" }],
    ["delete", { ...at, if_version: "v1" }],
    ["mdelete", { dmap: "m", keys: ["a", "b"] }],
    ["touch", { dmap: "m", keys: ["a"] }],
    ["expire", { ...at, ttl: "1500ms" }],
    ["ttl", at],
    ["incr", { ...at, by: 5, initial: 2, ttl: "60000ms" }],
    ["incr", at],
    ["scan", { dmap: "m", match: "^a", limit: 5 }],
    ["lock", { ...at, lease: "30000ms", wait: "250ms" }],
    ["renew", { ...at, token: TOKEN, lease: "1000ms" }],
    ["unlock", { ...at, token: TOKEN }],
  ]);
  ok(server.requests[4]!.body.includes("[1152921504606846976]"), "all digits, and no text");
  ok(server.requests.every(({ method, headers }) => method === "POST" && headers.get("content-type") !== undefined));
});

Deno.test("nothing at all is asked without a request", async () => {
  await using server = wellBehaved();
  const map = mapAt(server.url);
  deepEqual([await map.mget([]), await map.touch([]), await map.mdelete([])], [[], 0, 0]);
  await map.mput([]);
  equal(server.requests.length, 0);
});

Deno.test("what is not there is null or false, and an address without a cache is an error", async () => {
  const asked = (map: CacheMap<unknown>): Promise<unknown>[] => [
    map.get("k"),
    map.entry("k"),
    map.ttl("k"),
    map.getBytes("k"),
    map.delete("k"),
    map.expire("k", "1m"),
  ];
  await using server = new ScriptedServer(() => MISS);
  deepEqual(await Promise.all(asked(mapAt(server.url))), [null, null, null, null, false, false]);
  for (const elsewhere of [failure(404, "NOT_FOUND"), answer(404, "<html>key not found</html>")]) {
    await using server = new ScriptedServer(() => elsewhere);
    for (const work of awaitedLater(asked(mapAt(server.url)))) equal((await oramaError(work)).status, 404);
  }
});

Deno.test("values that JSON has no form for send nothing, and are told by their place", async () => {
  await using server = wellBehaved();
  const map = mapAt(server.url);
  const wrong: [unknown, RegExp][] = [
    [undefined, /value is undefined/],
    [null, /value is null/],
    [() => 1, /which is no value/],
    [NaN, /value holds NaN/],
    [{ a: [Infinity] }, /value holds Infinity/],
    [[2n ** 63n], /64 bits/],
    [new Uint8Array(1), /value is bytes: putBytes/],
    [{ a: new Uint8Array(1) }, /value holds a Uint8Array/],
    [new Map([[1, 2]]), /value holds a Map/],
    [Promise.resolve(1), /value holds a Promise/],
    [new Date(NaN), /which is no value/],
  ];
  for (const [value, message] of wrong) {
    await rejects(map.put("k", value), message);
    await rejects(map.getset("k", value), message);
    await rejects(map.mput([["a", 1], ["b", value]]), new RegExp(message.source.replace(/^value/, "entries.1..value")));
  }
  equal(server.requests.length, 0);
});

Deno.test("values that JSON has a form for go out in it", async () => {
  await using server = wellBehaved();
  const map = mapAt(server.url);
  class Point {
    constructor(readonly x: number) {}
  }
  const spoof = { a: "1:5", b: "-:5", c: '"1"', "1:2": 1 };
  const given: [unknown, string][] = [
    [0, "0"],
    [-0.5, "-0.5"],
    [false, "false"],
    ["", '""'],
    [9007199254740993n, "9007199254740993"],
    [{ a: [1n, -(2n ** 63n)], b: null, c: undefined }, '{"a":[1,-9223372036854775808],"b":null}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [new Point(1), '{"x":1}'],
    [{}, "{}"],
    [[], "[]"],
    [Object.create(null), "{}"],
    [{ ...spoof, n: 1n }, `${JSON.stringify(spoof).slice(0, -1)},"n":1}`],
    ["\ud800", '"\\ud800"'],
  ];
  for (const [i, [value, text]] of given.entries()) {
    await map.put("k", value);
    equal(server.requests[i]?.body, `{"dmap":"m","key":"k","value":${text}}`);
  }
});

Deno.test("integers of 64 bits come back exactly, bytes as bytes, and longer integers as numbers", async () => {
  const entries: [string, unknown][] = [
    ['"value":9007199254740993', 9007199254740993n],
    ['"value":{"a":[-9223372036854775808,5]}', { a: [-(2n ** 63n), 5] }],
    ['"value":12345678901234567890', 12345678901234567890],
    ['"value":"AP8=","encoding":"base64","content_type":"image/png"', new Uint8Array([0, 255])],
    ['"value":"AP8="', "AP8="],
    ['"value":false', false],
  ];
  for (const [members, value] of entries) {
    await using server = new ScriptedServer(() =>
      answer(200, `{"key":"k",${members},"version":"1712345678901234567"}`)
    );
    deepEqual(await mapAt(server.url).get("k"), value);
  }
  await using server = new ScriptedServer(() =>
    answer(200, { key: "k", dmap: "m", existed: true, value: "AA==", encoding: "base64", content_type: "a/b" })
  );
  deepEqual(await mapAt(server.url).getset("k", 1), new Uint8Array(1));
});

Deno.test("times are milliseconds or durations; what is neither sends nothing", async () => {
  await using server = wellBehaved();
  const map = mapAt(server.url);
  const given: [number | string, string][] = [
    [0, "0ms"],
    [-0, "0ms"],
    [0.2, "1ms"],
    [1500, "1500ms"],
    [3e12, "3000000000000ms"],
    ["0", "0ms"],
    ["1ns", "1ms"],
    ["5m", "300000ms"],
    ["1h30m.5s", "5400500ms"],
    ["+2\u00b5s", "1ms"],
  ];
  for (const [i, [ttl, text]] of given.entries()) {
    await map.put("k", 1, { ttl });
    equal(server.sent(i).ttl, text, String(ttl));
  }
  const count = server.requests.length;
  for (const ttl of [-1, NaN, Infinity, 1e300]) {
    await rejects(map.put("k", 1, { ttl }), (error) => error instanceof RangeError && /^ttl must/.test(error.message));
  }
  for (const ttl of ["", "5", "-1s", "1d", "1s ", "soon", `${"1".repeat(70)}s`, null as never, true as never]) {
    await rejects(map.expire("k", ttl), (error) => error instanceof TypeError && /^ttl must/.test(error.message));
  }
  await rejects(map.lock("k", { lease: "x" }), /^TypeError: lease must/);
  await rejects(map.lock("k", { lease: 1, wait: -1 }), /^RangeError: wait must/);
  await rejects(map.putBytes("k", new Uint8Array(), { ttl: "x" }), /^TypeError: ttl must/);
  equal(server.requests.length, count);
});

Deno.test("an answer that is no cache's is an error of a read", async () => {
  for (const body of ["[]", "<html>", '{"value":1}', '{"version":"1"}', '{"results":[{}],"keys":[1],"ttl_ms":"1"}']) {
    await using server = new ScriptedServer(() => answer(200, body));
    const map = mapAt(server.url);
    for (
      const read of awaitedLater([
        map.get("k"),
        map.mget(["k"]),
        map.ttl("k"),
        map.touch(["k"]),
        collect(map.scan()),
        map.getBytes("k"),
      ])
    ) {
      equal((await oramaError(read)).code, "INVALID_RESPONSE", body);
    }
    equal((await oramaError(createCache(createClient({ url: server.url })).maps())).code, "INVALID_RESPONSE");
  }
  await using wrong = new ScriptedServer(() =>
    answer(200, { ...ANSWERS.get as object, value: "!", encoding: "base64" })
  );
  equal((await oramaError(mapAt(wrong.url).get("k"))).code, "INVALID_RESPONSE");
});

Deno.test("a scan asks for a page when the loop comes to it, and leaves out empty ones", async () => {
  const pages: Readonly<Record<string, unknown>> = {
    "": { keys: ["a", "b"], cursor: "1" },
    1: { keys: [], cursor: "2" },
    2: { keys: ["c"], cursor: "3" },
    3: { keys: ["d"] },
  };
  await using server = new ScriptedServer(({ body }) => answer(200, pages[JSON.parse(body).cursor ?? ""]));
  const map = mapAt(server.url);
  deepEqual(await collect(map.scan()), [["a", "b"], ["c"], ["d"]]);
  deepEqual(server.sent(1), { dmap: "m", limit: 1_000, cursor: "1" });
  for await (const keys of map.scan({ limit: 2 })) {
    deepEqual(keys, ["a", "b"]);
    break;
  }
  equal(server.requests.length, 5);
  await rejects(collect(map.scan({ signal: AbortSignal.abort(new Error("left")) })), /left/);
});
