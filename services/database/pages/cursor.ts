import { createHash } from "node:crypto";
import { wrong } from "../select_builder.ts";

/** Text that no JavaScript string can carry to SQLite: it holds U+0000, or is no UTF-8. */
export interface RawText {
  readonly text: Uint8Array;
}

/** A value as SQLite stores it: INTEGER is `bigint`, REAL is `number` (also an infinite one). */
export type KeyValue = null | bigint | number | string | Uint8Array | RawText;

/** Characters of a cursor: it has to fit into the body of the next request. */
const MAX_CURSOR = 64 * 1_024;

/** Names an order, so that a cursor is not taken into another one. @param parts all that makes the order what it is */
export const orderName = (parts: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("base64url").slice(0, 10);

/**
 * Writes down where a page ended.
 * @param values the keys of its last row
 * @throws GatewayError `INVALID_REQUEST` for values that are too long
 */
export function writeCursor(order: string, values: readonly KeyValue[]): string {
  const text = new TextEncoder().encode(JSON.stringify([order, ...values.map(spell)]))
    .toBase64({ alphabet: "base64url", omitPadding: true });
  if (text.length <= MAX_CURSOR) return text;
  throw wrong(
    "order_by",
    "the values of its columns in one row are too long to page by (64 KiB): order by shorter ones",
  );
}

/**
 * Reads what {@link writeCursor} wrote. Nothing in it is trusted: it holds values for placeholders and nothing else.
 * @param count how many keys the order has
 * @throws GatewayError `INVALID_REQUEST` about `after`
 */
export function readCursor(text: string, order: string, count: number): KeyValue[] {
  if (text.length > MAX_CURSOR) throw notOurs();
  let parsed: unknown;
  try {
    parsed = JSON.parse(utf8.decode(Uint8Array.fromBase64(text, { alphabet: "base64url" })));
  } catch {
    throw notOurs();
  }
  if (!Array.isArray(parsed) || typeof parsed[0] !== "string") throw notOurs();
  const [name, ...values] = parsed as unknown[];
  if (name !== order) {
    throw wrong("after", "it belongs to another order: table, joins and order_by must be those of the page before");
  }
  if (values.length !== count) throw notOurs();
  return values.map(unspell);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of these bytes, or the bytes where a string could not carry it. */
export function textOf(bytes: Uint8Array): string | RawText {
  if (bytes.includes(0)) return { text: bytes };
  try {
    return utf8.decode(bytes);
  } catch {
    return { text: bytes };
  }
}

/** One letter for the storage class, then the value. */
function spell(value: KeyValue): string {
  if (value === null) return "n";
  if (typeof value === "bigint") return `i${value}`;
  if (typeof value === "number") return `r${value}`;
  if (typeof value === "string") return `t${value}`;
  return value instanceof Uint8Array ? `b${value.toBase64()}` : `u${value.text.toBase64()}`;
}

function unspell(spelled: unknown): KeyValue {
  if (typeof spelled !== "string") throw notOurs();
  const rest = spelled.slice(1);
  switch (spelled[0]) {
    case "n":
      if (rest === "") return null;
      break;
    case "i":
      if (/^-?\d{1,19}$/.test(rest) && BigInt.asIntN(64, BigInt(rest)) === BigInt(rest)) return BigInt(rest);
      break;
    case "r":
      if (/^-?(?:Infinity|\d+(?:\.\d+)?(?:e[-+]\d{1,3})?)$/.test(rest)) return Number(rest);
      break;
    case "t":
      if (!rest.includes("\0") && rest.isWellFormed()) return rest;
      break;
    case "b":
      return bytesOf(rest);
    case "u":
      return { text: bytesOf(rest) };
  }
  throw notOurs();
}

function bytesOf(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw notOurs();
  }
}

const notOurs = () => wrong("after", "it must be empty, or the next of the page before as it came");
