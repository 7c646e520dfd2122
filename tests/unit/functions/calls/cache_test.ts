import { deepEqual, equal } from "node:assert/strict";
import { noise } from "../../../support/storage.ts";
import { Calls, MAX_VALUE, refused, scopeOf, textOf, utf8, valueOf } from "./support/calls.ts";

const context = { requestId: "test", clientAddress: "", signal: new AbortController().signal };

Deno.test("bytes come back as they were set, whatever they are", async () => {
  await using calls = await Calls.start();
  for (const value of [utf8("text"), utf8(`{"a":1}`), utf8("007"), noise(1_000), new Uint8Array([0]), utf8("-0")]) {
    equal(valueOf(await calls.perform("cache_set", "k", value, 0)), null);
    deepEqual(valueOf(await calls.perform("cache_get", "k")), value);
  }
  equal(valueOf(await calls.perform("cache_get", "other")), null);
});

Deno.test("a number that JavaScript cannot hold, and one behind a byte order mark, come back byte for byte", async () => {
  await using calls = await Calls.start();
  const marked = new Uint8Array([0xef, 0xbb, 0xbf, 0x34, 0x31]);
  for (const value of [marked, utf8("9007199254740993"), utf8("-9999999999999999")]) {
    await calls.perform("cache_set", "k", value, 0);
    deepEqual(valueOf(await calls.perform("cache_get", "k")), value);
    const kept = await calls.cache.get("shop", { map: "serverless_cache", key: "k" }, context);
    deepEqual(kept && "bytes" in kept.value && kept.value.bytes, value, "it is no number to the cache");
    refused(await calls.perform("cache_incr", "k", 1n), "WRONG_TYPE");
  }
});

Deno.test("what the HTTP interface stored as JSON is its text", async () => {
  await using calls = await Calls.start();
  await calls.cache.put("shop", { map: "serverless_cache", key: "k" }, { json: `{"a": 1}` }, {}, context);
  equal(textOf(await calls.perform("cache_get", "k")), `{"a": 1}`);
});

Deno.test("a time to live is in force", async () => {
  await using calls = await Calls.start();
  await calls.perform("cache_set", "short", utf8("x"), 2);
  await calls.perform("cache_set", "long", utf8("x"), 0);
  await calls.clock.advance(1_999);
  equal(textOf(await calls.perform("cache_get", "short")), "x");
  await calls.clock.advance(2);
  equal(valueOf(await calls.perform("cache_get", "short")), null);
  equal(textOf(await calls.perform("cache_get", "long")), "x");
});

Deno.test("what is deleted is gone, and the number says whether it was there", async () => {
  await using calls = await Calls.start();
  await calls.perform("cache_set", "k", utf8("x"), 0);
  equal(valueOf(await calls.perform("cache_delete", "k")), 1);
  equal(valueOf(await calls.perform("cache_delete", "k")), 0);
  equal(valueOf(await calls.perform("cache_get", "k")), null);
});

Deno.test("counters count from nothing, from a number that was set, and back", async () => {
  await using calls = await Calls.start();
  equal(valueOf(await calls.perform("cache_incr", "n", 1n)), 1n);
  equal(valueOf(await calls.perform("cache_incr", "n", -5n)), -4n);
  equal(textOf(await calls.perform("cache_get", "n")), "-4");
  await calls.perform("cache_set", "n", utf8("41"), 0);
  equal(valueOf(await calls.perform("cache_incr", "n", 1n)), 42n);
  const counts = await Promise.all(
    Array.from({ length: 50 }, () => calls.performer().perform(["cache_incr", "many", 2n], scopeOf())),
  );
  deepEqual(counts.map(valueOf).map(Number).toSorted((a, b) => a - b), Array.from({ length: 50 }, (_, i) => 2 * i + 2));
});

Deno.test("what is no number is neither counted nor overwritten", async () => {
  await using calls = await Calls.start();
  await calls.perform("cache_set", "k", utf8("not a number"), 0);
  refused(await calls.perform("cache_incr", "k", 1n), "WRONG_TYPE");
  equal(textOf(await calls.perform("cache_get", "k")), "not a number");
  await calls.perform("cache_set", "k", utf8("9007199254740991"), 0);
  refused(await calls.perform("cache_incr", "k", 1n), "WRONG_TYPE");
});

Deno.test("keys, values, times and steps that cannot be are refused", async () => {
  await using calls = await Calls.start();
  for (const key of ["", "k".repeat(256), "k".repeat(5_000), "\ud800"]) {
    refused(await calls.perform("cache_get", key), "INVALID_REQUEST", "key: ");
    refused(await calls.perform("cache_set", key, utf8("x"), 0), "INVALID_REQUEST", "key: ");
    refused(await calls.perform("cache_delete", key), "INVALID_REQUEST", "key: ");
    refused(await calls.perform("cache_incr", key, 1n), "INVALID_REQUEST", "key: ");
  }
  refused(await calls.perform("cache_set", "k", noise(MAX_VALUE + 1), 0), "BODY_TOO_LARGE", "value: ");
  refused(await calls.perform("cache_set", "k", noise(16 * 2 ** 20 + 1), 0), "INVALID_REQUEST", "value: must have");
  for (const ttl of [-1, NaN, Infinity, 1n, "1", null]) {
    refused(await calls.perform("cache_set", "k", utf8("x"), ttl), "INVALID_REQUEST", "ttl: ");
  }
  refused(await calls.perform("cache_set", "k", utf8("x"), 1e12), "INVALID_REQUEST", "ttl");
  for (const by of [2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, 10n ** 40n, 1, "1", null]) {
    refused(await calls.perform("cache_incr", "k", by), "INVALID_REQUEST", "by: ");
  }
});

Deno.test("each namespace has a map of its own", async () => {
  await using calls = await Calls.start();
  await calls.performIn("shop-2", "cache_set", "secret", utf8("theirs"), 0);
  for (const key of ["secret", "shop-2/secret", "shop-2.secret", "../shop-2/secret", "shop-2\0secret", "-2.secret"]) {
    equal(valueOf(await calls.perform("cache_get", key)), null, key);
  }
});
