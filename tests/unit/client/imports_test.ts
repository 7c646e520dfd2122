import { deepEqual, equal, match } from "node:assert/strict";
import manifest from "../../../deno.json" with { type: "json" };
import { importsOf } from "../house/support/imports.ts";
import { filesOf, ROOT } from "../house/support/tree.ts";

const files = filesOf(["src/client"], /\.ts$/);
const imports = await importsOf(files);

Deno.test("the client imports nothing but itself, and Kysely in its dialect alone", () => {
  const foreign = imports.filter(({ to }) => !to.startsWith("src/client/"));
  const allowed = foreign.filter(({ from, to }) =>
    from === "src/client/database/kysely.ts" && /^npm:\/?kysely@/.test(to)
  );
  deepEqual(foreign.filter((one) => !allowed.includes(one)), []);
  equal(allowed.length, 2);
  deepEqual(
    imports.filter(({ to }) => to === "src/client/database/kysely.ts"),
    [],
    "who does not use it needs no Kysely",
  );
});

Deno.test("nothing but the client's own tests and the documentation may need its inside", async () => {
  const others = filesOf(["src", "routes", "middleware", "services", "config"], /\.ts$/)
    .filter((file) => !file.startsWith("src/client/"));
  deepEqual((await importsOf(others)).filter(({ to }) => to.startsWith("src/client/")), []);
});

/** What compiles with this uses what browsers and Node 20 (ES2023) have, and syntax that Node can strip. */
const PLATFORMS = {
  imports: { kysely: manifest.imports.kysely },
  lock: false,
  compilerOptions: {
    ...manifest.compilerOptions,
    lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable"],
    erasableSyntaxOnly: true,
  },
};

async function checkForPlatforms(paths: readonly string[]): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    const config = `${folder}/deno.json`;
    await Deno.writeTextFile(config, JSON.stringify(PLATFORMS));
    const args = ["check", "--quiet", "--config", config, ...paths];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } }).output();
    return success ? "" : new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the client uses what browsers and Node 20 have, and no syntax that is more than types", async () => {
  equal(await checkForPlatforms(files.map((file) => new URL(file, ROOT).pathname)), "");
});

Deno.test("the check for platforms finds what they do not have", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const wrong = {
      "Cannot find name 'Deno'": "export const a = Deno.pid;",
      "Cannot find name 'process'": "export const a = process.pid;",
      "Cannot find name 'Buffer'": "export const a = Buffer.from('');",
      "Property 'withResolvers' does not exist": "export const a = Promise.withResolvers<void>();",
      "Property 'toBase64' does not exist": "export const a = new Uint8Array().toBase64();",
      "erasableSyntaxOnly": "export class A { constructor(readonly b: number) {} }",
    };
    for (const [problem, text] of Object.entries(wrong)) {
      await Deno.writeTextFile(`${folder}/a.ts`, text);
      match(await checkForPlatforms([`${folder}/a.ts`]), new RegExp(problem));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
