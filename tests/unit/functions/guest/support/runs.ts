import { Runtime } from "../../../../../services/functions/guest/runtime.ts";
import { realSurroundings, type Surroundings } from "../../../../../services/functions/guest/surroundings.ts";
import { importedFunction } from "../../../../../services/functions/modules/imports.ts";
import type {
  GuestCall,
  GuestLimits,
  GuestNote,
  GuestOutcome,
  GuestReply,
  GuestTask,
} from "../../../../../services/functions/parts.ts";
import type { FunctionAbi } from "../../../../../src/contracts/functions.ts";
import { assembled } from "../../../../support/wat.ts";

/** How a module is run. */
export interface RunOptions {
  readonly abi?: FunctionAbi;
  readonly entry?: string;
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly caller?: string;
  readonly limits?: Partial<GuestLimits>;
  readonly here?: Partial<Surroundings>;
  /** What the parent answers. Default: `null` to everything. */
  readonly answer?: (call: GuestCall) => GuestReply;
}

/** A run, and what the parent saw of it. */
export interface Ran extends GuestOutcome {
  /** The output as text. */
  readonly text: string;
  readonly asked: readonly GuestCall[];
  readonly notes: readonly GuestNote[];
  readonly flushes: number;
}

/** Limits that nothing reaches by chance. */
export const LIMITS: GuestLimits = { pages: 64, output: 1_000_000, log: 100_000, calls: 1_000 };

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** A task as the parent would give it. */
export function taskOf(module: string, { input = "", env = {}, caller = "", limits = {} }: RunOptions): GuestTask {
  return {
    module,
    name: "greet",
    requestId: "11111111-2222-4333-8444-555555555555",
    caller,
    env,
    input: typeof input === "string" ? encoder.encode(input) : input,
    limits: { ...LIMITS, ...limits },
  };
}

/** Runs a module that is loaded, in this process. */
export function runIn(runtime: Runtime, module: string, options: RunOptions = {}): Ran {
  const asked: GuestCall[] = [], notes: GuestNote[] = [];
  let flushes = 0;
  const outcome = runtime.run(taskOf(module, options), {
    call(call) {
      // As the pipe would: bytes are the guest's memory until then.
      asked.push(structuredClone(call) as GuestCall);
      return (options.answer ?? (() => ({ value: null })))(call);
    },
    note: (note) => void notes.push(note),
    flush: () => void flushes++,
  });
  return { ...outcome, text: decoder.decode(outcome.output), asked, notes, flushes };
}

/** Runs the bytes of a module in a runtime of its own. */
export function runBytes(bytes: Uint8Array, options: RunOptions = {}): Ran {
  const runtime = new Runtime({ ...realSurroundings(), ...options.here });
  const { abi = "wasi", entry = abi === "wasi" ? "_start" : "handle" } = options;
  const { problem } = runtime.load({ module: "m", bytes, abi, entry });
  if (problem !== undefined) throw new Error(problem);
  return runIn(runtime, "m", options);
}

/** Runs the text of a module. What it names of the imports as `$module.name` is imported for it. */
export const run = async (text: string, options: RunOptions = {}): Promise<Ran> =>
  runBytes(await module(text), options);

/** Runs the body of `_start`, of a module with a page of memory, with `write`, a bump allocator and all imports that it names. */
export const start = (body: string, options: RunOptions = {}): Promise<Ran> => run(command(body), options);

/** The text of such a module. @param more fields of the module */
export const command = (body: string, more = ""): string => `
  (memory (export "memory") 1 8)
  (global $free (mut i32) (i32.const 32768))
  (func (export "orama_alloc") (param $size i32) (result i32)
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get $size))))
  (func $write (param $at i32) (param $length i32)
    (i32.store (i32.const 32760) (local.get $at))
    (i32.store (i32.const 32764) (local.get $length))
    (drop (call $wasi.fd_write (i32.const 1) (i32.const 32760) (i32.const 1) (i32.const 32756))))
  (func $bytes (param $answer i64)
    (call $write (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))) (i32.wrap_i64 (local.get $answer))))
  (func $i32 (param $value i32)
    (i32.store (i32.const 32740) (local.get $value))
    (call $write (i32.const 32740) (i32.const 4)))
  (func $i64 (param $value i64)
    (i64.store (i32.const 32744) (local.get $value))
    (call $write (i32.const 32744) (i32.const 8)))
  ${more}
  (func (export "_start") ${body})`;

const SHORT: Readonly<Record<string, string>> = {
  wasi: "wasi_snapshot_preview1",
  extism: "extism:host/env",
  user: "extism:host/user",
};

/** The bytes of a module of which the fields are given; `$env.name`, `$wasi.name` and the like are imported with their types. */
export async function module(fields: string): Promise<Uint8Array<ArrayBuffer>> {
  const named = new Set([...fields.matchAll(/\$(env|host|wasi|extism|user)\.(\w+)/g)].map(([whole]) => whole));
  const imports = [...named].map((each) => {
    const [short, name] = each.slice(1).split(".") as [string, string];
    const from = SHORT[short] ?? short;
    return importOf(from, name, each);
  });
  return await assembled("test.wat", `(module ${imports.join("\n")}\n${fields})`);
}

/** The text of an import with its type from the table. */
export function importOf(from: string, name: string, id = ""): string {
  const { params, results } = importedFunction(from, name)!;
  const result = results.length > 0 ? `(result ${results.join(" ")})` : "";
  return `(import "${from}" "${name}" (func ${id} (param ${params.join(" ")}) ${result}))`;
}

/** The numbers that a module wrote with `$i32`. */
export const i32s = ({ output }: Ran): number[] => [...new Int32Array(output.slice().buffer)];

/** The numbers that a module wrote with `$i64`. */
export const i64s = ({ output }: Ran): bigint[] => [...new BigInt64Array(output.slice().buffer)];
