import { deepEqual } from "node:assert/strict";
import { codeFiles, textOf } from "./support/tree.ts";

/** What the process, not an argument, says: read while a module loads, it could be given by nobody. */
const SURROUNDINGS =
  /^(Deno\.(env|args|cwd|readTextFile(Sync)?|readFile(Sync)?|open(Sync)?|hostname|pid)|process\.(env|argv|cwd))$/;
const FUNCTIONS = new Set(["ArrowFunctionExpression", "FunctionExpression", "FunctionDeclaration"]);

/** Finds, with Deno's own parser, what the house does not do. */
const house: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "no-default-export": {
      create: (context) => ({
        ExportDefaultDeclaration: (node) => context.report({ node, message: "exports a default" }),
        ExportSpecifier(node) {
          if (node.exported.type === "Identifier" && node.exported.name === "default") {
            context.report({ node, message: "exports a default" });
          }
        },
      }),
    },
    "no-computed-import": {
      create: (context) => ({
        ImportExpression(node) {
          if (node.source.type !== "Literal") context.report({ node, message: "imports what only running it tells" });
        },
      }),
    },
    "no-surroundings-at-load": {
      create: (context) => ({
        MemberExpression(node) {
          if (!SURROUNDINGS.test(context.sourceCode.getText(node))) return;
          const around = context.sourceCode.getAncestors(node);
          const later = around.some((ancestor, i) => {
            if (!FUNCTIONS.has(ancestor.type)) return false;
            const parent = around[i - 1];
            const calledAtOnce = parent?.type === "CallExpression" && parent.callee.range[0] === ancestor.range[0];
            return !calledAtOnce;
          });
          const ofInstance = around.some((ancestor) => ancestor.type === "PropertyDefinition" && !ancestor.static);
          if (!later && !ofInstance) {
            context.report({ node, message: `reads ${context.sourceCode.getText(node)} when it loads` });
          }
        },
      }),
    },
  },
};

const problemsIn = (name: string, text: string) =>
  Deno.lint.runPlugin(house, name, text).map(({ message, range }) =>
    `${name}:${text.slice(0, range[0]).split("\n").length} ${message}`
  );

Deno.test("nothing exports a default, imports by a computed name, or reads its surroundings when it loads", () => {
  // They hand over what they were called with.
  const files = codeFiles().filter((file) => file !== "main.ts" && file !== "src/cli/host.ts");
  deepEqual(files.flatMap((file) => problemsIn(file, textOf(file))), []);
});

Deno.test("the check finds what it looks for, and nothing else", () => {
  const found = (text: string) => problemsIn("a.ts", text).length;
  for (
    const wrong of [
      "export default 1;",
      "const a = 1; export { a as default };",
      "const a = './b.ts'; await import(a);",
      "const home = Deno.env.get('HOME');",
      "const text = await Deno.readTextFile('/etc/hosts');",
      "if (true) { const a = Deno.args; }",
      "class A { static home = Deno.env.get('HOME'); }",
      "const home = (() => Deno.env.get('HOME'))();",
      "export const a = { b: [process.env.HOME] };",
    ]
  ) deepEqual(found(wrong), 1, wrong);
  for (
    const right of [
      "export const a = 1;",
      "const b = () => import('./b.ts');",
      "export const home = () => Deno.env.get('HOME');",
      "export function home() { return Deno.env.get('HOME'); }",
      "export class A { home = Deno.env.get('HOME'); read() { return Deno.readTextFile('x'); } }",
      "// Deno.env.get('HOME')\nconst text = 'Deno.env';",
    ]
  ) deepEqual(found(right), 0, right);
});
