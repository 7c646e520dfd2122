import type { SqlOutput } from "../../src/contracts/database.ts";
import { AnswerFailed } from "./failures.ts";
import type { PoolStream } from "./pool_stream.ts";
import { RowScanner } from "./row_scanner.ts";
import { unavailable } from "./transport.ts";
import { decodeAnswer, decodeRows } from "./wire.ts";

/** The largest row, and the largest answer without rows, in bytes. */
const MAX_PIECE = 64 * 2 ** 20;

/** SQLite's own words about a statement whose rows were to be streamed: judge them before showing them. */
export class StatementFailed extends Error {
  override readonly name = "StatementFailed";
}

/** The rows of one statement as they come. */
export class AnswerRows {
  private constructor(
    readonly columns: readonly string[],
    readonly types: readonly string[],
    /**
     * Rows, some at a time, at the pace of whoever takes them. To be taken to the end, or ended.
     * @throws StatementFailed when SQLite stopped meanwhile; GatewayError `UNAVAILABLE` when rqlite broke off
     */
    readonly batches: AsyncGenerator<readonly (readonly SqlOutput[])[], void, void>,
  ) {}

  /** No rows. */
  static empty(columns: readonly string[], types: readonly string[]): AnswerRows {
    return new AnswerRows(columns, types, (async function* () {})());
  }

  /**
   * Reads as far as to the names of the columns.
   * @param skip results of other statements that come before
   * @throws StatementFailed; AnswerFailed, when there are no results at all; and GatewayError as {@link RqliteCluster}
   */
  static async open(stream: PoolStream, skip: number): Promise<AnswerRows> {
    const scanner = new RowScanner(skip, MAX_PIECE);
    try {
      while (scanner.head === undefined) {
        const bytes = await next(stream);
        if (bytes === undefined) return withoutRows(scanner.text(), skip);
        scanner.add(bytes);
      }
    } catch (error) {
      stream.close();
      throw error;
    }
    const { columns, types } = scanner.head;
    return new AnswerRows(columns, types, rows(stream, scanner, types));
  }
}

async function* rows(
  stream: PoolStream,
  scanner: RowScanner,
  types: readonly string[],
): AsyncGenerator<readonly (readonly SqlOutput[])[], void, void> {
  try {
    for (;;) {
      const text = scanner.rows();
      if (text !== undefined) yield decodeRows(text, types);
      const bytes = await next(stream);
      if (bytes === undefined) break;
      scanner.add(bytes);
    }
    const rest = decodeAnswer(scanner.text());
    const result = rest?.results[0];
    if (result === undefined || rest?.error !== undefined) throw unavailable(rest?.error);
    if (result.kind === "error") throw new StatementFailed(result.error);
  } finally {
    stream.close();
  }
}

async function next(stream: PoolStream): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await stream.next();
  } catch (cause) {
    throw unavailable(cause);
  }
}

/** An answer that ended before there was a row: an empty one, or a failure. */
function withoutRows(text: string, skip: number): AnswerRows {
  const answer = decodeAnswer(text);
  if (answer?.error !== undefined) throw new AnswerFailed(answer.error);
  const result = answer?.results[skip];
  if (result?.kind === "error") throw new StatementFailed(result.error);
  if (result?.kind !== "rows") throw unavailable(new Error(`rqlite gave no rows: ${text.slice(0, 200)}`));
  return AnswerRows.empty(result.columns, result.types);
}
