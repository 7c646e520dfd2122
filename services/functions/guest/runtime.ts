import type { GuestLoaded, GuestModule, GuestOutcome, GuestTask } from "../parts.ts";
import type { ImportModule, IMPORTS } from "../modules/imports.ts";
import { Call, type Parent } from "./call.ts";
import { wordsOf } from "./endings.ts";
import { extism, THROUGH_BLOCKS } from "./extism.ts";
import { hostFunctions, THROUGH_MEMORY } from "./host_functions.ts";
import { Stage } from "./stage.ts";
import type { Surroundings } from "./surroundings.ts";
import { wasi } from "./wasi.ts";

interface Loaded {
  readonly module: WebAssembly.Module;
  readonly plugIn: boolean;
  readonly entry: string;
}

/** Compiles modules and runs them, one call at a time, each in an instance of its own. */
export class Runtime {
  readonly #stage = new Stage();
  readonly #here: Surroundings;
  readonly #imports: WebAssembly.Imports;
  readonly #loaded = new Map<string, Loaded>();

  constructor(here: Surroundings) {
    this.#here = here;
    this.#imports = importsFor(this.#stage, here);
  }

  /** Compiles a module and remembers it under its name. */
  load({ module, bytes, abi, entry }: GuestModule): GuestLoaded {
    this.#loaded.delete(module);
    try {
      this.#loaded.set(module, { module: compiled(bytes), plugIn: abi === "extism", entry });
      return {};
    } catch (error) {
      return { problem: wordsOf(error) };
    }
  }

  /** Forgets a module that was loaded. */
  forget(module: string): void {
    this.#loaded.delete(module);
  }

  /** Compiles a module and looks whether it could be run, as far as that can be known without running it. */
  check({ bytes, abi, entry }: GuestModule): GuestLoaded {
    try {
      const problem = linkProblem(compiled(bytes), this.#imports, abi === "extism" ? entry : undefined);
      return problem === undefined ? {} : { problem };
    } catch (error) {
      return { problem: wordsOf(error) };
    }
  }

  /**
   * Runs a module to its end, whatever end that is.
   * @throws what went wrong with the pipe to the parent
   */
  run(task: GuestTask, parent: Parent): GuestOutcome {
    const loaded = this.#loaded.get(task.module);
    const call = new Call(task, loaded?.plugIn ?? false, this.#here.monotonic(), parent);
    this.#stage.run(call, () => {
      if (!loaded) return call.stop({ end: "link", message: "the module was not loaded" });
      const { exports } = new WebAssembly.Instance(loaded.module, this.#imports);
      call.memory.adopt(exports);
      this.#checkMemory(call);
      if (loaded.plugIn) callPlugIn(call, exports, loaded.entry);
      else callCommand(exports);
      this.#checkMemory(call);
    });
    return call.outcome(outputOf(call));
  }

  /** Every module comes with a maximum that is no larger. One that did not is told from all others. */
  #checkMemory(call: Call): void {
    const { pages } = call.task.limits;
    if (call.memory.pages <= pages) return;
    call.stop({ end: "memory", message: "" });
  }
}

/** Only these are ever called: `_start`, or `_initialize` and the entry; and an allocator, when bytes are handed over. */
function callCommand({ _start }: WebAssembly.Exports): void {
  if (typeof _start === "function") _start();
}

function callPlugIn(call: Call, exports: WebAssembly.Exports, entry: string): void {
  const { _initialize, [entry]: handle } = exports;
  if (typeof _initialize === "function") _initialize();
  if (typeof handle !== "function") {
    return call.stop({ end: "link", message: `the module exports no function ${JSON.stringify(entry)}` });
  }
  const code = codeOf(handle());
  const message = call.error === 0 ? undefined : call.blocks.block(call.error);
  if (message === undefined && code === 0) return;
  const words = message ? new TextDecoder().decode(message.subarray(0, MAX_MESSAGE)) : "";
  call.stop({ end: "exit", message: words, exitCode: code === 0 ? 1 : code });
}

/** What an entry returned, which may have any type: 0 for success, and for nothing. */
const codeOf = (returned: unknown): number =>
  typeof returned === "bigint" ? Number(returned !== 0n) : typeof returned === "number" ? returned | 0 : 0;

/** Bytes of what a plug-in says of its error. */
const MAX_MESSAGE = 16 * 1024;

function outputOf({ plugIn, answer, blocks, output }: Call): Uint8Array {
  if (!plugIn) return output.bytes();
  return answer && blocks.range(answer.offset, answer.length) || new Uint8Array(0);
}

/** Bytes come through a pipe, never from memory that is shared. */
const compiled = (bytes: Uint8Array) => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);

function importsFor(stage: Stage, here: Surroundings): WebAssembly.Imports {
  const inMemory = hostFunctions(stage, THROUGH_MEMORY);
  const imports = {
    wasi_snapshot_preview1: wasi(stage, here),
    env: { ...inMemory, abort: stage.imported(abort) },
    host: inMemory,
    "extism:host/env": extism(stage),
    "extism:host/user": hostFunctions(stage, THROUGH_BLOCKS),
  } satisfies { readonly [Module in ImportModule]: { readonly [Name in keyof typeof IMPORTS[Module]]: unknown } };
  return imports as unknown as WebAssembly.Imports;
}

/** Characters of a text of AssemblyScript that are looked at. */
const MAX_TEXT = 500;

/** What a program of AssemblyScript ends with (https://www.assemblyscript.org/runtime.html): two texts, a line and a column. */
function abort(call: Call, message: number, file: number, line: number, column: number): never {
  const words = textOf(call, message) ?? "abort", where = textOf(call, file);
  const place = where === undefined ? "" : ` in ${where}(${line >>> 0}:${column >>> 0})`;
  return call.stop({ end: "trap", message: words + place });
}

/** A text of AssemblyScript: UTF-16, with its length in bytes before it; `undefined` for an empty one. */
function textOf({ memory }: Call, pointer: number): string | undefined {
  const length = pointer >>> 0 < 4 ? undefined : memory.place(pointer - 4, 4);
  if (length === undefined) return undefined;
  const bytes = memory.range(pointer, Math.min(2 * MAX_TEXT, memory.view().getUint32(length, true) & ~1));
  return bytes && new TextDecoder("utf-16le").decode(bytes) || undefined;
}

function linkProblem(module: WebAssembly.Module, imports: WebAssembly.Imports, entry?: string): string | undefined {
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const offered = Object.hasOwn(imports, from) && Object.hasOwn(imports[from]!, name);
    if (!offered || kind !== "function") {
      return `it imports ${kind} ${JSON.stringify(`${from}.${name}`)}, which is not there`;
    }
  }
  if (entry === undefined) return undefined;
  const exported = WebAssembly.Module.exports(module).some(({ name, kind }) => name === entry && kind === "function");
  return exported ? undefined : `it exports no function ${JSON.stringify(entry)}`;
}
