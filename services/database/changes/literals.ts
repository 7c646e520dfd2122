import type { StoredValue } from "../values.ts";

/** Values as SQLite's `quote()` writes them, with commas between: `1,'it''s',X'00FF',NULL,-1.5e+300`. Exact for all of them. */
export function readLiterals(text: string): StoredValue[] {
  const values: StoredValue[] = [];
  for (let at = 0; at < text.length; at++) {
    const start = at;
    if (text[at] === "'") {
      at = endOfString(text, at);
      values.push(text.slice(start + 1, at).replaceAll("''", "'"));
      at++;
    } else {
      at = text.indexOf(",", at);
      if (at < 0) at = text.length;
      values.push(readBare(text.slice(start, at)));
    }
  }
  return values;
}

/** Where the quote stands that closes. */
function endOfString(text: string, open: number): number {
  let at = text.indexOf("'", open + 1);
  while (at >= 0 && text[at + 1] === "'") at = text.indexOf("'", at + 2);
  if (at < 0) throw new Error("a row of the change feed is cut off");
  return at;
}

function readBare(literal: string): StoredValue {
  if (literal === "NULL") return null;
  if (literal.startsWith("X'")) return Uint8Array.fromHex(literal.slice(2, -1));
  return /^-?\d+$/.test(literal) ? BigInt(literal) : Number(literal);
}
