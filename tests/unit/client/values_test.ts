import { deepEqual, equal, throws } from "node:assert/strict";
import { fromBase64 } from "../../../src/client/base64.ts";
import { argsToWire, criteriaToWire, quoteName, real, toWire } from "../../../src/client/database/values.ts";

Deno.test("values go out in the notation of the wire", () => {
  deepEqual(
    argsToWire([null, true, 1, 1.5, "x", 2n ** 63n - 1n, -(2n ** 63n), real(1), new Uint8Array([0, 255])]),
    [
      null,
      true,
      1,
      1.5,
      "x",
      { type: "integer", value: "9223372036854775807" },
      { type: "integer", value: "-9223372036854775808" },
      { type: "float", value: 1 },
      { type: "blob", base64: "AP8=" },
    ],
  );
  deepEqual(toWire(new Date(0), "x"), "1970-01-01T00:00:00.000Z");
});

Deno.test("what no column can hold is refused, and named by its place", () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /args\[1\] is undefined: give null/],
    [NaN, /args\[1\] is NaN/],
    [Infinity, /args\[1\] is Infinity/],
    [real(NaN), /args\[1\]\.value is NaN/],
    [2n ** 63n, /args\[1\] does not fit into 64 bits/],
    [-(2n ** 63n) - 1n, /64 bits/],
    [new Date(NaN), /args\[1\] is an invalid date/],
    [{}, /args\[1\] is an object/],
    [[1], /args\[1\] is an object/],
    [{ type: "integer", value: "1; DROP" }, /args\[1\] is an object/],
    [new ArrayBuffer(1), /args\[1\] is an object/],
    [() => 1, /args\[1\] is a function/],
    [Symbol("x"), /args\[1\] is a symbol/],
  ];
  for (const [value, message] of wrong) throws(() => argsToWire([0, value]), message);
  throws(() => argsToWire(Array(2)), TypeError);
});

Deno.test("a condition that is undefined is refused: it would be one condition less", () => {
  throws(() => criteriaToWire({ id: 1, owner: undefined }), /criteria\.owner is undefined/);
});

Deno.test("a condition on a column named __proto__ is a condition", () => {
  equal(JSON.stringify(criteriaToWire(JSON.parse('{"__proto__":1}'))), '{"__proto__":1}');
});

Deno.test("bytes survive base64, also many", () => {
  for (const size of [0, 1, 2, 3, 0x8000, 0x8001, 200_000]) {
    const bytes = Uint8Array.from({ length: size }, (_, at) => at * 7 % 256);
    const { base64 } = toWire(bytes, "x") as { base64: string };
    deepEqual(fromBase64(base64), bytes);
  }
  const part = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
  deepEqual(toWire(part, "x"), { type: "blob", base64: "AQI=" });
});

Deno.test("a name is quoted so that nothing in it is SQL", () => {
  equal(quoteName("a`b"), "`a``b`");
  equal(quoteName('x"; DROP TABLE y; --'), '`x"; DROP TABLE y; --`');
  for (const wrong of ["", "a\0b"]) throws(() => quoteName(wrong), TypeError);
});
