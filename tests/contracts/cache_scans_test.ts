import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { json, MAP, NAMESPACE, onEveryCache, REQUEST, RULES } from "./cache_drivers.ts";
import { is } from "./sql_databases.ts";

const numbered = (count: number, name = "key") =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}:${i}`, i]));

onEveryCache({
  "a scan has every key, in pages of any size": async (subject) => {
    deepEqual(await subject.scan(), { keys: [], cursor: undefined });
    const values = numbered(500);
    await subject.putAll(values);
    for (const limit of [undefined, 1, 7, 499, 500, 501, 1_000_000]) {
      const keys = await subject.keys(limit === undefined ? {} : { limit });
      deepEqual(keys.toSorted(), Object.keys(values).toSorted(), `limit ${limit}`);
    }
    for (let cursor: string | undefined, pages = 0;; pages++) {
      const page = await subject.scan({ limit: 3, ...(cursor !== undefined && { cursor }) });
      ok(page.keys.length <= 3);
      cursor = page.cursor;
      if (cursor === undefined || pages > 100) break;
    }
  },

  "a page has no more keys than the namespace may have in one": async (subject) => {
    await subject.putAll(numbered(RULES.maxScanKeys + 500));
    const { keys, cursor } = await subject.scan({ limit: 100_000 });
    ok(keys.length <= RULES.maxScanKeys);
    ok(cursor !== undefined);
    equal(new Set(await subject.keys()).size, RULES.maxScanKeys + 500);
  },

  "a scan has every key that is there all the while, whatever is written meanwhile": async (subject) => {
    const stays = Object.keys(numbered(400, "stays"));
    const goes = Object.keys(numbered(400, "goes"));
    const all = Array.from({ length: 800 }, (_, i) => i % 2 === 0 ? stays[i / 2]! : goes[(i - 1) / 2]!);
    await subject.putAll(Object.fromEntries(all.map((key, i) => [key, i])));
    let round = 0;
    const seen = await subject.keys({ limit: 10 }, MAP, NAMESPACE, async () => {
      for (let i = 0; i < 8; i++) {
        const gone = goes.splice(Math.floor(goes.length * ((round * 7 + i * 13) % 31) / 31), 1)[0];
        if (gone !== undefined) await subject.delete(gone);
      }
      // Written again it is another entry, of another size, under the same key.
      for (let i = 0; i < 4; i++) {
        await subject.put(stays[(round * 11 + i) % stays.length]!, json("x".repeat(round * 20)));
      }
      await subject.put(`comes:${round++}`, json(round));
      if (round > 500) throw new Error("the scan has no end");
    });
    const found = new Set(seen);
    deepEqual(stays.filter((key) => !found.has(key)), []);
  },

  "only keys in which the pattern is found anywhere are given": async (subject) => {
    await subject.putAll({ "user:1": 1, "user:22": 1, "post:1": 1, "USER:3": 1, "été": 1, "😀": 1, "a\nb": 1 });
    const matching = async (match: string) => (await subject.keys({ match })).toSorted();
    deepEqual(await matching("^user:\\d+$"), ["user:1", "user:22"]);
    deepEqual(await matching("1"), ["post:1", "user:1"]);
    deepEqual(await matching("(?i)^user"), ["USER:3", "user:1", "user:22"]);
    deepEqual(await matching("^\\PM{1}$"), ["😀"]);
    deepEqual(await matching("^.t.$"), ["été"]);
    deepEqual(await matching("(?s)a.b"), ["a\nb"]);
    deepEqual(await matching("a.b"), []);
    deepEqual(await matching(""), await matching("(?s)."));
    for (const limit of [1, 2]) {
      deepEqual((await subject.keys({ match: "^user", limit })).toSorted(), ["user:1", "user:22"]);
    }
  },

  "a pattern that is none is refused with what is wrong with it": async (subject) => {
    await subject.putAll({ a: 1 });
    for (
      const [match, sentence] of [
        ["(", "missing closing )"],
        ["a{1001}", "invalid repeat count"],
        ["(?=a)", "invalid or unsupported Perl syntax"],
        ["(a)\\1", "invalid escape sequence"],
        ["[z-a]", "invalid character class range"],
        ["*", "missing argument to repetition operator"],
        ["x".repeat(1_001), "has 1001 characters; the most is 1000"],
        ["(?:[a-z]{30}){30}[0-9]{900}", "too large"],
        ["(a?){900}", "too large"],
        ["a{1000}".repeat(142), "too large"],
      ] as const
    ) await rejects(subject.scan({ match }), is("INVALID_REQUEST", sentence), match);
    await rejects(subject.scan({ match: "(" }), is("INVALID_REQUEST", "match: "));
    deepEqual((await subject.scan({ match: "x".repeat(1_000) })).keys, []);
  },

  "patterns that are the ruin of other matchers are answered": async (subject) => {
    const hostile = "a".repeat(250);
    await subject.putAll(Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${hostile}${i}`, i])));
    for (const match of ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]) {
      deepEqual(await subject.keys({ match }), [], match);
    }
  },

  "a cursor that no scan of the map gave is refused": async (subject) => {
    await subject.putAll(numbered(50));
    await subject.putAll(numbered(50), "other");
    const { cursor } = await subject.scan({ limit: 5 });
    ok(cursor !== undefined);
    const wrong = [
      "",
      "0",
      "5",
      "not base64 !",
      "AAAA",
      `${cursor}A`,
      cursor.slice(1),
      cursor.slice(0, -1),
      "é",
      "\ud800",
    ];
    for (const given of [...wrong, "A".repeat(100_000)]) {
      await rejects(
        subject.scan({ cursor: given }),
        is("INVALID_REQUEST", "cursor: not one that a scan of this map gave"),
      );
    }
    await rejects(subject.scan({ cursor }, "other"), is("INVALID_REQUEST", "cursor"));
    await rejects(subject.scan({ cursor }, MAP, "another namespace"), is("INVALID_REQUEST", "cursor"));
    for (const limit of [0, -1, 1.5, NaN]) {
      await rejects(subject.scan({ limit }), is("INVALID_REQUEST", "limit: must be a whole number of at least 1"));
    }
    // It is good for as long as anybody likes, also when the map is gone.
    await subject.cache.drop(NAMESPACE, MAP, REQUEST);
    const after = await subject.scan({ cursor });
    deepEqual(after.keys, []);
  },
});
