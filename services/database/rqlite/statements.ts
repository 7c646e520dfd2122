import type { SqlArgument, SqlInput, Statement } from "../../../src/contracts/database.ts";
import { encodeText } from "../../rqlite/client.ts";
import type { GatedStatement } from "../driver.ts";
import { isName, isOperator, tokenize } from "../gate/lexer.ts";

/** Row id that no insert leaves behind: while it is the last one, nothing was inserted. */
export const NO_ROW = -(2n ** 63n);

/** A temporary table of the one connection that writes; it is no part of the database and of no backup. */
const CREATE_MARK: Statement = {
  sql: "CREATE TEMP TABLE IF NOT EXISTS _orama_mark (id INTEGER PRIMARY KEY)",
  args: [],
};
const MARK: Statement = { sql: `INSERT OR REPLACE INTO temp._orama_mark VALUES (${NO_ROW})`, args: [] };

/** Statements that make {@link NO_ROW} the last inserted row id. */
export const MARKING: readonly Statement[] = [CREATE_MARK, MARK];
/** Asks for the last inserted row id, which rqlite does not tell beside the rows of a `RETURNING` clause. */
export const LAST_INSERT_ID: Statement = { sql: "SELECT last_insert_rowid()", args: [] };

/**
 * Makes a connection notice that the schema has changed. rqlite asks for the columns of a result before SQLite looks whether
 * it has to compile the statement again, so each of its connections would answer its first `SELECT *` after a change with the
 * columns of before.
 */
export const NOTICE_SCHEMA: Statement = { sql: "SELECT 1 FROM sqlite_schema WHERE 0", args: [] };

/** A statement as rqlite has to get it. */
export function rqliteStatement(statement: GatedStatement): Statement {
  const { sql: given, args } = withReals(statement);
  const sql = statement.facts.access === "read" ? given : withClosedCalls(given);
  // SQLite calls EXPLAIN of a write a write, so rqlite would refuse it or drop its rows; but it judges a text by what leads it.
  return statement.facts.verb === "EXPLAIN" ? { sql: `SELECT 1; ${sql}`, args } : { sql, args };
}

/**
 * The text of a short statement with which it may share a request, if it may: it gives no rows where it writes, needs nothing
 * before it or behind it, and asks nothing of the connection, which others have used meanwhile.
 */
export function sharedText(statement: GatedStatement): string | undefined {
  const { sql, facts: { access, returning, upserts, asksConnection } } = statement;
  const reads = access === "read" && /^(?:SELECT|VALUES|WITH)\b/i.test(sql);
  const writes = access === "write" && /^(?:INSERT|REPLACE|UPDATE|DELETE)\b/i.test(sql) && !returning && !upserts &&
    !/\breturning\b/i.test(sql);
  if (asksConnection || !(reads || writes) || (writes && mayKeepAPart(statement))) return undefined;
  return encodeText(access === "read" ? sql : withClosedCalls(sql));
}

/**
 * Whether a write may fail and keep what it had done until then (`OR FAIL`), unless it stands in a transaction. A word of this
 * sort anywhere counts.
 */
export const mayKeepAPart = ({ sql }: GatedStatement): boolean => /\bfail\b/i.test(sql);

/** Arguments as they are sent; `undefined` when one of them needs another text. */
export function plainArgs(args: readonly SqlArgument[]): readonly SqlInput[] | undefined {
  if (args.some(needsCast)) return undefined;
  return args.some(isReal) ? args.map(plain) : args as readonly SqlInput[];
}

/**
 * rqlite takes every number without a fraction for an INTEGER. Where REAL is meant, the placeholder becomes a cast; the `+`
 * takes away the affinity that a cast has and a placeholder has not.
 */
function withReals({ sql, args }: GatedStatement): Statement {
  if (!args.some(needsCast)) return { sql, args: args.map(plain) };
  let text = "", end = 0, at = 0;
  for (const token of tokenize(sql)) {
    if (token.kind !== "placeholder" || !needsCast(args[at++])) continue;
    text += `${sql.slice(end, token.start)}(+CAST(? AS REAL))`;
    end = token.end;
  }
  return { sql: text + sql.slice(end), args: args.map(plain) };
}

const REWRITTEN = /\b(?:(?:date|strf)?time|date|julianday|unixepoch|timediff|random|randomblob)(?:\s|--|\/\*)/i;

/**
 * rqlite replaces calls of time and chance by their values before it writes its log, or its nodes would differ; it finds them by
 * the parenthesis that touches the name.
 */
function withClosedCalls(sql: string): string {
  if (!REWRITTEN.test(sql)) return sql;
  const tokens = tokenize(sql).filter(({ kind }) => kind !== "comment");
  let text = "", end = 0;
  for (const [at, token] of tokens.entries()) {
    if (!isOperator(token, "(") || at === 0 || !isName(tokens[at - 1]!)) continue;
    const name = tokens[at - 1]!;
    if (name.end === token.start || !REWRITTEN.test(`${name.value} `)) continue;
    text += sql.slice(end, name.end);
    end = token.start;
  }
  return text + sql.slice(end);
}

const isReal = (arg: SqlArgument | undefined): arg is { readonly real: number } =>
  typeof arg === "object" && arg !== null && "real" in arg;
const plain = (arg: SqlArgument): SqlInput => isReal(arg) ? arg.real : arg;

function needsCast(arg: SqlArgument | undefined): boolean {
  if (typeof arg === "number") return Number.isInteger(arg) && !Number.isSafeInteger(arg);
  return isReal(arg) && Number.isInteger(arg.real);
}
