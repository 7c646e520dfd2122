import { errorOfBody, invalidResponse, isObject, OramaError } from "../errors.ts";
import type { OpenAnswer } from "../http.ts";
import { parseJson } from "../json.ts";
import { brokenOff, linesOf } from "../lines.ts";
import type { Row, SqlValue } from "./values.ts";

/**
 * Rows of an answer in NDJSON: a line with the columns, a line for each row, a line that says that it was all.
 * @throws OramaError the gateway's own, `NETWORK_ERROR` where the end is missing, `INVALID_RESPONSE` for other lines
 */
export async function* rowsOf({ body, close }: OpenAnswer, signal?: AbortSignal): AsyncGenerator<Row, void, void> {
  try {
    let columns: readonly string[] | undefined, count = 0;
    for await (const line of linesOf(body)) {
      const value = parseLine(line);
      if (Array.isArray(value)) {
        if (columns === undefined || value.length !== columns.length) {
          throw invalidResponse("a row without its columns");
        }
        count++;
        // Of columns with one name the last counts, as in other answers; `__proto__` is a name like others.
        yield Object.fromEntries(columns.map((column, at) => [column, value[at] as SqlValue]));
      } else if (isObject(value) && Array.isArray(value.columns) && columns === undefined) {
        columns = value.columns.map(String);
      } else {
        return checkEnd(value, count);
      }
    }
    throw brokenOff();
  } catch (error) {
    if (error instanceof OramaError) throw error;
    throw signal?.aborted ? signal.reason : brokenOff(error);
  } finally {
    close();
  }
}

function parseLine(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    throw invalidResponse("a line of it is no JSON");
  }
}

function checkEnd(value: unknown, count: number): void {
  const error = isObject(value) && "error" in value ? value : undefined;
  if (error) {
    throw errorOfBody(error, {}) ?? errorOfBody(error.error, {}) ?? invalidResponse("its error says nothing");
  }
  if (!isObject(value) || value.end !== true) throw invalidResponse("a line of it is neither row nor end");
  if (value.rows !== count) throw invalidResponse(`${count} rows came of ${String(value.rows)}`);
}
