import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import type { CacheValue } from "../../src/contracts/cache.ts";
import { json, MAP, NAMESPACE, onEveryCache, REQUEST, RULES } from "./cache_drivers.ts";
import { is } from "./sql_databases.ts";

/** JSON as it may be written, which has to come back to the letter. */
const ODD_JSON = [
  "0",
  "-0",
  "1e21",
  "1E+2",
  "0.1000000000000000055511151231257827",
  "9007199254740993",
  "-123456789012345678901234567890",
  "5e-324",
  "1.7976931348623157e308",
  "true",
  "false",
  '""',
  '"null"',
  '"\\u0000\\ud800\\udfff \\/ \\" \\\\ \\b"',
  '"é € 😀 \u2028 \ufeff \ufffd \uffff e\u0301"',
  '"\ufeff"',
  "[]",
  "{}",
  '{"":{"__proto__":{"constructor":null}},"a":1,"a":2}',
  ' [ 1 ,\t2 ,\r\n{ "a" : null } ] ',
  "[".repeat(500) + "]".repeat(500),
  JSON.stringify("x".repeat(100_000)),
  JSON.stringify("é".repeat(60_000)),
  JSON.stringify("😀€a".repeat(30_000)),
  JSON.stringify(Array.from({ length: 20_000 }, (_, i) => i)),
];

/** Names that are only characters, whatever they mean elsewhere. */
const ODD_NAMES = [
  "a",
  "A",
  " a",
  "a ",
  "\u0000",
  "\u0000a",
  ".",
  "..",
  "../a",
  "/",
  "a/b",
  "a:b",
  "a\nb",
  "*",
  "[a]",
  "%61",
  "a%00b",
  "__proto__",
  "constructor",
  "toString",
  "undefined",
  "é",
  "e\u0301",
  "\ufeffa",
  "\ufffd",
  "😀",
  "\u{10ffff}",
  "x".repeat(255),
  "é".repeat(127) + "x",
  "€".repeat(85),
  "😀".repeat(63) + "abc",
  "1:a/d/b",
  "4:shop/d/carts",
  "0",
  "-1",
  "0x00",
];

