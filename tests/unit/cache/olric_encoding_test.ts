import { Buffer } from "node:buffer";
import { deepEqual, equal, notEqual, ok, throws } from "node:assert/strict";
import type { CacheValue } from "../../../src/contracts/cache.ts";
import {
  decodeEntry,
  decodeValue,
  encodeValue,
  entryOf,
  holds,
  mapName,
  prefixOf,
} from "../../../services/cache/olric/encoding.ts";
import { entry } from "./support/fake_olric.ts";

const bytesOf = (payload: string | Buffer) => Buffer.from(payload as string);
/** What becomes of a value on its way through a member. */
const through = (value: CacheValue, key = "k") =>
  decodeValue(decodeEntry(entry(key, bytesOf(encodeValue(value, key))), key)!);
const plain = (stored: Uint8Array) => decodeValue({ stored, size: stored.length + 30 });

Deno.test("an entry that a member sent is read: value, version, end", () => {
  const recorded = "036bc3a9000001ba60d3387b18ea2c8652518fa90000000000000000000000077b2261223a317d";
  deepEqual(entryOf(decodeEntry(Uint8Array.fromHex(recorded), "ké")!), {
    value: { json: '{"a":1}' },
    version: "1795296356878880681",
    expiresAt: 1_900_000_000_123,
  });
  const empty = "0165000000000000000018ea2c86528390c8000000000000000000000000";
  deepEqual(entryOf(decodeEntry(Uint8Array.fromHex(empty), "e")!), {
    value: { json: '""' },
    version: "1795296356882157768",
    expiresAt: undefined,
  });
});

Deno.test("the entry of another key, which the engine takes for this one, is none", () => {
  equal(decodeEntry(entry("victim", '"secret"'), "collides"), undefined);
  equal(decodeEntry(entry("victim", '"secret"'), "victi"), undefined);
});

Deno.test("what is no entry is refused, wherever it was cut off", () => {
  const whole = entry("key", '{"a":1}');
  for (let length = 0; length < whole.length; length++) {
    throws(() => decodeEntry(whole.subarray(0, length), "key"), RangeError);
  }
  throws(() => decodeEntry(Buffer.concat([whole, whole]), "key"), RangeError);
  throws(() => decodeEntry(new Uint8Array(200).fill(255), "key"), RangeError);
});

Deno.test("JSON is stored as its text, so that other programs can read it", () => {
  equal(encodeValue({ json: '{"a": 1.10}' }, "k"), '{"a": 1.10}');
  deepEqual(through({ json: '"é 🎉 \u2028"' }), { json: '"é 🎉 \u2028"' });
});

Deno.test("bytes come back with their media type, whatever they are", () => {
  for (
    const bytes of [new Uint8Array(), Uint8Array.of(0), Uint8Array.of(0, 1, 255), new TextEncoder().encode('{"a":1}')]
  ) {
    for (const type of ["a/b", "application/json", "text/plain; charset=utf-8", `x/${"y".repeat(253)}`]) {
      const value = through({ bytes, type });
      deepEqual(value, { bytes, type });
      ok("bytes" in value && value.bytes.buffer.byteLength === value.bytes.byteLength, "a copy of its own");
    }
  }
});

Deno.test("what other programs stored comes back: text as a string, other bytes as bytes", () => {
  const text = (value: string) => plain(new TextEncoder().encode(value));
  deepEqual(text("hello"), { json: '"hello"' });
  deepEqual(text(""), { json: '""' });
  deepEqual(text("NaN"), { json: '"NaN"' });
  deepEqual(text("1 2"), { json: '"1 2"' });
  deepEqual(text("\ufeff1"), { json: '"\ufeff1"' });
  deepEqual(text('{"a":'), { json: '"{\\"a\\":"' });
  deepEqual(text("12.50"), { json: "12.50" });
  const unknown = (...bytes: number[]) =>
    deepEqual(plain(Uint8Array.from(bytes)), {
      bytes: Uint8Array.from(bytes),
      type: "application/octet-stream",
    });
  unknown(0xff, 0xfe);
  unknown(0xc3);
});

Deno.test("bytes that begin as ours do, and are not, are no reason to fail", () => {
  for (const bytes of [[0], [0, 3, 65], [0, 255], [1], [1, 0], [1, 1, 65], [0, 0, 1], [0, 1, 10, 1], [2]]) {
    const value = plain(Uint8Array.from(bytes));
    ok("json" in value || value.bytes.length === bytes.length, String(bytes));
  }
});

Deno.test("no entry is as large as the tables of a member may be, for which it would allocate tables without end", () => {
  for (const table of [65_536, 100_000, 524_288]) {
    for (const key of ["k", "ké", "x".repeat(255)]) {
      for (let off = -9; off <= 9; off++) {
        const length = table - 29 - Buffer.byteLength(key) + off;
        for (const blanks of [0, 1, 2, 3]) {
          const json = `"${"x".repeat(length - 2 - blanks)}"${" ".repeat(blanks)}`;
          const stored = bytesOf(encodeValue({ json }, key));
          notEqual(29 + Buffer.byteLength(key) + stored.length, table);
          ok(stored.length - length <= 1);
          const value = through({ json }, key);
          ok("json" in value && value.json === json, `${table} ${key} ${off} ${blanks}`);
        }
        const bytes = new Uint8Array(length - 5).fill(7);
        const stored = bytesOf(encodeValue({ bytes, type: "a/b" }, key));
        notEqual(29 + Buffer.byteLength(key) + stored.length, table);
        const value = through({ bytes, type: "a/b" }, key);
        ok("bytes" in value && value.bytes.length === bytes.length && value.type === "a/b");
      }
    }
  }
});

Deno.test("JSON with characters of several bytes is measured in bytes", () => {
  for (let letters = 21_830; letters < 21_850; letters++) {
    const json = `"${"€".repeat(letters)}"`;
    const stored = bytesOf(encodeValue({ json }, "k"));
    notEqual(30 + stored.length, 65_536);
    deepEqual(through({ json }), { json });
  }
});

Deno.test("whether an entry is what was sent is told by its bytes", () => {
  const found = decodeEntry(entry("k", "1"), "k")!;
  ok(holds(found, "1"));
  ok(holds(found, Buffer.from("1")));
  ok(!holds(found, "1 ") && !holds(found, ""));
});

Deno.test("maps of two namespaces, and of two kinds, never have one name", () => {
  const names = new Set<string>();
  const parts = ["a", "ab", "b", "a/d", "a/d/b", "d", "d/", "/d/", "1:a", "1:a/d/", "/", ":"];
  for (const namespace of parts) {
    for (const kind of ["d", "l", "f", "w"] as const) for (const map of parts) names.add(mapName(namespace, kind, map));
  }
  equal(names.size, parts.length ** 2 * 4);
  for (const one of parts) {
    for (const other of parts) {
      if (one !== other) ok(!mapName(one, "d", "m").startsWith(prefixOf(other)), `${one} ${other}`);
    }
  }
});
