import { deepEqual, ok } from "node:assert/strict";
import { posix } from "node:path";

const ROOT = new URL("../../../", import.meta.url);
const IMPORT = /\b(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"|\bimport\s*\(\s*"([^"]+)"|^import\s*"([^"]+)"/gm;

/** Where a file may import from, by the folder it lies in; the first rule that fits a file is its own. */
const RULES: readonly { readonly files: RegExp; readonly may: RegExp; readonly libraries?: RegExp }[] = [
  {
    files: /^routes\//,
    may: /^(routes\/|src\/contracts\/|src\/http\/)/,
    libraries: /^(zod|npm:swagger-ui-dist|swagger-ui-dist)/,
  },
  { files: /^middleware\//, may: /^(src\/contracts\/|src\/http\/)/, libraries: /^(zod)$/ },
  { files: /^src\/contracts\//, may: /^src\/contracts\//, libraries: /^$/ },
  { files: /^src\/http\//, may: /^(src\/http\/|src\/contracts\/|src\/app\.ts$)/ },
  { files: /^src\/observability\//, may: /^(src\/observability\/|src\/contracts\/|src\/http\/trace\.ts$)/ },
  { files: /^config\//, may: /^config\// },
];
/** What knows drivers and the configuration. */
const COMPOSITION = /^(main\.ts|src\/(app|container|drivers|gateway|upkeep|build)\.ts|src\/cli\/)/;

interface Import {
  readonly file: string;
  readonly target: string;
  readonly local: boolean;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) yield* sources(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield folder + name;
  }
}

async function imports(): Promise<Import[]> {
  const found: Import[] = [];
  for (const folder of ["src/", "routes/", "middleware/", "services/", "config/"]) {
    for await (const file of sources(folder)) {
      const text = await Deno.readTextFile(new URL(file, ROOT));
      for (const [, from, dynamic, bare] of text.matchAll(IMPORT)) {
        const name = (from ?? dynamic ?? bare)!;
        const local = name.startsWith(".");
        found.push({ file, local, target: local ? posix.join(posix.dirname(file), name) : name });
      }
    }
  }
  return found;
}

const all = await imports();
const shown = ({ file, target }: Import) => `${file} → ${target}`;

Deno.test("the rules see the imports of the house", () => {
  ok(all.length > 500, String(all.length));
});

Deno.test("routes, middlewares, contracts and configuration import only what the house allows them", () => {
  const broken = all.filter(({ file, target, local }) => {
    const rule = RULES.find(({ files }) => files.test(file));
    if (!rule) return false;
    return local ? !rule.may.test(target) : rule.libraries !== undefined && !rule.libraries.test(target);
  });
  deepEqual(broken.map(shown), []);
});

Deno.test("a service imports contracts, its own folder, the control plane and the clients of engines, and never Hono", () => {
  const broken = all.filter(({ file, target, local }) => {
    const [, own] = /^services\/([^/]+)\//.exec(file) ?? [];
    if (own === undefined) return false;
    if (!local) return /^(hono|@hono)/.test(target);
    return !new RegExp(`^(src/contracts/|services/(${own}|control_plane|rqlite)/)`).test(target);
  });
  deepEqual(broken.map(shown), []);
});

Deno.test("only the composition knows services and the configuration", () => {
  const broken = all.filter(({ file, target, local }) =>
    local && !COMPOSITION.test(file) &&
    ((target.startsWith("services/") && !file.startsWith("services/")) ||
      (target.startsWith("config/") && !file.startsWith("config/")))
  );
  deepEqual(broken.map(shown), []);
});

Deno.test("nothing imports the entry point, and nothing reads the environment or a file while it is loaded", async () => {
  deepEqual(all.filter(({ target }) => target === "main.ts").map(shown), []);
  const broken: string[] = [];
  for (const folder of ["src/", "routes/", "middleware/", "services/", "config/"]) {
    for await (const file of sources(folder)) {
      const text = await Deno.readTextFile(new URL(file, ROOT));
      // At the left margin stands what runs when a module is loaded.
      if (/^(?!\s|\/\/|\/\*| \*)[^\n=]*=\s*(await )?Deno\.(env|readTextFile|readFile|openSync|open)\b/m.test(text)) {
        broken.push(file);
      }
    }
  }
  deepEqual(broken, []);
});

Deno.test("every library is pinned to one version, declared once, and used", async () => {
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
    imports: Record<string, string>;
  };
  for (const [name, target] of Object.entries(imports)) {
    ok(/^npm:(@[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+[\w.-]*$/.test(target), `${name}: ${target} is no exact version`);
  }
});

Deno.test("files are named in snake_case, have no default export, and none is longer than 300 lines", async () => {
  const broken: string[] = [];
  for (const folder of ["src/", "routes/", "middleware/", "services/", "config/"]) {
    for await (const file of sources(folder)) {
      const text = await Deno.readTextFile(new URL(file, ROOT));
      if (!/^[a-z0-9_/]+\.ts$/.test(file)) broken.push(`${file}: name`);
      if (/^export default\b/m.test(text)) broken.push(`${file}: default export`);
      if (text.split("\n").length > 301) broken.push(`${file}: ${text.split("\n").length} lines`);
    }
  }
  deepEqual(broken, []);
});
