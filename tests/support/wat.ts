import wabt from "wabt";
import { GENERATED } from "../fixtures/functions/generated.ts";

/** Everything that a module of the corpus may use; what an engine does not know it refuses by itself. */
const FEATURES = {
  exceptions: true,
  threads: true,
  memory64: true,
  multi_value: true,
  bulk_memory: true,
  reference_types: true,
  tail_call: true,
  sign_extension: true,
  sat_float_to_int: true,
  mutable_globals: true,
  simd: true,
  extended_const: true,
  function_references: true,
  gc: true,
};

type Wabt = Awaited<ReturnType<typeof wabt>>;
let assembler: Promise<Wabt> | undefined;
const made = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

/**
 * The module that a file of `tests/fixtures/functions/` is the text of, or that is generated under that name there. Each is made
 * once in a process; whoever gets it does not write into it.
 * @param name such as `echo.wat`, or a name in `GENERATED`
 */
export function wasmOf(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const known = made.get(name) ?? make(name);
  made.set(name, known);
  return known;
}

async function make(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const generated = Object.hasOwn(GENERATED, name) ? GENERATED[name] : undefined;
  if (generated) return generated();
  return await assembled(name, await Deno.readTextFile(new URL(`../fixtures/functions/${name}`, import.meta.url)));
}

/** The module of a text. @param name for messages about it */
export async function assembled(name: string, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const module = (await (assembler ??= wabt())).parseWat(name, text, FEATURES);
  try {
    // Modules that no engine takes are wanted too, and so nothing is validated here.
    return new Uint8Array(module.toBinary({ write_debug_names: false }).buffer);
  } finally {
    module.destroy();
  }
}
