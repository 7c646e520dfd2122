import { toBase64 } from "../base64.ts";
import { fitsInto64Bits } from "../json.ts";

/** A number that is stored as REAL also where it is whole; made by {@link real}. */
export interface Real {
  readonly type: "float";
  readonly value: number;
}

/**
 * What can be given for a placeholder. A whole `number` and a `bigint` are stored as INTEGER, other numbers as REAL, `boolean`
 * as 1 or 0, bytes as BLOB, a `Date` as text in ISO 8601 (UTC).
 */
export type SqlArgument = null | boolean | number | bigint | string | Uint8Array | Date | Real;

/** What a column of a row can hold. Bytes only in columns that the option `blobs` names. */
export type SqlValue = null | boolean | number | bigint | string | Uint8Array;

/** A row as it comes, by the names of its columns; of columns with one name the last counts. */
export type Row = Record<string, SqlValue>;

/** A number to be stored as REAL also where it is whole: `real(1)`. */
export const real = (value: number): Real => ({ type: "float", value });

/**
 * A name of a table or column as SQL text, whatever is in it. Backticks, because SQLite never takes them for a string.
 * @throws TypeError for an empty name, and for one with U+0000
 */
export function quoteName(name: string): string {
  if (name === "" || name.includes("\0")) throw new TypeError("a name must not be empty, and must not hold U+0000");
  return `\`${name.replaceAll("`", "``")}\``;
}

/**
 * An argument in the notation of the wire.
 * @param place what the error calls it, such as `args[1]`
 * @throws TypeError for what no column can hold, `undefined` first of all
 * @throws RangeError for an integer beyond 64 bits, and a number that is not finite
 */
export function toWire(value: unknown, place: string): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return finite(value, place);
    case "bigint":
      if (!fitsInto64Bits(value)) throw new RangeError(`${place} does not fit into 64 bits`);
      return { type: "integer", value: String(value) };
    case "object":
      return value === null ? null : objectToWire(value, place);
    case "undefined":
      throw new TypeError(`${place} is undefined: give null for NULL`);
    default:
      throw new TypeError(`${place} is a ${typeof value}, which no column can hold`);
  }
}

/** The arguments of one statement; a hole in the list is an `undefined`. */
export const argsToWire = (args: readonly unknown[], place = "args"): unknown[] =>
  Array.from(args, (value, at) => toWire(value, `${place}[${at}]`));

/** Conditions by column. An `undefined` would silently be one condition less, so it is refused. */
export const criteriaToWire = (criteria: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(criteria).map(([column, value]) => [column, toWire(value, `criteria.${column}`)]),
  );

function finite(value: number, place: string): number {
  if (Number.isFinite(value)) return value;
  throw new RangeError(`${place} is ${value}, which SQL has no form for`);
}

function objectToWire(value: object, place: string): unknown {
  if (value instanceof Uint8Array) return { type: "blob", base64: toBase64(value) };
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new RangeError(`${place} is an invalid date`);
    return value.toISOString();
  }
  if ("type" in value && value.type === "float" && "value" in value && typeof value.value === "number") {
    return { type: "float", value: finite(value.value, `${place}.value`) };
  }
  throw new TypeError(`${place} is an object, which no column can hold: give text (JSON.stringify) or a Uint8Array`);
}
