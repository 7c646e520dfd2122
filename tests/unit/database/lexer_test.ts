import { deepEqual, equal } from "node:assert/strict";
import { tokenize, upper } from "../../../services/database/gate/lexer.ts";

const kinds = (sql: string) => tokenize(sql).map(({ kind, value }) => `${kind} ${value}`);

Deno.test("tokenize() tells strings, names, numbers and operators apart as SQLite does", () => {
  deepEqual(kinds(`select 'it''s', "a""b", [c d], \`e\`\`f\`, x'0aF1' from t`), [
    "word SELECT",
    "string it's",
    "operator ,",
    'quoted a"b',
    "operator ,",
    "quoted c d",
    "operator ,",
    "quoted e`f",
    "operator ,",
    "blob x'0aF1'",
    "word FROM",
    "word T",
  ]);
  deepEqual(kinds("1 1.5 .5 1. 1e5 1.5E-3 0x1F 1_000"), [
    "number 1",
    "number 1.5",
    "number .5",
    "number 1.",
    "number 1e5",
    "number 1.5E-3",
    "number 0x1F",
    "number 1_000",
  ]);
  deepEqual(kinds("a->>'$.b' || c<>d<<2!=3"), [
    "word A",
    "operator ->>",
    "string $.b",
    "operator ||",
    "word C",
    "operator <>",
    "word D",
    "operator <<",
    "number 2",
    "operator !=",
    "number 3",
  ]);
});

Deno.test("tokenize() finds comments where SQLite does, also one that never ends", () => {
  deepEqual(kinds("a -- b;'\nc /* ;' */ d /*/ e */ f --"), [
    "word A",
    "comment -- b;'",
    "word C",
    "comment /* ;' */",
    "word D",
    "comment /*/ e */",
    "word F",
    "comment --",
  ]);
  deepEqual(kinds("a /* b ; c"), ["word A", "comment /* b ; c"]);
  deepEqual(kinds("a /*"), ["word A", "illegal /*"]);
  deepEqual(kinds("1 - -2"), ["number 1", "operator -", "operator -", "number 2"]);
});

Deno.test("tokenize() knows ? from numbered and named parameters", () => {
  deepEqual(kinds("? ?1 :a @b $c #d a$b"), [
    "placeholder ?",
    "parameter ?1",
    "parameter :a",
    "parameter @b",
    "parameter $c",
    "parameter #d",
    "word A$B",
  ]);
});

Deno.test("tokenize() calls illegal what SQLite refuses", () => {
  for (
    const sql of ["'open", '"open', "`open", "[open", "x'0'", "x'0g'", "1a", "0x", "!", "{", "\\", "^", "\v", ":", "$ "]
  ) {
    equal(tokenize(sql)[0]?.kind, "illegal", sql);
  }
});

Deno.test("tokenize() takes letters beyond ASCII for names, and a byte order mark for a blank", () => {
  deepEqual(kinds("\ufeffSELECT é, 名前, 😀"), [
    "word SELECT",
    "word é",
    "operator ,",
    "word 名前",
    "operator ,",
    "word 😀",
  ]);
  deepEqual(kinds("a\ufeffb\u00a0c"), ["word A\ufeffB\u00a0C"]);
});

Deno.test("upper() changes ASCII letters alone, so that no other letter becomes part of a keyword", () => {
  equal(upper("ſelect ınto é"), "ſELECT ıNTO é");
});
