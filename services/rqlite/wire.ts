import type { SqlInput, SqlOutput, Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { readStatement } from "./statement_text.ts";

/** Rows of one statement. `types` are rqlite's: the declared type in lower case, else the type of the first row's value. */
export interface RqliteRows {
  readonly kind: "rows";
  readonly columns: readonly string[];
  readonly types: readonly string[];
  readonly rows: readonly (readonly SqlOutput[])[];
}

/**
 * What a statement without rows did. After a statement that neither inserts, updates nor deletes, rqlite may repeat the
 * figures of the statement before it: they mean something for INSERT, UPDATE, DELETE and REPLACE alone.
 */
export interface RqliteChange {
  readonly kind: "change";
  readonly lastInsertId: number | bigint;
  readonly rowsAffected: number;
}

/** A statement that SQLite refused. */
export interface RqliteFailure {
  readonly kind: "error";
  /** SQLite's own words, such as `UNIQUE constraint failed: t.a`: judge them before showing them. */
  readonly error: string;
  /** Nothing was wrong with this statement: it was undone, or never run, because another one of its transaction failed. */
  readonly rolledBack?: true;
}

/** What one statement gave. */
export type RqliteResult = RqliteRows | RqliteChange | RqliteFailure;

/** An answer with status 200. */
export interface RqliteAnswer {
  readonly results: RqliteResult[];
  /** A failure of the whole request. */
  readonly error: string | undefined;
}

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;

/**
 * The body of a request: every statement as `[sql, ...args]`. Put together by hand, because `JSON.stringify` knows neither
 * `bigint` nor how to be quick about bytes.
 * @throws GatewayError `SQL_INVALID` for an empty statement, an integer beyond 64 bits or a number that is not finite
 */
export function encodeStatements(statements: readonly Statement[]): string {
  return `[${statements.map(encodeStatement).join(",")}]`;
}

const encodeStatement = ({ sql, args }: Statement) => `[${encodeText(sql)}${encodeArgs(args)}]`;

/** A statement's text as it stands in a request. @throws GatewayError `SQL_INVALID` as {@link readStatement} */
export const encodeText = (sql: string): string => JSON.stringify(readStatement(sql).sql);

/** Its arguments, each behind a comma. @throws GatewayError `SQL_INVALID` as {@link encodeStatements} */
export function encodeArgs(args: readonly SqlInput[]): string {
  let text = "";
  for (const arg of args) text += `,${encodeValue(arg)}`;
  return text;
}

function encodeValue(value: SqlInput): string {
  if (value instanceof Uint8Array) return `[${value.join(",")}]`;
  if (typeof value === "bigint") {
    if (value < MIN_INTEGER || value > MAX_INTEGER) throw invalid("an integer does not fit into 64 bits");
    return value.toString();
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw invalid("a number is not finite");
  return JSON.stringify(value);
}

const invalid = (message: string) => new GatewayError("SQL_INVALID", message);

type RawRow = (SqlOutput | number[])[];

interface RawResult {
  readonly columns?: string[];
  readonly types?: string[];
  readonly values?: RawRow[];
  readonly last_insert_id?: number | bigint;
  readonly rows_affected?: number;
  readonly error?: string;
}

/** Since ES2026 the reviver also gets the text of a number; the library's types do not say so yet. */
type SourceReviver = (key: string, value: unknown, context: { readonly source: string }) => unknown;

const exactIntegers: SourceReviver = (_key, value, { source }) =>
  typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source) ? BigInt(source) : value;

/**
 * Reads an answer with status 200. Integers beyond ±(2^53 − 1) come out as `bigint`, byte arrays as `Uint8Array`.
 * @returns `undefined` when this is no answer of rqlite's
 */
export function decodeAnswer(text: string): RqliteAnswer | undefined {
  const long = hasLongNumber(text);
  let body: { readonly results?: RawResult[]; readonly error?: string } | null;
  try {
    body = parse(text, long) as typeof body;
  } catch {
    return undefined;
  }
  if (!Array.isArray(body?.results)) return undefined;
  return { results: body.results.map((raw) => decodeResult(raw, long)), error: body.error };
}

/**
 * Reads rows alone.
 * @param text what stands between the brackets of `values`
 * @param types of the columns, as rqlite tells them
 */
export function decodeRows(text: string, types: readonly string[]): SqlOutput[][] {
  const long = hasLongNumber(text);
  return presentRows(parse(`[${text}]`, long) as RawRow[], types, long);
}

/** A reviver makes parsing ten times slower, and 2^53 has sixteen digits. */
const hasLongNumber = (text: string) => /\d{16}/.test(text);

const parse = (text: string, long: boolean): unknown =>
  long ? JSON.parse(text, exactIntegers as (key: string, value: unknown) => unknown) : JSON.parse(text);

function decodeResult(raw: RawResult, long: boolean): RqliteResult {
  if (raw.error !== undefined) return { kind: "error", error: raw.error };
  if (raw.columns === undefined) {
    return { kind: "change", lastInsertId: raw.last_insert_id ?? 0, rowsAffected: raw.rows_affected ?? 0 };
  }
  const types = raw.types ?? [];
  return { kind: "rows", columns: raw.columns, types, rows: presentRows(raw.values ?? [], types, long) };
}

/** In place: the rows are nobody else's. */
function presentRows(rows: RawRow[], types: readonly string[], long: boolean): SqlOutput[][] {
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i];
      if (Array.isArray(value)) row[i] = Uint8Array.from(value);
      else if (long && typeof value === "bigint" && isReal(value, types[i])) row[i] = Number(value);
    }
  }
  return rows as SqlOutput[][];
}

/**
 * Whether what looks like an integer was a floating-point number: rqlite writes 1e17 as `100000000000000000`. The type is
 * that of the column's first value alone, so digits that no floating-point number has are an integer's in any case.
 */
function isReal(value: bigint, type: string | undefined): boolean {
  if (value < MIN_INTEGER || value > MAX_INTEGER) return true;
  return /^(?!.*(int|char|clob|text|blob)).*(real|floa|doub)/i.test(type ?? "") &&
    String(Number(value)) === String(value);
}
