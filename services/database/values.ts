import type { ResultSet, SqlOutput } from "../../src/contracts/database.ts";
import { fromInteger } from "../sqlite/values.ts";
import { timeOfInteger, timeOfText } from "./times.ts";

/** A value as SQLite stores it: INTEGER is `bigint`, REAL is `number`. */
export type StoredValue = null | bigint | number | string | Uint8Array;

/** A value that cannot be presented; the message is fit for the client. */
export class UnpresentableValue extends Error {
  override readonly name = "UnpresentableValue";
}

const TIME_TYPES = new Set(["date", "datetime", "timestamp"]);
const TEXT_TYPES = ["varchar", "varying character", "nchar", "native character", "nvarchar", "clob"];

/**
 * Presents stored values by the one rule of both drivers, which is rqlite's (DESIGN.md): what a column was declared as decides
 * over times, booleans and blobs; an expression takes the storage class of its first row.
 * @param declared the declared type of each result column, `null` for an expression
 * @throws UnpresentableValue for an infinite number and for a time outside of the years 0 to 9999
 */
export function present(
  columns: readonly string[],
  declared: readonly (string | null)[],
  stored: readonly (readonly StoredValue[])[],
): ResultSet {
  const presenter = new Presenter(declared);
  const rows = stored.map((row) => presenter.row(row));
  return { columns, types: presenter.types, rows };
}

/** {@link present}, row by row. */
export class Presenter {
  readonly #declared: readonly string[];
  #types: readonly string[];
  #first = true;

  constructor(declared: readonly (string | null)[]) {
    this.#types = this.#declared = declared.map((type) => type?.toLowerCase() ?? "");
  }

  /** Of each column; those of expressions are known once the first row has passed. */
  get types(): readonly string[] {
    return this.#types;
  }

  /** @throws UnpresentableValue */
  row(row: readonly StoredValue[]): SqlOutput[] {
    const declared = this.#declared, types = this.#types;
    const presented = row.map((value, column) => presentOne(value, declared[column] ?? "", types[column] ?? ""));
    if (this.#first) {
      this.#first = false;
      this.#types = types.map((type, column) => type || storageClass(row[column] ?? null, presented[column] ?? null));
    }
    return presented;
  }
}

function presentOne(value: StoredValue, declared: string, type: string): SqlOutput {
  switch (typeof value) {
    case "bigint":
      if (declared === "boolean") return value > 0n;
      if (TIME_TYPES.has(declared)) return orUnpresentable(() => timeOfInteger(value));
      return fromInteger(value);
    case "number":
      return finite(value);
    case "string":
      return TIME_TYPES.has(declared) ? orUnpresentable(() => timeOfText(value)) : value;
    default:
      return value !== null && isTextType(type) ? textOfBlob(value) : value;
  }
}

/** @throws UnpresentableValue for an infinity (SQLite has no NaN): JSON cannot carry it. */
export function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new UnpresentableValue(
    "the result holds an infinite number, which JSON cannot carry: select CAST(… AS TEXT) instead",
  );
}

function orUnpresentable(time: () => string): string {
  try {
    return time();
  } catch (cause) {
    throw new UnpresentableValue(UNPRESENTABLE_TIME, { cause });
  }
}

/** What a client is told about a time that RFC 3339 cannot write. */
export const UNPRESENTABLE_TIME =
  "a DATE, DATETIME or TIMESTAMP column holds a time that RFC 3339 cannot write (years 0 to 9999): select CAST(… AS TEXT) instead";

/** rqlite takes the bytes of such columns for text, and those of an expression whose first row was not something else. */
const isTextType = (type: string) =>
  type === "" || type === "text" || type === "json" || TEXT_TYPES.some((prefix) => type.startsWith(prefix));

function storageClass(stored: StoredValue, presented: SqlOutput): string {
  if (presented === null) return "";
  if (typeof presented === "string") return "text";
  return typeof stored === "bigint" ? "integer" : "real";
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes as UTF-8 text; every byte that is no part of a character becomes U+FFFD by itself (Go's rule, not the Web's). */
export function textOfBlob(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length;) {
      const length = characterLength(bytes, at);
      text += length === 0 ? "\ufffd" : looseUtf8.decode(bytes.subarray(at, at + length));
      at += length || 1;
    }
    return text;
  }
}

/** Length of the well-formed character that begins here (Unicode, table 3-7); 0 for none. */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const length = first >= 0xc2 && first <= 0xdf
    ? 2
    : first >= 0xe0 && first <= 0xef
    ? 3
    : first >= 0xf0 && first <= 0xf4
    ? 4
    : 0;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  for (let next = 1; next < length; next++) {
    const byte = bytes[at + next] ?? 0;
    if (byte < (next === 1 ? lowest : 0x80) || byte > (next === 1 ? highest : 0xbf)) return 0;
  }
  return length;
}
