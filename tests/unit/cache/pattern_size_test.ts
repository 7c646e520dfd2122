import { equal, ok } from "node:assert/strict";
import { RE2JS } from "re2js";
import { expandedSize } from "../../../services/cache/pattern_size.ts";

Deno.test("repetitions count as if they were written out, and nothing else does", () => {
  for (
    const [pattern, size] of [
      ["", 0],
      ["abc", 3],
      ["a{1000}", 1_000],
      ["a{2,5}b", 6],
      ["a{3,}", 3],
      ["a{0}", 1],
      ["(ab){10}", 20],
      ["(?:a{3}b){5}c", 21],
      ["(?P<name>a){4}", 4],
      ["((a{10}){10}){9}", 900],
      ["[a-z]{5}", 5],
      ["[]a{9}]{3}", 3],
      ["[^]a{9}]{3}", 3],
      ["[\\]{9}]{3}", 3],
      ["[[:alpha:]{9}]{3}", 3],
      ["\\p{Greek}{4}", 4],
      ["\\x{10FFFF}{7}", 7],
      ["\\{9}", 3],
      ["a\\\\{9}", 10],
      ["😀{3}", 3],
      ["a{,9}", 5],
      ["a{9", 3],
    ] as const
  ) equal(expandedSize(pattern), size, pattern);
});

Deno.test("it is near to what a compiler makes of a pattern", () => {
  for (
    const pattern of [
      "^user:[0-9]+$",
      "(?:[a-z]{10}){50}",
      "(?i)(foo|bar){20}\\.[\\w-]{1,30}$",
      "\\Qa{5}b\\E{3}",
      "((a?){10}){10}",
      ".{300}",
      "x".repeat(900),
    ]
  ) {
    const size = RE2JS.compile(pattern).programSize(), guess = expandedSize(pattern);
    ok(guess >= size / 3 - 10 && guess <= size * 2 + 10, `${pattern}: ${guess} for ${size}`);
  }
});

Deno.test("what is no pattern has some size", () => {
  for (const wrong of ["(", ")", "[", "\\", "\\p{", "{3}", "(?", "(?P<", "\\Q", "a**", "[[:"]) {
    ok(expandedSize(wrong) <= wrong.length, wrong);
  }
  for (const char of ["(", "[", "\\Q", "{", "\\p{", "[[:", "(?:", "[[:a:]", "[\\p{a}"]) {
    ok(expandedSize(char.repeat(300)) <= 2_100, char);
  }
  // A class without an end is looked at once, not in every way in which its escapes can be read.
  equal(expandedSize("[" + "\\p{a}".repeat(190)), 191);
});
