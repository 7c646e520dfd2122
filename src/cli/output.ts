const encoder = new TextEncoder();

/** Writes a line to standard output: what the command was asked for, and nothing else. */
export const out = (text: string): void => writeAll(Deno.stdout, text);

/** Writes a line to standard error: everything that is said beside it. */
export const err = (text: string): void => writeAll(Deno.stderr, text);

/** A command that was called wrongly. Its sentence is all that its reader needs. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = encoder.encode(text + "\n");
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
}
