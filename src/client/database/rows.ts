import { fromBase64 } from "../base64.ts";
import { invalidResponse, isObject } from "../errors.ts";
import type { Integers, RowOptions } from "./options.ts";
import type { Row, SqlValue } from "./values.ts";

/** What a statement did, and the rows that it gave. */
export interface StatementResult<T = Row> {
  /** Of a query, or of a `RETURNING` clause. */
  readonly rows: T[];
  /** Rows inserted, updated or deleted. */
  readonly rowsAffected: number;
  /** Row id of the last row that it inserted; 0 when it inserted none. */
  readonly lastInsertId: number | bigint;
  /** Answered from what the gateway kept for the idempotency key: nothing ran now, and there are no rows. */
  readonly replayed: boolean;
}

/** A list of objects, as `items` of an answer. @throws OramaError `INVALID_RESPONSE` */
export function rowList(value: unknown, what = "items"): Row[] {
  if (Array.isArray(value) && value.every(isObject)) return value as Row[];
  throw invalidResponse(`${what} is no list of rows`);
}

/** `items` of an answer. @throws OramaError `INVALID_RESPONSE` */
export const itemsOf = (body: unknown): Row[] => rowList(isObject(body) ? body.items : undefined);

/** `items` of an answer, and where the next page begins. @throws OramaError `INVALID_RESPONSE`, also of a gateway without pages */
export function pageOf(body: unknown): { rows: Row[]; next: string | null } {
  const rows = itemsOf(body);
  const next = isObject(body) ? body.next : undefined;
  if (next !== null && typeof next !== "string") {
    throw invalidResponse("it has no next: is the gateway older than pages?");
  }
  return { rows, next };
}

/** What an `exec` answers. @throws OramaError `INVALID_RESPONSE` */
export function execResultOf(body: unknown): StatementResult {
  if (!isObject(body)) throw invalidResponse("it is no object");
  const rowsAffected = integerOf(body.rows_affected), lastInsertId = integerOf(body.last_insert_id);
  if (rowsAffected === undefined || lastInsertId === undefined) throw invalidResponse("it has no rows_affected");
  return {
    rows: body.items === undefined || body.items === null ? [] : rowList(body.items),
    rowsAffected: Number(rowsAffected),
    lastInsertId,
    replayed: body.replayed === true,
  };
}

function integerOf(value: unknown): number | bigint | undefined {
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (typeof value !== "string" || !/^-?\d{1,19}$/.test(value)) return undefined;
  const exact = BigInt(value), short = Number(value);
  return Number.isSafeInteger(short) ? short : exact;
}

/** Rows as the caller wants them. @throws TypeError for a column of `blobs` that holds no base64 */
export function shapeRows<T>(rows: readonly Row[], { map, ...values }: RowOptions<T>): T[] {
  const shape = shaperOf(values);
  const shaped = shape ? rows.map(shape) : rows;
  return (map ? shaped.map((row) => map(row)) : shaped) as T[];
}

/** The same for a result. */
export const shapeResult = <T>(result: StatementResult, options: RowOptions<T>): StatementResult<T> => ({
  ...result,
  rows: shapeRows(result.rows, options),
  lastInsertId: options.integers === "bigint" ? BigInt(result.lastInsertId) : result.lastInsertId,
});

/** What is to be done with the values of each row, or `undefined` for nothing. */
function shaperOf({ integers, blobs = [] }: RowOptions<unknown>): ((row: Row) => Row) | undefined {
  if (integers !== "bigint" && blobs.length === 0) return undefined;
  const named = new Set(blobs);
  // Assigned one by one, a column named `__proto__` would vanish.
  return (row) =>
    Object.fromEntries(
      Object.entries(row).map((
        [column, value],
      ) => [column, named.has(column) ? bytesOf(value, column) : integerAs(value, integers)]),
    );
}

const integerAs = (value: SqlValue, integers: Integers | undefined): SqlValue =>
  integers === "bigint" && typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;

function bytesOf(value: SqlValue, column: string): SqlValue {
  if (value === null) return null;
  try {
    if (typeof value === "string") return fromBase64(value);
  } catch {
    // It is told below.
  }
  throw new TypeError(`blobs names the column ${JSON.stringify(column)}, which holds something else in one row`);
}
