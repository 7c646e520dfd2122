import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { z, type ZodType } from "zod";
import { address, entries, keys, lease, lifeOf, requiredTtl, ttl, wait } from "../../../routes/cache/fields.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { check } from "../../../src/http/problems.ts";

/** The sentence, and which fields it is about. */
function refusal(schema: ZodType, body: unknown): { readonly sentence: string; readonly fields: readonly string[] } {
  let error: GatewayError | undefined;
  throws(() => check(schema, body), (thrown: GatewayError) => {
    error = thrown;
    return true;
  });
  equal(error!.code, "INVALID_REQUEST");
  return { sentence: error!.message, fields: (error!.extra.details as { field: string }[]).map(({ field }) => field) };
}

Deno.test("a map and a key that are missing or blank have the sentence that older clients know", () => {
  const schema = z.object(address);
  for (const key of [undefined, null, "", " ", "\t\n"]) {
    deepEqual(refusal(schema, { dmap: "m", key }), { sentence: "dmap and key are required", fields: ["key"] });
  }
  deepEqual(refusal(schema, {}), { sentence: "dmap and key are required", fields: ["dmap", "key"] });
  for (const dmap of [7, true, [], {}, 10n ** 20n]) {
    match(refusal(schema, { dmap, key: "k" }).sentence, /^invalid json body: dmap: must be a string$/);
  }
});

Deno.test("a name has 1 to 255 bytes of UTF-8, and any characters", () => {
  const schema = z.object(address);
  for (
    const key of ["a", "x".repeat(255), "é".repeat(127), "😀".repeat(63), "\0", "../", " a ", ":", "\u200b", "e\u0301"]
  ) {
    equal(check(schema, { dmap: "m", key }).key, key);
  }
  for (const key of ["x".repeat(256), "é".repeat(128), "😀".repeat(64), "x".repeat(65_536), "漢".repeat(86)]) {
    deepEqual(refusal(schema, { dmap: "m", key }), { sentence: "key: must have at most 255 bytes", fields: ["key"] });
  }
  for (const key of ["\ud800", "a\udc00b", "\ude00\ud83d"]) {
    deepEqual(refusal(schema, { dmap: "m", key }).fields, ["key"], "no UTF-8 holds half a character");
  }
});

Deno.test("keys are a list that is not empty, and each mistake is told by its place", () => {
  const schema = z.object({ keys });
  const required = "keys array is required and cannot be empty";
  for (const none of [undefined, null, []]) deepEqual(refusal(schema, { keys: none }).sentence, required);
  match(refusal(schema, { keys: "a" }).sentence, /^invalid json body/);
  for (const wrong of [7, "", null, "\ud800", "x".repeat(256)]) {
    deepEqual(refusal(schema, { keys: ["a", wrong] }).fields, ["keys.1"]);
  }
  deepEqual(refusal(schema, { keys: Array(10_001).fill("a") }).fields, ["keys"]);
  deepEqual(check(schema, { keys: ["a", "a"] }).keys, ["a", "a"]);
});

Deno.test("entries have a key and a value each", () => {
  const schema = z.object({ entries });
  for (
    const [wrong, field] of [
      [undefined, "entries"],
      [[], "entries"],
      [{}, "entries"],
      [[null], "entries.0"],
      [[{ key: "k" }], "entries.0.value"],
      [[{ key: "k", value: null }], "entries.0.value"],
      [[{ value: 1 }], "entries.0.key"],
      [[{ key: "k", value: 1 }, { key: " ", value: 1 }], "entries.1.key"],
    ] as const
  ) deepEqual(refusal(schema, { entries: wrong }).fields, [field]);
  for (const value of [false, 0, "", [], {}]) check(schema, { entries: [{ key: "k", value }] });
});

Deno.test("a time to live is a duration of Go, nothing else, and comes out in whole milliseconds", () => {
  const schema = z.object({ ttl });
  const given = (text: string) => lifeOf(check(schema, { ttl: text }).ttl);
  const lives: readonly [string, number | undefined][] = [
    ["5m", 300_000],
    ["1h1h", 7_200_000],
    ["1ns", 1],
    ["1\u00b5s", 1],
    ["1\u03bcs", 1],
    ["1.6ms", 2],
    ["+2s", 2_000],
    ["876000h", 876_000 * 3_600_000],
    ["0", undefined],
    ["0s", undefined],
  ];
  for (const [text, life] of lives) equal(given(text), life, text);
  for (const none of [undefined, null]) equal(lifeOf(check(schema, { ttl: none }).ttl), undefined);
  for (const text of ["", " ", "1", "soon", "1e3s", ".s", "-1s", "-1ns", "876000.1h", "99999999h", "1d"]) {
    const { sentence, fields } = refusal(schema, { ttl: text });
    match(sentence, /^invalid ttl format: /, text);
    deepEqual(fields, ["ttl"]);
  }
  for (const wrong of [5, 0, true, {}, ["5m"]]) {
    match(refusal(schema, { ttl: wrong }).sentence, /^invalid json body: ttl/);
  }
});

Deno.test("a lease must be said and lasts; waiting need not be", () => {
  const schema = z.object({ lease, wait, ttl: requiredTtl });
  const good = { lease: "30s", ttl: "0" };
  deepEqual(check(schema, good), { lease: 30_000, ttl: 0 });
  equal(check(schema, { ...good, wait: "0" }).wait, 0);
  for (const text of ["0", "0s", "-1s", "", "x"]) {
    match(refusal(schema, { ...good, lease: text }).sentence, /^invalid lease format: /);
  }
  equal(refusal(schema, { ttl: "1s" }).sentence, "lease is required");
  equal(refusal(schema, { lease: "1s" }).sentence, "ttl is required");
  match(refusal(schema, { ...good, wait: 5 }).sentence, /^invalid json body: wait/);
  ok(!("wait" in check(schema, good)));
});
