/** Beginnings of files that are deployed by mistake, and what to say of them. */
const FILES: readonly (readonly [beginning: string, sentence: string])[] = [
  ["\x1f\x8b", "This is a gzip file, not a WebAssembly module; deploy what is in it."],
  ["\x28\xb5\x2f\xfd", "This is a Zstandard file, not a WebAssembly module; deploy what is in it."],
  ["PK\x03\x04", "This is a zip archive, not a WebAssembly module; deploy the .wasm file that is in it."],
  ["\x7fELF", "This is a program for Linux, not a WebAssembly module; compile it for wasm32-wasip1."],
  ["MZ", "This is a program for Windows, not a WebAssembly module; compile it for wasm32-wasip1."],
  ["\xcf\xfa\xed\xfe", "This is a program for macOS, not a WebAssembly module; compile it for wasm32-wasip1."],
  ["BC\xc0\xde", "This is LLVM bitcode, not a WebAssembly module; deploy what the linker makes of it."],
  ["!<arch>", "This is a library archive, not a WebAssembly module; deploy what the linker makes of it."],
  ["AGFzbQ", "This is a module in base64; deploy the bytes themselves."],
];

/** The same for texts. */
const TEXTS: readonly (readonly [beginning: RegExp, sentence: string])[] = [
  [
    /^\s*(\(;|;;|\(\s*(module|component)\b)/,
    "This is WebAssembly text (WAT); deploy the binary that wat2wasm makes of it.",
  ],
  [/^\s*([{[<#]|data:)/, "This is a text, not a WebAssembly module; deploy the .wasm file."],
];

/**
 * Why bytes do not begin as a WebAssembly module of version 1 does; `undefined` where they do.
 * See https://webassembly.github.io/spec/core/binary/modules.html#binary-module
 */
export function disguise(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return "The module is empty.";
  const head = String.fromCharCode(...bytes.subarray(0, 64));
  if (!head.startsWith("\0asm")) {
    return FILES.find(([beginning]) => head.startsWith(beginning))?.[1] ??
      TEXTS.find(([beginning]) => beginning.test(head))?.[1] ??
      "This is not a WebAssembly module: it does not begin with \\0asm.";
  }
  if (bytes.length < 8) return "The module is cut off within its first 8 bytes.";
  const [low, high, layer, more] = bytes.subarray(4, 8) as unknown as [number, number, number, number];
  if (layer === 1 && more === 0) {
    return "This is a WebAssembly component (WASI preview 2); functions are core modules: compile it for wasm32-wasip1.";
  }
  const version = low + high * 256 + layer * 2 ** 16 + more * 2 ** 24;
  return version === 1
    ? undefined
    : `The module is of WebAssembly's binary version ${version}; only version 1 is taken.`;
}
