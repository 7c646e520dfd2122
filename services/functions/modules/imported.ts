import { distance } from "fastest-levenshtein";
import type { Contents, ModuleImport } from "./contents.ts";
import { importedFunction, type ImportModule, IMPORTS } from "./imports.ts";
import { refused, shown } from "./refusals.ts";

const MODULES = Object.keys(IMPORTS) as readonly ImportModule[];
const NAMES = MODULES.flatMap((module) => Object.keys(IMPORTS[module]).map((name) => ({ module, name })));

/** A name as long as this is no typing error. */
const LONGEST = 64;

/** Modules and names that tell for which surroundings a module was made. */
const MADE_FOR: readonly (readonly [imported: RegExp, sentence: string])[] = [
  [
    /^wasi_unstable\./,
    "That is WASI before preview 1, of other layouts; compile it with a tool chain for wasm32-wasip1.",
  ],
  [/^(wasi:|wasi_snapshot_preview2)/, "That is WASI preview 2; compile it for wasm32-wasip1."],
  [/^(wbg|__wbindgen)/, "That is wasm-bindgen's, for browsers; compile it for wasm32-wasip1, without it."],
  [/^(go|gojs)\./, "That is Go's, for browsers; compile it with GOOS=wasip1."],
  [/^GOT\./, "That is for dynamic linking; link it statically."],
  [
    /^env\.(__linear_memory|__stack_pointer|__memory_base)$/,
    "It looks like an object file or a dynamic library; deploy what the linker makes of it.",
  ],
  [/\.memory$/, "A function has a memory of its own, which it exports as memory; link it without --import-memory."],
  [/^wasi\.thread-spawn$/, "A function has one thread; compile it without threads."],
];

const signature = (type: { readonly params: readonly string[]; readonly results: readonly string[] }): string =>
  `(${type.params.join(", ")}) -> ${type.results.length === 1 ? type.results[0] : "()"}`;

const told = ({ module, name }: Pick<ModuleImport, "module" | "name">): string => `${shown(module)}.${shown(name)}`;

/**
 * Holds what a module imports against what there is.
 * @throws GatewayError `MODULE_INVALID` that names the import, what it is, and the one that was most likely meant
 */
export function checkImports({ imports, exports, memory }: Contents): void {
  const unknown = imports.filter(({ module, name }) => importedFunction(module, name) === undefined);
  const [first] = unknown;
  if (first) throw refused(unknownSentence(first, new Set(unknown.map(told)).size - 1));
  for (const each of imports) {
    const wanted = importedFunction(each.module, each.name)!;
    if (each.kind !== "function") {
      throw refused(`The module imports ${told(each)} as a ${each.kind}, and it is a function.`);
    }
    if (each.type !== signature(wanted)) {
      throw refused(`The module imports ${told(each)} as ${each.type}, and it is ${signature(wanted)}.`);
    }
  }
  const user = imports.some(({ module }) => module === "extism:host/env")
    ? undefined
    : imports.find(({ module }) => module === "extism:host/user");
  if (user) {
    throw refused(
      `The module imports ${
        told(user)
      }, which takes blocks of Extism, and nothing of extism:host/env that makes any; ` +
        `a WASI command imports it from env.`,
    );
  }
  const needs = imports.find(({ module, name }) => importedFunction(module, name)?.usesMemory);
  if (!needs || exports.get("memory")?.kind === "memory") return;
  const [other] = [...exports].find(([, { kind }]) => kind === "memory") ?? [];
  const has = memory === undefined
    ? "has no memory"
    : other === undefined
    ? "does not export its memory"
    : `exports its memory as ${shown(other)}`;
  throw refused(`The module imports ${told(needs)}, which uses its memory, and ${has}; it must export one as memory.`);
}

function unknownSentence(first: ModuleImport, others: number): string {
  const more = others > 0 ? ` (and ${others} more that there are not)` : "";
  const what = first.kind === "function" ? "" : ` (a ${first.kind})`;
  const sentence = `The module imports ${told(first)}${what}, which there is not${more}.`;
  const made = MADE_FOR.find(([imported]) => imported.test(`${first.module}.${first.name}`))?.[1];
  if (made !== undefined) return `${sentence} ${made}`;
  const nearest = nearestTo(first);
  if (nearest !== undefined) return `${sentence} Did you mean ${nearest}?`;
  if (MODULES.some((module) => module === first.module)) return sentence;
  return `${sentence} There is something to import from ${MODULES.join(", ")}.`;
}

/** The import that was most likely meant: of the same name elsewhere, or of nearly this name in the same module or elsewhere. */
function nearestTo({ module, name }: ModuleImport): string | undefined {
  if (module.length > LONGEST || name.length > LONGEST) return undefined;
  const scored = NAMES.map((known) => {
    const ofName = distance(name.toLowerCase(), known.name.toLowerCase());
    return { known, ofName, score: ofName * 100 + distance(module, known.module) };
  });
  const best = scored.reduce((least, each) => each.score < least.score ? each : least);
  return best.ofName <= Math.max(2, Math.floor(best.known.name.length / 3)) ? told(best.known) : undefined;
}
