import type { GuestOutcome } from "../parts.ts";

/** How a call ended, and why. */
export type Ending = Pick<GuestOutcome, "end" | "message" | "exitCode">;

/** `(module (func (export "f") unreachable))` */
const TRAPPING = new Uint8Array([
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0],
  ...[7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11],
]);

function trapped(): Error {
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(TRAPPING)).exports;
  try {
    (f as () => void)();
  } catch (error) {
    return error as Error;
  }
  throw new Error("unreachable was reached");
}

/**
 * What imports throw to end the call that runs; how it ended stands in the call. It is the error of a real trap, because a module
 * that knows exception handling catches any other with `catch_all`, and goes on: V8 marks the errors of its traps as uncatchable
 * for WebAssembly, and keeps the mark when they are thrown again.
 */
export const STOP: Error = trapped();

/** Traps in which a module that got no more memory ends: it gives up, or uses the address that it was not given. */
const STARVED: ReadonlySet<string> = new Set(["unreachable", "memory access out of bounds"]);

/**
 * What something that was thrown means for a call.
 * @param scarce whether its memory is as large as it may become, or nearly; asked only where it matters
 */
export function endingOf(error: unknown, scarce: () => boolean): Ending {
  const message = wordsOf(error);
  if (error instanceof WebAssembly.LinkError) return { end: "link", message };
  if (error instanceof RangeError && message.includes("call stack")) return { end: "stack", message };
  if (error instanceof RangeError && /out of memory|allocation failed/i.test(message)) {
    return { end: "memory", message };
  }
  return { end: STARVED.has(message) && scarce() ? "memory" : "trap", message };
}

/** Characters of the words of an engine: they may quote names out of a module. */
const MAX_WORDS = 1_000;

/** What an engine says of an error, without the name of the function of JavaScript that said it. */
export function wordsOf(error: unknown): string {
  // An exception of the module's own is no Error and has no words.
  if (!(error instanceof Error)) return "an exception that nothing caught";
  const words = error.message.startsWith("WebAssembly.") ? error.message.replace(/^[\w.]+\(\): /, "") : error.message;
  return words.slice(0, MAX_WORDS);
}
