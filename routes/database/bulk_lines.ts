import { GatewayError } from "../../src/contracts/errors.ts";
import { jsonOf } from "../../src/http/body.ts";

/** Characters of one line. */
const MAX_LINE = 16 * 2 ** 20;

/**
 * Lines of UTF-8 text as they come, some at a time, without their ends; a byte order mark is left out.
 * @throws GatewayError `INVALID_REQUEST` for what is no UTF-8, or a line without an end
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string[], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  /** The beginning of a line whose end has not come yet, in pieces: put together once, however long it is. */
  let begun: string[] = [], length = 0;
  for await (const chunk of chunks) {
    const text = decode(decoder, chunk);
    length += text.length;
    begun.push(text);
    if (text.includes("\n")) {
      const lines = begun.join("").split("\n");
      const rest = lines.pop()!;
      begun = [rest];
      length = rest.length;
      yield lines;
    } else if (length > MAX_LINE) throw wrongBody(`a line has more than ${MAX_LINE} characters`);
  }
  const rest = begun.join("") + decode(decoder);
  if (rest !== "") yield [rest];
}

/** The next piece of a text, or its end. @throws GatewayError `INVALID_REQUEST` for what is no UTF-8 */
export function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch {
    throw wrongBody("it must be text in UTF-8");
  }
}

/** One JSON value per line, some at a time; blank lines are left out. @throws GatewayError `INVALID_JSON` that names the line */
export async function* jsonLinesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown[], void> {
  let number = 0;
  for await (const lines of linesOf(chunks)) {
    const values: unknown[] = [];
    for (const line of lines) {
      number++;
      if (line.trim() !== "") values.push(parse(line, number));
    }
    if (values.length > 0) yield values;
  }
}

function parse(line: string, number: number): unknown {
  try {
    return jsonOf(line);
  } catch {
    throw new GatewayError("INVALID_JSON", `line ${number}: it must be one JSON value`, {
      details: [{ field: "body", problem: "must be one JSON value per line", line: number }],
    });
  }
}

/** The error of a body that cannot be read at all. */
export const wrongBody = (problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `body: ${problem}`, { details: [{ field: "body", problem }] });
