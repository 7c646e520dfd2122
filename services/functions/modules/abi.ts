import type { FunctionAbi } from "../../../src/contracts/functions.ts";
import type { Contents } from "./contents.ts";
import { listed, refused, shown } from "./refusals.ts";

const COMMAND = "() -> ()";
const PLUG_IN = "() -> i32";

/** What compilers export beside what a plug-in offers. */
const NO_ENTRY = /^(_start|_initialize|__.*|hs_init|orama_alloc|malloc|main)$/;

/**
 * How a module is called, and at which export.
 * @throws GatewayError `MODULE_INVALID` that says which export is missing, and which there are
 */
export function abiOf(
  contents: Contents,
  entry: string | undefined,
): { readonly abi: FunctionAbi; readonly entry: string } {
  return contents.imports.some(({ module }) => module === "extism:host/env")
    ? { abi: "extism", entry: plugInEntry(contents, entry) }
    : { abi: "wasi", entry: commandEntry(contents, entry) };
}

function commandEntry({ exports }: Contents, entry: string | undefined): string {
  if (entry !== undefined && entry !== "_start") {
    throw refused(
      `The module is a WASI command, which begins at _start; an entry (${
        shown(entry)
      }) can be named for Extism plug-ins alone.`,
    );
  }
  const start = exports.get("_start");
  if (start?.type === COMMAND) return "_start";
  if (start) throw refused(`The module exports _start as ${told(start)}, and it must be a function ${COMMAND}.`);
  if (exports.has("_initialize")) {
    throw refused("The module exports _initialize and no _start: it is a library; compile it as a command.");
  }
  const names = [...exports].flatMap(([name, { kind }]) => kind === "function" ? [name] : []);
  throw refused(
    `The module has no _start, as a WASI command has one, and imports nothing of extism:host/env, as an Extism plug-in does; ` +
      (names.length === 0 ? "it exports no function." : `it exports ${listed(names)}.`),
  );
}

function plugInEntry({ exports }: Contents, entry: string | undefined): string {
  if (entry !== undefined) {
    const named = exports.get(entry);
    if (named?.type === PLUG_IN || named?.type === COMMAND) return entry;
    throw refused(
      named
        ? `The plug-in exports ${shown(entry)} as ${told(named)}, and its entry must be a function ${PLUG_IN}.`
        : `The plug-in exports no ${shown(entry)}; ${offered(candidates(exports))}.`,
    );
  }
  const found = candidates(exports);
  if (found.length === 1) return found[0]!;
  const handle = exports.get("handle")?.type;
  if (handle === PLUG_IN || handle === COMMAND) return "handle";
  throw refused(`The plug-in does not say where it begins: name its entry, or export it as handle; ${offered(found)}.`);
}

const candidates = (exports: Contents["exports"]): string[] =>
  [...exports].flatMap(([name, { type }]) => type === PLUG_IN && !NO_ENTRY.test(name) ? [name] : []);

const offered = (names: readonly string[]): string =>
  names.length === 0 ? `it exports no function ${PLUG_IN}` : `it could be ${listed(names)}`;

const told = ({ kind, type }: { readonly kind: string; readonly type: string | undefined }): string =>
  type ?? `a ${kind}`;
