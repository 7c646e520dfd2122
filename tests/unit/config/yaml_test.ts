import { deepEqual, equal, match, ok } from "node:assert/strict";
import { lineAt, MAX_CHARACTERS, parseYaml, toPlain, type YamlNode } from "../../../config/yaml.ts";

function rootOf(text: string): YamlNode {
  const { root, problems } = parseYaml(text);
  deepEqual(problems, []);
  ok(root);
  return root;
}

function problemOf(text: string): { readonly line: number; readonly problem: string } {
  const { problems } = parseYaml(text);
  equal(problems.length > 0, true, "a problem was expected");
  return problems[0]!;
}

Deno.test("parseYaml() knows the line of every part", () => {
  const root = rootOf("a:\n  b:\n    - 1\n    - c: 2\n      d: 3\n# end\ne: {f: [\n  5, 6]}\n");
  deepEqual(toPlain(root), { a: { b: [1, { c: 2, d: 3 }] }, e: { f: [5, 6] } });
  equal(lineAt(root, ["a"]), 1);
  equal(lineAt(root, ["a", "b"]), 2);
  equal(lineAt(root, ["a", "b", 1]), 4);
  equal(lineAt(root, ["a", "b", 1, "d"]), 5);
  equal(lineAt(root, ["e", "f", 1]), 8);
  equal(lineAt(root, ["a", "b", 1, "missing", 7]), 4);
});

Deno.test("parseYaml() counts lines the same with CRLF and a byte order mark", () => {
  const root = rootOf("\uFEFFa: 1\r\nb:\r\n  c: x\r\n");
  deepEqual(toPlain(root), { a: 1, b: { c: "x" } });
  equal(lineAt(root, ["b", "c"]), 3);
});

Deno.test("parseYaml() takes all keys as texts and none of YAML 1.1's surprises", () => {
  deepEqual(toPlain(rootOf("1: a\nyes: no\nt: 12:30:45\nn: 010\nd: 2024-01-01\n")), {
    1: "a",
    yes: "no",
    t: "12:30:45",
    n: 10,
    d: "2024-01-01",
  });
  deepEqual(toPlain(rootOf("%YAML 1.1\n---\na: yes\n<<: {b: 1}\n")), { a: "yes", "<<": { b: 1 } });
});

Deno.test("an empty text has no root", () => {
  for (const text of ["", "\n\n", "# only a comment\n", "\uFEFF"]) deepEqual(parseYaml(text), { problems: [] });
});

Deno.test("a key given twice is refused with both lines, as text and number alike", () => {
  deepEqual(parseYaml("a: 1\nb: 2\na: 3\n").problems, [{ line: 3, problem: 'the key "a" is given twice (line 1)' }]);
  deepEqual(parseYaml('1: a\n"1": b\n').problems, [{ line: 2, problem: 'the key "1" is given twice (line 1)' }]);
});

Deno.test("`__proto__` is refused as a key wherever it stands, and pollutes nothing", () => {
  const { root, problems } = parseYaml('__proto__: {polluted: 1}\na:\n  - {"__proto__": {polluted: 1}}\n');
  deepEqual(problems.map(({ line }) => line), [1, 3]);
  deepEqual(Object.keys(toPlain(root!) as object), ["a"]);
  equal(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("bad YAML is refused with its line and without a word of what stands there", () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ["a: 1\n\tb: hunter2\n", 2, /tabs/],
    ["a: [1, hunter2\nb: 2\n", 2, /not valid YAML/],
    ['a: 1\nb: "hunter2\n', 2, /not valid YAML/],
    ["a: 1\nb: *hunter2\n", 2, /alias.*quotes/],
    ["a: 1\nb: !hunter2\n", 2, /tag.*quotes/],
    ["a: 1\nb: %hunter2\n", 2, /quotes/],
    ["a: 1\nb: @hunter2\n", 2, /quotes/],
    ["a: 1\nb: hunter2: x\n", 2, /not valid YAML/],
    ["a: 'x' hunter2\n", 1, /not valid YAML/],
    ["a: 1\n---\nb: hunter2\n", 2, /more than one YAML document/],
    ["a: !!binary aHVudGVyMg==\n", 1, /not valid YAML/],
    ["a: !!js/function 'hunter2'\n", 1, /not valid YAML/],
    ["? [hunter2]\n: 1\n", 1, /key/],
    ["a: 1\n  b: hunter2\n", 1, /not valid YAML/],
    ["a:\n  - 1\n b: hunter2\n", 3, /not valid YAML/],
  ];
  for (const [text, line, problem] of cases) {
    const { problems } = parseYaml(text);
    equal(problems[0]?.line, line, `${text}${problems[0]?.problem}`);
    match(problems[0].problem, problem);
    equal(JSON.stringify(problems).includes("hunter2"), false, JSON.stringify(problems));
  }
});

Deno.test("an alias shares its value, and is refused inside of itself", () => {
  deepEqual(toPlain(rootOf("a: &x [1, 2]\nb: *x\nc: &x 5\nd: *x\n")), { a: [1, 2], b: [1, 2], c: 5, d: 5 });
  match(problemOf("a: &x\n  - 1\n  - *x\n").problem, /alias/);
  equal(lineAt(rootOf("a: &x 1\nb: *x\n"), ["b"]), 2);
});

Deno.test("aliases that unfold into billions of values are refused at once", () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `l${i}: &l${i} [${Array(10).fill(i === 0 ? "x" : `*l${i - 1}`).join(", ")}]`,
  );
  const start = performance.now();
  match(problemOf(levels.join("\n")).problem, /more than 100000 values/);
  ok(performance.now() - start < 20_000);
});

Deno.test("depth is limited, that of aliases of aliases included", () => {
  match(problemOf("a: " + "[".repeat(100) + "]".repeat(100)).problem, /nested deeper than 32/);
  const chain = Array.from({ length: 60 }, (_, i) => `l${i}: &l${i} [${i === 0 ? "x" : `*l${i - 1}`}]`);
  match(problemOf(chain.join("\n")).problem, /nested deeper than 32/);
});

Deno.test("hostile sizes end in a problem and not in a crash", () => {
  match(problemOf("a: " + "x".repeat(MAX_CHARACTERS)).problem, /longer than/);
  match(problemOf("[".repeat(200_000)).problem, /nested too deeply/);
  match(problemOf("{a: ".repeat(50_000)).problem, /./);
  match(problemOf("- ".repeat(50_000)).problem, /./);
  match(problemOf(`[${"0,".repeat(150_000)}]`).problem, /more than 100000 values/);
  equal(parseYaml("]".repeat(10_000)).problems.length, 100);
});
