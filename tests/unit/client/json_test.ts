import { deepEqual, equal, throws } from "node:assert/strict";
import { parseJson } from "../../../src/client/json.ts";

/** Makes the parser of our own read it. */
const LONG = "9007199254740993";

Deno.test("integers of 64 bits are exact; what is longer, or has a fraction, is a number", () => {
  const cases: [string, unknown][] = [
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740993n],
    ["-9007199254740993", -9007199254740993n],
    ["9223372036854775807", 9223372036854775807n],
    ["-9223372036854775808", -9223372036854775808n],
    ["9223372036854775808", 9223372036854775808],
    ["100000000000000000000", 1e20],
    ["1.2345678901234567", 1.2345678901234567],
    ["1e+21", 1e21],
    ["0.30000000000000004", 0.30000000000000004],
  ];
  for (const [text, value] of cases) {
    equal(parseJson(text), value, text);
    deepEqual(parseJson(`{"a":[${text},"${text}"]}`), { a: [value, text] }, text);
  }
});

Deno.test("around long integers everything reads as JSON.parse reads it", () => {
  const values = [
    {},
    [],
    [[], [{}]],
    { a: null, b: true, c: false, d: -0.5, e: 1e-7 },
    ["", '"', "\\", '\\"', "\\\\", 'a\\"b":[1]', "\n\t\u0000", "\u2028", "𝄞", "\ud834"],
    { "": 1, '"': { "\\": [","] }, "}": "]" },
  ];
  for (const value of values) {
    for (const indent of [0, 2]) {
      const text = JSON.stringify(value, null, indent);
      deepEqual(parseJson(` [ ${text} , ${LONG} ] `), [JSON.parse(text), BigInt(LONG)], text);
    }
  }
});

Deno.test("a member named __proto__ is a member, and of two with one name the last counts", () => {
  const value = parseJson(`{"__proto__":${LONG},"a":1,"a":2}`) as object;
  deepEqual(Object.entries(value), [["__proto__", BigInt(LONG)], ["a", 2]]);
  equal(Object.getPrototypeOf(value), Object.prototype);
});

Deno.test("what is no JSON is refused, long integers or not", () => {
  const wrong = [
    "",
    "{",
    "[",
    '{"a"',
    '{"a":',
    '{"a":1,}',
    "[1,]",
    "[1 2]",
    '{"a":1 "b":2}',
    '"a',
    "01",
    "+1",
    "1.",
    "-",
  ];
  for (const text of [...wrong, "NaN", "Infinity", "undefined", "{a:1}", "'a'", '"\n"', "tru", "<html>", "[1]]"]) {
    throws(() => parseJson(text), SyntaxError, text);
    throws(() => parseJson(`{"a":${LONG},"b":${text}}`), SyntaxError, text);
  }
  throws(() => parseJson(`[${LONG}]]`), SyntaxError);
  throws(() => parseJson(`${LONG} 1`), SyntaxError);
});

Deno.test("a megabyte of backslashes and quotes takes no longer than any other text", () => {
  const value = ["\\".repeat(500_000), '"'.repeat(500_000), '\\"'.repeat(250_000)];
  const start = performance.now();
  deepEqual(parseJson(`[${JSON.stringify(value)},${LONG}]`), [value, BigInt(LONG)]);
  equal(performance.now() - start < 5_000, true);
});
