import { denoJson, ROOT } from "./tree.ts";

/** One module that another one imports: for its types alone, when it loads, or when it is asked for. */
export interface Import {
  readonly from: string;
  /** As it is written. */
  readonly specifier: string;
  /** A path in the project, or what lies outside of it: `npm:…`, `node:…`. */
  readonly to: string;
}

interface Resolved {
  readonly specifier: string;
}

interface Module {
  readonly specifier: string;
  readonly error?: string;
  readonly dependencies?: readonly { readonly specifier: string; readonly code?: Resolved; readonly type?: Resolved }[];
}

/**
 * Every import of some modules, as Deno itself resolves them: `import`, `import type`, `export … from`, `import()` and types
 * in `import("…")`.
 * @throws Error for one that leads nowhere
 */
export async function importsOf(files: readonly string[]): Promise<Import[]> {
  const folder = await Deno.makeTempDir();
  try {
    const all = `${folder}/all.ts`;
    await Deno.writeTextFile(
      all,
      files.map((file) => `import ${JSON.stringify(new URL(file, ROOT).href)};\n`).join(""),
    );
    const { modules } = await denoJson("info", "--json", "--config", new URL("deno.json", ROOT).pathname, all) as {
      modules: readonly Module[];
    };
    const broken = modules.filter(({ error }) => error !== undefined);
    if (broken.length > 0) throw new Error(broken.map(({ specifier, error }) => `${specifier}: ${error}`).join("\n"));
    const wanted = new Set(files);
    return modules.flatMap(({ specifier: module, dependencies = [] }) => {
      const from = inProject(module);
      if (!wanted.has(from)) return [];
      return dependencies.map(({ specifier, code, type }) => {
        const to = (code ?? type)?.specifier;
        if (to === undefined) throw new Error(`${from} imports ${specifier}, which leads nowhere`);
        return { from, specifier, to: inProject(to) };
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const inProject = (url: string) => url.startsWith(ROOT.href) ? url.slice(ROOT.href.length) : url;