onEveryCache({
  "an entry is not there until it is put, and not any more once it is deleted": async (subject) => {
    equal(await subject.get("a"), undefined);
    await subject.put("a", json({ n: 1 }));
    deepEqual((await subject.get("a"))?.value, { json: '{"n":1}' });
    equal((await subject.get("a"))?.expiresAt, undefined);
    equal(await subject.delete("a"), true);
    equal(await subject.get("a"), undefined);
    equal(await subject.delete("a"), false);
  },

  "JSON comes back to the letter": async (subject) => {
    for (const [i, text] of ODD_JSON.entries()) await subject.put(`key ${i}`, { json: text });
    for (const [i, text] of ODD_JSON.entries()) deepEqual((await subject.get(`key ${i}`))?.value, { json: text }, text);
    const keys = ODD_JSON.map((_, i) => `key ${i}`);
    const found = await subject.cache.getMany(NAMESPACE, MAP, keys, REQUEST);
    deepEqual(found.map((entry) => entry?.value), ODD_JSON.map((text) => ({ json: text })));
  },

  "bytes come back with their media type, whatever they are": async (subject) => {
    const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);
    const values: CacheValue[] = [
      { bytes: new Uint8Array(0), type: "application/octet-stream" },
      { bytes: Uint8Array.of(0), type: "a/b" },
      { bytes: everyByte, type: "image/png" },
      { bytes: new TextEncoder().encode('{"a":1}'), type: "application/json" },
      { bytes: new TextEncoder().encode("é€😀"), type: "text/plain; charset=utf-8" },
      { bytes: Uint8Array.from({ length: 100_000 }, (_, i) => i * 7), type: "x".repeat(255) },
      { bytes: Uint8Array.of(0xff, 0xfe, 0xc0, 0x80), type: "text/plain" },
    ];
    for (const [i, value] of values.entries()) await subject.put(`key ${i}`, value);
    for (const [i, value] of values.entries()) deepEqual((await subject.get(`key ${i}`))?.value, value);
  },

  "what was put does not change with the bytes that it was made of": async (subject) => {
    const page = new Uint8Array(100).fill(1);
    const bytes = page.subarray(10, 20);
    await subject.put("a", { bytes, type: "a/b" });
    page.fill(2);
    const read = async () => {
      const value = (await subject.get("a"))!.value;
      ok("bytes" in value);
      return value.bytes;
    };
    (await read()).fill(3);
    deepEqual(await read(), new Uint8Array(10).fill(1));
  },

  "a value takes the place of another one, longer or shorter, of another kind": async (subject) => {
    for (
      const value of [json("x".repeat(50_000)), json(1), { bytes: new Uint8Array(30_000), type: "a/b" }, json([]), {
        bytes: new Uint8Array(1),
        type: "text/plain",
      }, json("é".repeat(300))]
    ) {
      await subject.put("a", value);
      deepEqual((await subject.get("a"))?.value, value);
    }
  },

  "names are only characters, and none is taken for another": async (subject) => {
    for (const map of ODD_NAMES) for (const key of ["k", map]) await subject.put(key, json([map, key]), {}, map);
    for (const key of ODD_NAMES) await subject.put(key, json(key));
    for (const map of ODD_NAMES) {
      deepEqual(await subject.json("k", map), [map, "k"], JSON.stringify(map));
      deepEqual(await subject.json(map, map), [map, map], JSON.stringify(map));
      deepEqual((await subject.keys({}, map)).toSorted(), ["k", map].toSorted());
    }
    for (const key of ODD_NAMES) equal(await subject.json(key), key, JSON.stringify(key));
    deepEqual((await subject.keys()).toSorted(), ODD_NAMES.toSorted());
    const maps = await subject.cache.maps(NAMESPACE, REQUEST);
    deepEqual(maps.map(({ name }) => name), [...ODD_NAMES, MAP].toSorted());
  },

  "namespaces never meet, however their names and those of maps run together": async (subject) => {
    const places = [
      ["a", "b", "c"],
      ["a", "b/c", "d"],
      ["a/d/b", "c", "d"],
      ["a/d", "b/c", "d"],
      ["a", "d/b", "c"],
      ["1:a", "b", "c"],
      ["a/l", "b", "c"],
      ["ab", "c", "d"],
      ["a", "bc", "d"],
      ["3:a/d", "b", "c"],
      ["a", "1:a/d/b", "c"],
    ] as const;
    const at = ([namespace, map, key]: typeof places[number]) => [namespace, { map, key }] as const;
    for (const place of places) await subject.cache.put(...at(place), json(place), {}, REQUEST);
    for (const [namespace, map, key] of places) {
      deepEqual(await subject.json(key, map, namespace), [namespace, map, key]);
      deepEqual(await subject.keys({}, map, namespace), [key]);
    }
    for (const [i, place] of places.entries()) {
      const [namespace, map, key] = place;
      equal(await subject.cache.delete(...at(place), undefined, REQUEST), true, place.join());
      equal(await subject.get(key, map, namespace), undefined);
      for (const [n, m, k] of places.slice(i + 1)) deepEqual(await subject.json(k, m, n), [n, m, k]);
    }
  },

  "a name that cannot be one is refused with its field": async (subject) => {
    const at = (map: string, key: string) => subject.get(key, map);
    for (const [map, key] of [["", "k"], ["m", ""], [" ", "k"], ["m", "\t\n\u3000"]] as const) {
      await rejects(at(map, key), is("INVALID_REQUEST", "dmap and key are required"));
    }
    await rejects(at("m", "x".repeat(256)), is("INVALID_REQUEST", "key: has 256 bytes of UTF-8; the most is 255"));
    await rejects(at("é".repeat(128), "k"), is("INVALID_REQUEST", "dmap: has 256 bytes"));
    await rejects(at("m", "😀".repeat(64)), is("INVALID_REQUEST", "key: has 256 bytes"));
    await rejects(at("m", "a\ud800"), is("INVALID_REQUEST", "key: holds half of a surrogate pair"));
    await rejects(at("\udc00", "k"), is("INVALID_REQUEST", "dmap: holds half of a surrogate pair"));
    await rejects(subject.scan({}, " "), is("INVALID_REQUEST", "dmap is required"));
    await rejects(
      async () => await subject.cache.getMany(NAMESPACE, MAP, ["a", "b", ""], REQUEST),
      is("INVALID_REQUEST", "keys.2 is required"),
    );
  },

  "a value beyond its limit is refused, and what was there stays": async (subject) => {
    const most = RULES.maxValueBytes;
    await subject.put("a", json(1));
    for (
      const value of [
        { json: JSON.stringify("x".repeat(most)) },
        { json: JSON.stringify("€".repeat(most / 3)) },
        { bytes: new Uint8Array(most + 1), type: "a/b" },
      ]
    ) await rejects(subject.put("a", value), is("BODY_TOO_LARGE", `the limit of this namespace is ${most}`));
    equal(await subject.json("a"), 1);
    await subject.put("a", { json: JSON.stringify("x".repeat(most - 2)) });
    await subject.put("b", { bytes: new Uint8Array(most), type: "a/b" });
    const at = { map: MAP, key: "a" };
    await rejects(subject.put("a", { json: " null " }), is("INVALID_REQUEST", "value is required"));
    await rejects(subject.put("a", { json: '"\ud800"' }), is("INVALID_REQUEST", "value: holds half of a surrogate"));
    await rejects(
      async () => await subject.cache.put(NAMESPACE, at, { bytes: new Uint8Array(1), type: "é" }, {}, REQUEST),
      is("INVALID_REQUEST", "content-type"),
    );
  },

  "every write gives another version, which only that write has": async (subject) => {
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 5; i++) {
      const version = await subject.put("a", json("same"), { versioned: true });
      ok(version);
      equal((await subject.get("a"))?.version, version);
      seen.add(version);
    }
    await subject.delete("a");
    seen.add(await subject.put("a", json("same"), { versioned: true }));
    equal(seen.size, 6);
    equal(await subject.put("a", json(1)), undefined, "not asked for");
  },

  "a condition decides whether a write happens": async (subject) => {
    const unmet = is("PRECONDITION_FAILED", "nothing was written");
    await rejects(subject.put("a", json(0), { condition: "present" }), unmet);
    await rejects(subject.put("a", json(0), { condition: { version: "1" } }), unmet);
    equal(await subject.get("a"), undefined);
    await subject.put("a", json(1), { condition: "absent" });
    await rejects(subject.put("a", json(2), { condition: "absent" }), unmet);
    equal(await subject.json("a"), 1);
    await subject.put("a", json(3), { condition: "present" });
    const { version } = (await subject.get("a"))!;
    const next = await subject.put("a", json(4), { condition: { version } });
    ok(next !== undefined && next !== version, "a version is given where one was named");
    await rejects(subject.put("a", json(5), { condition: { version } }), unmet);
    for (const wrong of ["", "0", "x", `${next}0`, ` ${next}`]) {
      await rejects(subject.put("a", json(5), { condition: { version: wrong } }), unmet);
    }
    equal(await subject.json("a"), 4);
    await rejects(subject.delete("a", version), is("PRECONDITION_FAILED"));
    equal(await subject.json("a"), 4);
    equal(await subject.delete("a", next), true);
    equal(await subject.delete("a", next), false);
  },

  "of many who write the first value at once one does": async (subject) => {
    const writes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => subject.put("a", json(i), { condition: "absent" })),
    );
    const won = writes.flatMap(({ status }, i) => status === "fulfilled" ? [i] : []);
    equal(won.length, 1);
    equal(await subject.json("a"), won[0]);
  },

  "of many who write the next value at once one does, each time": async (subject) => {
    await subject.put("a", json(0));
    const add = async () => {
      for (;;) {
        const { value, version } = (await subject.get("a"))!;
        ok("json" in value);
        try {
          return await subject.put("a", { json: String(Number(value.json) + 1) }, { condition: { version } });
        } catch (error) {
          is("PRECONDITION_FAILED")(error);
        }
      }
    };
    await Promise.all(Array.from({ length: 20 }, add));
    equal(await subject.json("a"), 20);
  },

  "a swap gives what was there before, and every value is given once": async (subject) => {
    equal(await subject.swap("a", json(0)), undefined);
    const before = await Promise.all(Array.from({ length: 30 }, (_, i) => subject.swap("a", json(i + 1))));
    const seen = [
      ...before.map((entry) => JSON.parse((entry!.value as { json: string }).json)),
      await subject.json("a"),
    ];
    deepEqual(seen.toSorted((a, b) => a - b), Array.from({ length: 31 }, (_, i) => i));
    const { version } = (await subject.get("a"))!;
    equal((await subject.swap("a", { bytes: Uint8Array.of(1), type: "a/b" }, 60_000))?.version, version);
    const after = (await subject.get("a"))!;
    ok(after.expiresAt !== undefined);
    notEqual(after.version, version);
  },

  "several entries are read, written, touched and deleted in one call": async (subject) => {
    await subject.putAll({ a: 1, b: "two", c: [3] });
    const found = await subject.cache.getMany(NAMESPACE, MAP, ["c", "x", "a", "c"], REQUEST);
    deepEqual(found.map((entry) => entry?.value), [json([3]), undefined, json(1), json([3])]);
    equal(await subject.cache.touch(NAMESPACE, MAP, ["a", "x", "b"], REQUEST), 2);
    equal(await subject.cache.deleteMany(NAMESPACE, MAP, ["a", "x", "b", "a"], REQUEST), 2);
    deepEqual(await subject.keys(), ["c"]);
    deepEqual(await subject.cache.getMany(NAMESPACE, MAP, [], REQUEST), []);
    equal(await subject.cache.deleteMany(NAMESPACE, "no such map", ["a"], REQUEST), 0);
  },

  "nothing is written of a list of which something cannot be": async (subject) => {
    const entries = [{ key: "a", value: json(1) }, { key: "b", value: json("x".repeat(RULES.maxValueBytes)) }];
    const put = async () => await subject.cache.putMany(NAMESPACE, MAP, entries, undefined, REQUEST);
    await rejects(put, is("BODY_TOO_LARGE", "entries.1.value"));
    entries[1] = { key: " ", value: json(2) };
    await rejects(put, is("INVALID_REQUEST", "entries.1.key is required"));
    equal(await subject.get("a"), undefined);
  },

  "a map is dropped as a whole, and no other one": async (subject) => {
    await subject.putAll({ a: 1, b: 2 });
    await subject.putAll({ a: 3 }, "other");
    await subject.cache.drop(NAMESPACE, MAP, REQUEST);
    await subject.cache.drop(NAMESPACE, "no such map", REQUEST);
    equal(await subject.get("a"), undefined);
    deepEqual(await subject.keys(), []);
    equal(await subject.json("a", "other"), 3);
    deepEqual((await subject.cache.maps(NAMESPACE, REQUEST)).map(({ name, keys }) => ({ name, keys })), [{
      name: "other",
      keys: 1,
    }]);
    await subject.put("a", json(4), { condition: "absent" });
    deepEqual(await subject.keys(), ["a"]);
  },

  "a namespace is purged as a whole, with its locks, and no other one": async (subject) => {
    const other = ["other", { map: MAP, key: "a" }] as const;
    await subject.putAll({ a: 1, b: 2 });
    await subject.putAll({ c: 3 }, "second");
    await subject.cache.put(...other, json("other"), {}, REQUEST);
    await subject.lock("a", { lease: 600_000 });
    await subject.cache.lock(...other, { lease: 600_000 }, REQUEST);
    const before = await subject.cache.usage(NAMESPACE, REQUEST.signal);
    ok(before["cache_keys"]! >= 3 && before["cache_bytes"]! > 0, JSON.stringify(before));

    await subject.cache.purge(NAMESPACE, REQUEST.signal);
    await subject.cache.purge(NAMESPACE, REQUEST.signal);
    for (const [key, map] of [["a", MAP], ["b", MAP], ["c", "second"]] as const) {
      equal(await subject.get(key, map), undefined);
    }
    deepEqual(await subject.cache.maps(NAMESPACE, REQUEST), []);
    equal((await subject.cache.usage(NAMESPACE, REQUEST.signal))["cache_keys"], 0);
    await subject.lock("a", { lease: 1_000 });
    equal(await subject.json("a", MAP, "other"), "other");
    await rejects(subject.cache.lock(...other, { lease: 1_000 }, REQUEST), is("LOCKED"));
  },

  "it says how it is, and how often it had what was asked for": async (subject) => {
    await subject.cache.ping(REQUEST);
    equal((await subject.cache.health(REQUEST.signal)).status, "ok");
    const before = subject.cache.statistics();
    await subject.put("a", json(1));
    await subject.get("a");
    await subject.get("b");
    await subject.cache.getMany(NAMESPACE, MAP, ["a", "a", "c"], REQUEST);
    const { hits, misses } = subject.cache.statistics();
    deepEqual([hits - before.hits, misses - before.misses], [3, 2]);
  },
});
