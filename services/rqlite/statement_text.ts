import { GatewayError } from "../../src/contracts/errors.ts";

/** Comments and quoted stretches; without their end they reach to the end of the text. A doubled quote closes and opens. */
const OPAQUE = /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$)|\[[^\]]*(?:\]|$)/g;
/** What SQLite skips between tokens (a byte order mark counts, other Unicode spaces do not), and what ends a statement. */
const EMPTY = "; \t\n\f\r\uFEFF";

/** What must be known of a statement before rqlite may see it. */
export interface StatementText {
  /** From its first token to its last one, semicolons at both ends left out. */
  readonly sql: string;
  /** Its first keyword, in upper case. */
  readonly keyword: string;
  /** {@link sql} in lower case, with spaces in place of comments and question marks in place of what is quoted. */
  readonly bare: string;
}

/**
 * Takes the blanks, comments and semicolons off both ends of a statement.
 *
 * At the end: rqlite v8 loops for ever, and eats all memory, when the text after the last semicolon of a query holds no
 * token; inside a write the text goes into the Raft log, so that the node does so again at every start. At the beginning:
 * a comment hides a harmful pragma from rqlite. Hence nothing may reach it as it came.
 *
 * @throws GatewayError `SQL_INVALID` when no token is left, or for U+0000, where SQLite would stop reading
 */
export function readStatement(text: string): StatementText {
  if (text.includes("\0")) throw new GatewayError("SQL_INVALID", "a statement may not contain the character U+0000");
  const bare = text.replace(OPAQUE, (part) => (/^[-/]/.test(part) ? " " : "?").repeat(part.length));
  let start = 0;
  let end = bare.length;
  while (start < end && EMPTY.includes(bare.charAt(start))) start++;
  while (end > start && EMPTY.includes(bare.charAt(end - 1))) end--;
  if (start === end) throw new GatewayError("SQL_INVALID", "a statement is empty");
  const sql = text.slice(start, end);
  return { sql, keyword: /^[a-z]*/i.exec(sql)![0].toUpperCase(), bare: bare.slice(start, end).toLowerCase() };
}
