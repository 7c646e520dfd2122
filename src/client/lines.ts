import { invalidResponse, OramaError } from "./errors.ts";

/** Characters of one line; a gateway's rows are smaller by far. */
const LONGEST_LINE = 256 * 1024 * 1024;

/**
 * The lines of a text that comes in pieces. The last one counts only where a line feed ends it: otherwise it broke off.
 * @throws whatever reading throws, and `OramaError` `NETWORK_ERROR` for text behind the last line feed
 */
export async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pieces: string[] = [], length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const [first = "", ...lines] = decoder.decode(value, { stream: true }).split("\n");
    pieces.push(first);
    if ((length += first.length) > LONGEST_LINE) throw invalidResponse("a line of it has no end");
    for (const line of lines) {
      yield pieces.join("");
      pieces = [line];
      length = line.length;
    }
  }
  if (length > 0) throw brokenOff();
}

/** An answer whose end did not come. */
export const brokenOff = (cause?: unknown): OramaError =>
  new OramaError("the stream broke off before its end: something of it is missing", { code: "NETWORK_ERROR", cause });
