import { GatewayError } from "../../src/contracts/errors.ts";

const BASE64 = { alphabet: "base64url", omitPadding: true } as const;
/** Longer ones were never given: they are not looked at. */
const LONGEST_CURSOR = 400;

/** Where a page ends, in a form that callers hand back and do not look into. @param key what its last item is sorted by */
const cursorOf = (key: readonly (string | number)[]): string =>
  new TextEncoder().encode(JSON.stringify(key)).toBase64(BASE64);

/**
 * The key in a cursor.
 * @param kinds the types of its parts
 * @throws GatewayError `INVALID_REQUEST` for what no page ended with
 */
export function keyOf<Key extends readonly (string | number)[]>(
  cursor: string,
  kinds: { readonly [Part in keyof Key]: Key[Part] extends string ? "string" : "number" },
): Key {
  const key = cursor.length <= LONGEST_CURSOR ? parsed(cursor) : undefined;
  if (Array.isArray(key) && key.length === kinds.length && kinds.every((kind, i) => typeof key[i] === kind)) {
    return key as unknown as Key;
  }
  throw unknownCursor();
}

/** Whoever says so asks for what no page ended with. */
export const unknownCursor = (): GatewayError =>
  new GatewayError("INVALID_REQUEST", "cursor: not one that this list gave; begin without it", {
    details: [{ field: "cursor", problem: "not one that this list gave" }],
  });

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(cursor, BASE64)));
  } catch {
    return undefined;
  }
}

/** A page of rows, read with one row more than it may have: that one tells whether there is another page. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  itemOf: (row: Row) => Item,
  keyOf: (row: Row) => readonly (string | number)[],
): { readonly items: Item[]; readonly next?: string } {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { items: shown.map(itemOf), ...(last !== undefined && { next: cursorOf(keyOf(last)) }) };
}
