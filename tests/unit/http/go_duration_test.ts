import { equal } from "node:assert/strict";
import { parseGoDuration } from "../../../src/http/go_duration.ts";

Deno.test("spans of time are read as Go writes them", () => {
  const spans: readonly [string, number][] = [
    ["0", 0],
    ["+0", 0],
    ["0s", 0],
    ["0.0ns", 0],
    ["1ns", 1e-6],
    ["1us", 1e-3],
    ["1\u00b5s", 1e-3],
    ["1\u03bcs", 1e-3],
    ["1ms", 1],
    ["2s", 2_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["1.5h", 5_400_000],
    ["1.s", 1_000],
    [".5s", 500],
    ["1h1h", 7_200_000],
    ["1h30m5s", 5_405_000],
    ["3s2h1ns", 7_203_000.000001],
    ["+2s", 2_000],
    ["-1s", -1_000],
    ["-.5s", -500],
    ["007s", 7_000],
    ["99999999h", 99_999_999 * 3_600_000],
  ];
  for (const [text, milliseconds] of spans) equal(parseGoDuration(text), milliseconds, text);
  equal(Math.abs(parseGoDuration("-0")!), 0);
});

Deno.test("what Go would not read is none", () => {
  const texts = [
    "",
    " ",
    "1",
    "-1",
    "s",
    ".s",
    "+",
    "-",
    ".",
    "--1s",
    "+-1s",
    " 1s",
    "1s ",
    "1 s",
    "1s 1s",
    "1e3s",
    "1,5s",
    "1S",
    "1d",
    "1w",
    "1sec",
    "1..5s",
    "1.5.5s",
    "0x1s",
    "Infinitys",
    "NaN",
    "\u0661s",
    "1\u00b5",
    "1s\u0000",
    "1s\n",
    "00",
    "0h0",
    "1h".repeat(33),
    "9".repeat(64) + "s",
  ];
  for (const text of texts) equal(parseGoDuration(text), undefined, JSON.stringify(text));
});

Deno.test("a hostile text takes no time", () => {
  for (const text of ["1".repeat(1e6), "1h".repeat(5e5) + "x", ".".repeat(1e6)]) {
    equal(parseGoDuration(text), undefined);
  }
});
