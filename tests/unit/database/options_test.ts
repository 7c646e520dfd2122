import { deepEqual, equal } from "node:assert/strict";
import { z } from "zod";
import { readOptions } from "../../../routes/database/options.ts";

const schema = z.object(readOptions);

Deno.test("spans of time are milliseconds, or durations as Go writes them, in whole milliseconds", () => {
  const good: [unknown, number][] = [
    [1, 1],
    [250, 250],
    ["500ms", 500],
    ["2s", 2_000],
    ["1.5s", 1_500],
    ["1m30s", 90_000],
    ["1h1m1s1ms", 3_661_001],
    ["0.1ms", 1],
    ["0m2s", 2_000],
  ];
  for (const [given, milliseconds] of good) {
    deepEqual(schema.parse({ timeout: given, freshness: given }), { timeout: milliseconds, freshness: milliseconds });
  }
  const bad = [
    0,
    -1,
    1.5,
    NaN,
    "",
    "0s",
    "0h0m",
    "2",
    "2 s",
    " 2s",
    "-2s",
    "+2s",
    "1e3ms",
    "2S",
    "2us",
    "s",
    ".5s",
    "1d",
    [],
    {},
    true,
  ];
  for (const given of bad) {
    const { success, error } = schema.safeParse({ timeout: given });
    equal(success, false, String(given));
    equal(error!.issues[0]!.path.join("."), "timeout");
  }
});

Deno.test("what is null or missing is left to the namespace's settings", () => {
  deepEqual(schema.parse({}), {});
  const nothing = { level: undefined, freshness: undefined, timeout: undefined };
  deepEqual(schema.parse({ level: null, freshness: null, timeout: null }), nothing);
});

Deno.test("a level is one of four words", () => {
  for (const level of ["none", "weak", "linearizable", "strong"]) equal(schema.parse({ level }).level, level);
  for (const level of ["", "Strong", "auto", 1, ["none"]]) equal(schema.safeParse({ level }).success, false);
});
