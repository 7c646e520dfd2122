import { GatewayError } from "../../src/contracts/errors.ts";
import { jsonOf } from "../../src/contracts/json_text.ts";

/**
 * Lines of UTF-8 text as they come, some at a time, without their ends; a byte order mark is left out.
 * @param most characters of one line: read as JSON, it takes many times as much memory
 * @throws GatewayError `INVALID_REQUEST` for what is no UTF-8, and for a longer line
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<string[], void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  /** The beginning of a line whose end has not come yet, in pieces: put together once, however long it is. */
  let begun: string[] = [], length = 0, number = 1;
  for await (const chunk of chunks) {
    const text = decode(decoder, chunk);
    length += text.length;
    begun.push(text);
    if (text.includes("\n")) {
      const lines = begun.join("").split("\n");
      const rest = lines.pop()!;
      const long = lines.findIndex((line) => line.length > most);
      if (long >= 0) throw tooLong("line", number + long, most);
      number += lines.length;
      begun = [rest];
      length = rest.length;
      yield lines;
    }
    if (length > most) throw tooLong("line", number, most);
  }
  const rest = begun.join("") + decode(decoder);
  if (rest !== "") yield [rest];
}

/** The error of a row that is too long as text. @param line from 1, where the row begins or ends */
export const tooLong = (what: "line" | "record", line: number, most: number): GatewayError =>
  wrongBody(
    `line ${line}: a ${what} has more than ${most} characters, which is as much as the body of one statement may have; ` +
      "store larger values in parts, or send a whole database to /v1/rqlite/restore",
    line,
  );

/** The next piece of a text, or its end. @throws GatewayError `INVALID_REQUEST` for what is no UTF-8 */
export function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
  } catch {
    throw wrongBody("it must be text in UTF-8");
  }
}

/**
 * One JSON value per line, some at a time; blank lines are left out.
 * @param most characters of one line
 * @throws GatewayError `INVALID_JSON` that names the line, and as {@link linesOf}
 */
export async function* jsonLinesOf(chunks: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<unknown[], void> {
  let number = 0;
  for await (const lines of linesOf(chunks, most)) {
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

/** The error of a body that cannot be read at all. @param line from 1, where that is known */
export const wrongBody = (problem: string, line?: number): GatewayError =>
  new GatewayError("INVALID_REQUEST", `body: ${problem}`, {
    details: [{ field: "body", problem, ...(line !== undefined && { line }) }],
  });
