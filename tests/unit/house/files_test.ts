import { deepEqual, ok } from "node:assert/strict";
import { CODE, codeFiles, denoJson, filesOf, ROOT, textOf } from "./support/tree.ts";

/** Files that are longer than is good, each with its reason. */
const LONG: Readonly<Record<string, string>> = {};

Deno.test("no file of the gateway has more than 300 lines without a reason", () => {
  const long = codeFiles().filter((file) => textOf(file).trimEnd().split("\n").length > 300);
  deepEqual(long, Object.keys(LONG));
});

Deno.test("files and folders are named in snake_case", () => {
  const all = [...filesOf([...CODE, "tests"]), "main.ts"].filter((file) =>
    !file.endsWith("/DESIGN.md") && !file.endsWith("/README.md")
  );
  deepEqual(all.filter((file) => !/^([a-z0-9_]+\/)*[a-z0-9_]+(\.[a-z0-9]+)+$/.test(file)), []);
});

Deno.test("a file with tests is named so, or Deno would never run them", () => {
  const lost = filesOf(["tests"], /\.ts$/).filter((file) =>
    !file.endsWith("_test.ts") && !/\/support\//.test(file) && /^Deno\.test\(/m.test(textOf(file))
  );
  deepEqual(lost, []);
});

Deno.test("texts of the project name no folder of somebody's machine", () => {
  const documents = [...Deno.readDirSync(ROOT)].map(({ name }) => name).filter((name) => name.endsWith(".md"));
  const all = [...documents, ...filesOf([...CODE, "docs"]), "main.ts", "deno.json", ...filesOf(["tests"], /\.md$/)];
  const named = all.flatMap((file) =>
    [...textOf(file).matchAll(/(?<![\w.:/])(?:\/(?:work|tmp|home|root|Users|mnt)\/[\w.-]+|[A-Z]:\\\w+)/g)].map((
      [path],
    ) => `${file}: ${path}`)
  );
  deepEqual(named, []);
  ok(all.length > 150);
});

interface Declaration {
  readonly location: { readonly filename: string; readonly line: number };
  readonly declarationKind: string;
  readonly jsDoc?: { readonly doc?: string; readonly tags?: readonly unknown[] };
}

Deno.test("every exported symbol has a doc comment; a route has its summary", async () => {
  const { nodes } = await denoJson("doc", "--json", ...codeFiles()) as {
    nodes: Readonly<
      Record<
        string,
        { readonly symbols: readonly { readonly name: string; readonly declarations: readonly Declaration[] }[] }
      >
    >;
  };
  ok(Object.keys(nodes).length > 150);
  const silent = Object.entries(nodes).flatMap(([url, { symbols }]) =>
    symbols.flatMap(({ name, declarations }) => {
      const own = declarations.filter(({ location, declarationKind }) =>
        location.filename === url && declarationKind === "export"
      );
      // What is only handed on is described where it is made.
      const [first] = own.filter((declaration) => !("kind" in declaration && declaration.kind === "reference"));
      if (!first || own.some(({ jsDoc }) => jsDoc?.doc || jsDoc?.tags?.length)) return [];
      const file = url.slice(ROOT.href.length);
      const isRoute = file.startsWith("routes/") &&
        new RegExp(`^export const ${name} = defineRoute\\(\\{$`, "m").test(textOf(file));
      return isRoute ? [] : [`${file}: ${name}`];
    })
  );
  deepEqual(silent, []);
});
