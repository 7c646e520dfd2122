import { GatewayError } from "../../src/contracts/errors.ts";

/** What SQLite skips between tokens; a byte order mark counts, other Unicode spaces do not. */
const BLANK = new Set([" ", "\t", "\n", "\f", "\r", "\uFEFF"]);
/** What ends a quoted stretch, by what opens it. Doubled quotes inside end it and open the next one: the same to us. */
const CLOSING: Readonly<Record<string, string>> = { "'": "'", '"': '"', "`": "`", "[": "]" };

/**
 * The statement without the blanks, semicolons and comments after its last token.
 *
 * rqlite v8 loops for ever, and eats all memory, when the text after the last semicolon of a query has no token; inside a
 * write the text goes into the Raft log, so that the node does so again at every start. Hence nothing may reach it untrimmed.
 *
 * @throws GatewayError `SQL_INVALID` when no token is left, or for U+0000, where SQLite would stop reading
 */
export function trimmed(sql: string): string {
  if (sql.includes("\0")) throw new GatewayError("SQL_INVALID", "A statement may not contain the character U+0000.");
  const end = contentEnd(sql);
  if (end === 0) throw new GatewayError("SQL_INVALID", "A statement is empty.");
  return end === sql.length ? sql : sql.slice(0, end);
}

/** Index behind the last character that belongs to a token other than `;`. */
function contentEnd(sql: string): number {
  const last = sql.at(-1);
  if (last !== undefined && last !== ";" && !BLANK.has(last) && !sql.includes("--") && !sql.includes("/*")) {
    return sql.length;
  }
  let end = 0;
  for (let at = 0; at < sql.length;) {
    const char = sql.charAt(at);
    if (char === ";" || BLANK.has(char)) at++;
    else if (sql.startsWith("--", at)) at = after(sql, "\n", at + 2);
    else if (sql.startsWith("/*", at)) at = after(sql, "*/", at + 2);
    else end = at = CLOSING[char] === undefined ? at + 1 : after(sql, CLOSING[char], at + 1);
  }
  return end;
}

function after(sql: string, mark: string, from: number): number {
  const found = sql.indexOf(mark, from);
  return found < 0 ? sql.length : found + mark.length;
}
