import { deepEqual, equal, throws } from "node:assert/strict";
import { timeOfInteger, timeOfText } from "../../../services/database/times.ts";
import { present, type StoredValue, textOfBlob, UnpresentableValue } from "../../../services/database/values.ts";

const one = (declared: string | null, ...values: StoredValue[]) =>
  present(["c"], [declared], values.map((value) => [value])).rows.map((row) => row[0]);

Deno.test("present() gives integers as numbers where that is exact, otherwise as bigint", () => {
  deepEqual(one("INTEGER", 1n, 9007199254740991n, 9007199254740992n, -9007199254740992n), [
    1,
    9007199254740991,
    9007199254740992n,
    -9007199254740992n,
  ]);
});

Deno.test("present() decides by the declared type in any case, and by no longer name", () => {
  deepEqual(one("boolean", 1n), [true]);
  deepEqual(one("BoOlEaN", 0n), [false]);
  deepEqual(one("BOOLEAN(1)", 1n), [1]);
  deepEqual(one("DateTime", "2026-01-18"), ["2026-01-18T00:00:00Z"]);
  deepEqual(one("DATETIME(3)", "2026-01-18"), ["2026-01-18"]);
  deepEqual(one("TIMESTAMPTZ", "2026-01-18"), ["2026-01-18"]);
});

Deno.test("present() takes the type of an expression from the first row, as far as that has one", () => {
  const types = (...values: StoredValue[]) => present(["c"], [null], values.map((value) => [value])).types;
  deepEqual(types(1n), ["integer"]);
  deepEqual(types(1), ["real"]);
  deepEqual(types("a"), ["text"]);
  deepEqual(types(new Uint8Array([1])), ["text"]);
  deepEqual(types(null, 1n), [""]);
  deepEqual(types(), [""]);
  deepEqual(one(null, 1n, new Uint8Array([255])), [1, new Uint8Array([255])]);
  deepEqual(one(null, null, new Uint8Array([255])), [null, "\ufffd"]);
});

Deno.test("present() refuses what JSON or RFC 3339 cannot carry", () => {
  for (const value of [Infinity, -Infinity]) throws(() => one(null, value), UnpresentableValue);
  throws(() => one("DATE", 253402300800n), UnpresentableValue);
  throws(() => one("DATE", "2026-01-18 00:00:00+24:00"), UnpresentableValue);
});

Deno.test("textOfBlob() replaces every byte that is no part of a character by itself", () => {
  equal(textOfBlob(new Uint8Array([0xe2, 0x82, 0x61])), "\ufffd\ufffda");
  equal(textOfBlob(new Uint8Array([0xf0, 0x9f, 0x98])), "\ufffd\ufffd\ufffd");
  equal(textOfBlob(new Uint8Array([0xed, 0xa0, 0x80])), "\ufffd\ufffd\ufffd");
  equal(textOfBlob(new Uint8Array([0xc0, 0x80, 0xff])), "\ufffd\ufffd\ufffd");
  equal(textOfBlob(new Uint8Array([0xf4, 0x90, 0x80, 0x80])), "\ufffd".repeat(4));
  equal(textOfBlob(new TextEncoder().encode("\ufeffé\0😀")), "\ufeffé\0😀");
});

Deno.test("timeOfText() keeps nine digits of a fraction and no zeros behind them", () => {
  equal(timeOfText("2026-01-18 10:00:00.000"), "2026-01-18T10:00:00Z");
  equal(timeOfText("2026-01-18T10:00:00.1234567890Z"), "2026-01-18T10:00:00.123456789Z");
  equal(timeOfText("2026-01-18 10:00:00.0000000001"), "2026-01-18T10:00:00Z");
});

Deno.test("timeOfText() knows how long each month is", () => {
  const exists = (date: string) => timeOfText(date) !== "0001-01-01T00:00:00Z";
  deepEqual(["2026-01-31", "2026-04-30", "2024-02-29", "2000-02-29"].map(exists), [true, true, true, true]);
  deepEqual(
    ["2026-01-32", "2026-04-31", "2026-02-29", "1900-02-29", "2026-00-01", "2026-13-01", "2026-01-00"].map(exists),
    Array(7).fill(false),
  );
});

Deno.test("timeOfInteger() counts seconds up to a million million, milliseconds beyond", () => {
  equal(timeOfInteger(0n), "1970-01-01T00:00:00Z");
  equal(timeOfInteger(-62167219200n), "0000-01-01T00:00:00Z");
  equal(timeOfInteger(-1_000_000_000_001n), "1938-04-24T22:13:19.999Z");
  throws(() => timeOfInteger(1_000_000_000_000n), RangeError);
  throws(() => timeOfInteger(-62167219201n), RangeError);
});
