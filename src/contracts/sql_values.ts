import type { ExecResult, ResultSet, SqlArgument, SqlOutput } from "./database.ts";

const MAX_INTEGER = 2n ** 63n - 1n, MIN_INTEGER = -(2n ** 63n);

/** SQLite's own bound on the parameters of one statement (SQLITE_MAX_VARIABLE_NUMBER). */
export const MAX_ARGUMENTS = 32_766;
/** Steps that one transaction may have. */
export const MAX_STEPS = 1_000;

/** Why a value is none for a placeholder. */
export class SqlArgumentProblem {
  /** @param problem the end of a sentence that begins with the field */
  constructor(readonly problem: string) {}
}

const UNKNOWN = new SqlArgumentProblem("must be null, a boolean, a number, a string, or {type, value | base64}");

/**
 * A value of JSON as one for a placeholder; JSON's integers that no number holds are `bigint`. A whole number is stored as INTEGER,
 * whatever its size within 64 bits. Objects are values with a type, in the notation of Hrana (github.com/tursodatabase/libsql,
 * docs/HRANA_3_SPEC.md, "Values").
 */
export function sqlArgumentOf(value: unknown): SqlArgument | SqlArgumentProblem {
  switch (typeof value) {
    case "string":
      return textOf(value);
    case "boolean":
    case "number":
      return value;
    case "bigint":
      // A longer literal is a REAL to SQLite, and to rqlite.
      return fits(value) ? value : { real: Number(value) };
    case "object":
      return value === null ? null : typedOf(value as Readonly<Record<string, unknown>>);
    default:
      return UNKNOWN;
  }
}

function typedOf(typed: Readonly<Record<string, unknown>>): SqlArgument | SqlArgumentProblem {
  const { value } = typed;
  switch (typed["type"]) {
    case "null":
      return null;
    case "integer":
      return integerOf(value);
    case "float":
      // A long whole number arrives as an integer; as a float it is the nearest one.
      return typeof value === "bigint" || Number.isFinite(value)
        ? { real: Number(value) }
        : new SqlArgumentProblem("value: must be a number");
    case "text":
      return typeof value === "string" ? textOf(value) : new SqlArgumentProblem("value: must be a string");
    case "blob":
      return bytesOf(typed["base64"]);
    default:
      return UNKNOWN;
  }
}

const textOf = (text: string) =>
  text.includes("\0") ? new SqlArgumentProblem("text cannot hold U+0000; send it as a blob") : text;

function integerOf(value: unknown): bigint | SqlArgumentProblem {
  const isInteger = typeof value === "bigint" || Number.isSafeInteger(value) ||
    typeof value === "string" && /^[+-]?\d{1,19}$/.test(value);
  if (!isInteger) return new SqlArgumentProblem("value: must be a decimal integer or a whole number");
  const integer = BigInt(value as string | number | bigint);
  return fits(integer) ? integer : new SqlArgumentProblem("value: does not fit into 64 bits");
}

const fits = (value: bigint) => value >= MIN_INTEGER && value <= MAX_INTEGER;

function bytesOf(base64: unknown): Uint8Array | SqlArgumentProblem {
  if (typeof base64 !== "string") return new SqlArgumentProblem("base64: must be a string");
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return new SqlArgumentProblem("base64: must be base64");
  }
}

/** Which JSON an INTEGER becomes: an exact number, or a text that no parser rounds. */
export type Integers = "number" | "string";

/**
 * The rows as texts of JSON objects; of columns with one name the last counts. Written by hand: `JSON.stringify` rounds no integer
 * here, and no column name is special.
 */
export function rowTexts({ columns, types, rows }: ResultSet, integers: Integers): string[] {
  const last = new Map(columns.map((name, at) => [name, at]));
  const members = [...last].map(([name, at]) => ({
    key: `${JSON.stringify(name)}:`,
    at,
    quoted: quotesIntegers(types[at] ?? "", integers),
  }));
  return rows.map((values) => {
    let text = "";
    for (const { key, at, quoted } of members) text += (text && ",") + key + valueText(values[at] ?? null, quoted);
    return `{${text}}`;
  });
}

/** `{"items":[…],"count":n}`. */
export function rowListText(result: ResultSet, integers: Integers): string {
  const texts = rowTexts(result, integers);
  return `{"items":[${texts.join(",")}],"count":${texts.length}}`;
}

/** What an `exec` gave as members of a JSON object, without the braces. */
export function execMembers({ rowsAffected, lastInsertId, returning }: ExecResult, integers: Integers): string {
  const text = (value: number | bigint) => integers === "string" ? `"${value}"` : String(value);
  const rows = returning ? `,${rowListText(returning, integers).slice(1, -1)}` : "";
  return `"rows_affected":${text(rowsAffected)},"last_insert_id":${text(lastInsertId)}${rows}`;
}

/** One value as JSON. @param quoted whether an integer becomes a text */
export function valueText(value: SqlOutput, quoted: boolean): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      // Minus zero is `0`, as `JSON.stringify` has it.
      return quoted && Number.isSafeInteger(value) ? `"${value}"` : String(value);
    case "bigint":
      return quoted ? `"${value}"` : String(value);
    case "boolean":
      return value ? "true" : "false";
    default:
      return value === null ? "null" : `"${value.toBase64()}"`;
  }
}

/** Whether the integers of a column become texts, by its type. */
export const quotesIntegers = (type: string, integers: Integers): boolean => integers === "string" && !isRealType(type);

/** Whether a column is REAL by its declared type (sqlite.org/datatype3.html, 3.1): its whole numbers are then no integers. */
const isRealType = (type: string) => !/int|char|clob|text|blob/.test(type) && /real|floa|doub/.test(type);
