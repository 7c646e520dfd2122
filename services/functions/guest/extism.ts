import type { LogLevel } from "../../../src/contracts/function_logs.ts";
import type { ExtismName } from "../modules/imports.ts";
import type { Call } from "./call.ts";
import { envOf, type Passage } from "./host_functions.ts";
import type { ImportedCode, Stage } from "./stage.ts";

/** The numbers of levels as plug-in kits compare them: trace is 0. */
const DEBUG = 1;
const encoder = new TextEncoder();

/**
 * What Extism plug-ins import of Extism itself, with its semantics (https://docs.rs/extism-pdk,
 * https://github.com/extism/extism/blob/main/runtime/src/pdk.rs), but for HTTP, which plug-ins have as host calls. Blocks and
 * variables have bounds, and are a call's own.
 *
 * Not by `@extism/extism`: no host can load a library, and that one puts no bounds to blocks.
 */
export function extism(stage: Stage): Record<ExtismName, ImportedCode> {
  // What runs for each few bytes is as short as it can be, and has nothing that could be left half done.
  return {
    input_length: () => BigInt(stage.call.blocks.inputLength),
    input_offset: () => BigInt(stage.call.blocks.input),
    input_load_u8: (offset: bigint) => {
      const { blocks } = stage.call, at = unsigned(offset);
      return at < blocks.inputLength ? blocks.byteAt(blocks.input + at) : 0;
    },
    input_load_u64: (offset: bigint) => {
      const { blocks } = stage.call, at = unsigned(offset);
      return at + 8 <= blocks.inputLength ? blocks.wordAt(blocks.input + at) : 0n;
    },
    length: (begin: bigint) => BigInt(stage.call.blocks.lengthOf(unsigned(begin))),
    length_unsafe: (begin: bigint) => BigInt(stage.call.blocks.lengthOf(unsigned(begin))),
    alloc: stage.imported((call, length: bigint) => BigInt(call.blocks.allocate(unsigned(length)))),
    free: stage.imported((call, begin: bigint) => call.blocks.release(unsigned(begin))),
    load_u8: (offset: bigint) => stage.call.blocks.byteAt(unsigned(offset)),
    load_u64: (offset: bigint) => stage.call.blocks.wordAt(unsigned(offset)),
    store_u8: (offset: bigint, byte: number) => stage.call.blocks.putByte(unsigned(offset), byte),
    store_u64: (offset: bigint, word: bigint) => stage.call.blocks.putWord(unsigned(offset), word),
    output_set: stage.imported((call, offset: bigint, length: bigint) => {
      const range = { offset: unsigned(offset), length: unsigned(length) };
      call.checkOutput(range.length);
      if (range.length > 0 && !call.blocks.range(range.offset, range.length)) mistaken(call, "output_set");
      call.answer = range;
    }),
    error_set: stage.imported((call, begin: bigint) => {
      const at = unsigned(begin);
      if (at !== 0 && !call.blocks.block(at)) mistaken(call, "error_set");
      call.error = at;
    }),
    config_get: stage.imported((call, name: bigint) => {
      const text = textAt(call, name, "config_get");
      const value = text === undefined ? undefined : envOf(call, text);
      return value ? keep(call, value) : 0n;
    }),
    var_get: stage.imported((call, name: bigint) => {
      const text = textAt(call, name, "var_get");
      const value = text === undefined ? undefined : call.variables.get(text);
      return value ? keep(call, value) : 0n;
    }),
    var_set: stage.imported((call, name: bigint, value: bigint) => {
      const text = textAt(call, name, "var_set"), at = unsigned(value);
      const bytes = call.blocks.block(at);
      if (at !== 0 && !bytes) mistaken(call, "var_set");
      if (text !== undefined && !call.variables.set(text, bytes)) {
        call.stop({ end: "trap", message: "the variables of the plug-in have no room for more" });
      }
    }),
    http_request: stage.imported((call) => {
      call.fail("NOT_SUPPORTED", NO_HTTP);
      call.log("error", encoder.encode(NO_HTTP));
      return 0n;
    }),
    http_status_code: () => 0,
    http_headers: () => 0n,
    log_trace: logged(stage, "debug"),
    log_debug: logged(stage, "debug"),
    log_info: logged(stage, "info"),
    log_warn: logged(stage, "warn"),
    log_error: logged(stage, "error"),
    get_log_level: () => DEBUG,
  };
}

const NO_HTTP = "http_request is not there: call the host function http_fetch of extism:host/user";

/** By the offset of a block, for plug-ins. */
export const THROUGH_BLOCKS: Passage = {
  width: 1,
  take: (call, begin) =>
    begin === 0n ? new Uint8Array(0) : call.blocks.block(unsigned(begin as bigint)) ??
      call.fail("INVALID_POINTER", "an offset at which no block begins"),
  give: keep,
};

/** An answer in a block of its own. */
function keep(call: Call, bytes: Uint8Array): bigint {
  const begin = call.blocks.keep(bytes);
  if (begin === 0 && bytes.length > 0) {
    call.fail("RESULT_TOO_LARGE", "the result does not fit into the memory that the plug-in may have");
  }
  return BigInt(begin);
}

/** Offsets and lengths are unsigned; one that a number cannot hold exactly is out of every bound all the same. */
const unsigned = (value: bigint): number => Number(value < 0n ? BigInt.asUintN(64, value) : value);

function textAt(call: Call, begin: bigint, what: string): string | undefined {
  const bytes = call.blocks.block(unsigned(begin));
  return bytes ? call.text(bytes) : mistaken(call, what);
}

/** As in the reference, where these end the call. */
function mistaken(call: Call, what: string): never {
  return call.stop({ end: "trap", message: `${what}: no block of the plug-in is there` });
}

const logged = (stage: Stage, level: LogLevel) =>
  stage.imported((call, begin: bigint) => {
    const bytes = call.blocks.block(unsigned(begin));
    if (bytes) call.log(level, bytes);
  });
