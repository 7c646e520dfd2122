import { equal } from "node:assert/strict";
import { exceededBound } from "../../../../src/contracts/json_text.ts";
import { randomFrom } from "../../cache/support/random.ts";

/** Values in a value, itself among them, and how deep it nests. */
function weighed(value: unknown): { readonly values: number; readonly depth: number } {
  if (typeof value !== "object" || value === null) return { values: 1, depth: 0 };
  const parts = Object.values(value).map(weighed);
  const values = 1 + parts.reduce((sum, part) => sum + part.values, 0);
  return { values, depth: 1 + Math.max(0, ...parts.map(({ depth }) => depth)) };
}

function anyJson(random: () => number, depth = 0): unknown {
  const kind = Math.floor(random() * (depth > 5 ? 3 : 5));
  if (kind === 0) return ["", `"`, "\\", `\\"`, "[{,", "]}", `a\\\\"b`][Math.floor(random() * 7)];
  if (kind < 3) return [null, true, -1.5e10, 0][Math.floor(random() * 4)];
  const parts = Array.from({ length: Math.floor(random() * 4) }, () => anyJson(random, depth + 1));
  return kind === 3 ? parts : Object.fromEntries(parts.map((part, i) => [`${i}",[\\`, part]));
}

Deno.test("depth and values of JSON are told from its text: never too few, and none that are only texts", () => {
  const random = randomFrom(5);
  for (let i = 0; i < 2_000; i++) {
    const value = anyJson(random), text = JSON.stringify(value, null, i % 3);
    const { values, depth } = weighed(value);
    equal(exceededBound(text, { maxDepth: depth, maxValues: Infinity }), undefined, text);
    if (depth > 0) equal(exceededBound(text, { maxDepth: depth - 1, maxValues: Infinity }), "maxDepth", text);
    if (values > 1) equal(exceededBound(text, { maxDepth: 9, maxValues: (values - 1) / 2 }), "maxValues", text);
    equal(exceededBound(text, { maxDepth: 9, maxValues: 2 * values }), undefined, text);
  }
});

Deno.test("text that is no JSON is weighed without harm", () => {
  for (const text of ["", `"`, `"\\`, `"\\"`, "]]]", ",,,", "[".repeat(1_000_000), `${'"\\'.repeat(500_000)}`]) {
    exceededBound(text, { maxDepth: 2, maxValues: 10 });
  }
});
