import { MAX_CHARACTERS } from "./yaml.ts";

/**
 * Reads a configuration or secret file as text; stops beyond 1 MiB, so that a device or a wrong path cannot fill the memory.
 * @throws Error when the file is too long or not UTF-8, Deno.errors when it cannot be read
 */
export function readTextFile(path: string): string {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(MAX_CHARACTERS + 1);
  let length = 0;
  for (let n = file.readSync(bytes); n !== null && n > 0; n = file.readSync(bytes.subarray(length))) length += n;
  if (length > MAX_CHARACTERS) throw new Error(`longer than ${MAX_CHARACTERS} bytes`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch (cause) {
    throw new Error("not UTF-8 text", { cause });
  }
}
