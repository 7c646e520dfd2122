import { invalidResponse, isObject } from "../errors.ts";
import type { CallOptions } from "../http.ts";
import type { KeyOptions } from "./options.ts";
import { toWire } from "./values.ts";

/** One row of a load: its values in the order of the columns, or by the names of columns. */
export type BulkRow = readonly unknown[] | Readonly<Record<string, unknown>>;

/** What becomes of a load. */
export interface BulkOptions extends CallOptions, KeyOptions {
  /** What rows give values for, in order. Default: the columns of the first row, or of the table for lists. */
  readonly columns?: readonly string[];
  /** A row that a constraint refuses: `abort` (default) keeps nothing of the load, `ignore` leaves it out, `replace` puts it in. */
  readonly onConflict?: "abort" | "ignore" | "replace";
}

/** What a load did. */
export interface BulkResult {
  /** Rows of the load. */
  readonly rows: number;
  /** Rows that are there now; fewer where some were ignored. */
  readonly rowsAffected: number;
  /** Answered from what the gateway kept for the idempotency key: nothing ran now. */
  readonly replayed: boolean;
}

/** Lines that become one part of the body. */
const PART = 1_000;

/** A load in NDJSON. It is whole before it is sent, so that it can be sent again. @throws TypeError that names the row, from 1 */
export async function bulkBody(
  table: string,
  rows: Iterable<BulkRow> | AsyncIterable<BulkRow>,
  { columns, onConflict }: BulkOptions,
): Promise<Blob> {
  const parts: string[] = [`${JSON.stringify({ table, columns, on_conflict: onConflict })}\n`];
  let lines: string[] = [], count = 0;
  for await (const row of rows) {
    lines.push(JSON.stringify(rowToWire(row, `row ${++count}`)));
    if (lines.length < PART) continue;
    parts.push(`${lines.join("\n")}\n`);
    lines = [];
  }
  if (lines.length > 0) parts.push(`${lines.join("\n")}\n`);
  return new Blob(parts, { type: "application/x-ndjson" });
}

const rowToWire = (row: BulkRow, place: string): unknown =>
  isList(row)
    ? Array.from(row, (value, at) => toWire(value, `${place}[${at}]`))
    : Object.fromEntries(Object.entries(row).map(([column, value]) => [column, toWire(value, `${place}.${column}`)]));

const isList = (row: BulkRow): row is readonly unknown[] => Array.isArray(row);

/** What a load answers. @throws OramaError `INVALID_RESPONSE` */
export function bulkResultOf(body: unknown): BulkResult {
  if (!isObject(body)) throw invalidResponse("it is no object");
  const { rows, rows_affected: rowsAffected, replayed } = body;
  if (typeof rows !== "number" || typeof rowsAffected !== "number") throw invalidResponse("it has no rows_affected");
  return { rows, rowsAffected, replayed: replayed === true };
}
