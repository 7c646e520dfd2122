import type { SqlArgument, SqlInput, Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { GatedStatement } from "./driver.ts";
import { isWord, nesting, type Token, tokenize } from "./lexer.ts";

/**
 * What has to be done to a statement so that rqlite v8 does with it what SQLite would. Each function says which habit of rqlite
 * it answers; DESIGN.md has the whole story.
 */

/** Row id that no insert leaves behind: while it is the last one, nothing was inserted. */
export const NO_ROW = -(2n ** 63n);

/** A temporary table of the one connection that writes; it is no part of the database and of no backup. */
export const CREATE_MARK: Statement = {
  sql: "CREATE TEMP TABLE IF NOT EXISTS _orama_mark (id INTEGER PRIMARY KEY)",
  args: [],
};
/** Makes {@link NO_ROW} the last inserted row id. */
export const MARK: Statement = { sql: `INSERT OR REPLACE INTO temp._orama_mark VALUES (${NO_ROW})`, args: [] };

/**
 * rqlite hands out rows of a write only where its own parser finds a RETURNING clause, and that parser knows less SQL than
 * SQLite. It looks at the first statement of a text alone, while the rows come from the last: so this one leads, and is
 * never run. Needs {@link CREATE_MARK}.
 */
const FORCE_ROWS = "DELETE FROM temp._orama_mark RETURNING 1; ";

/** The last inserted row id, from a request that otherwise only writes. Needs {@link CREATE_MARK}. */
export const LAST_INSERT_ID: Statement = { sql: `${FORCE_ROWS}SELECT last_insert_rowid()`, args: [] };

/** A single write whose `RETURNING` rows are wanted. Needs {@link CREATE_MARK}. */
export function returning(statement: GatedStatement): Statement {
  const { sql, args } = withReals(statement);
  // Time and chance must be rewritten by rqlite, or its nodes would differ; it rewrites nothing behind a leading statement.
  if (!isRewritten(sql)) return { sql: FORCE_ROWS + sql, args };
  const clause = returningClause(tokenize(sql));
  return clause === undefined ? { sql, args } : { sql: `${sql.slice(0, clause.end)} ${sql.slice(clause.end)}`, args };
}

/**
 * A write inside a transaction. rqlite does not roll back when a statement fails that it runs for its RETURNING rows, so it
 * must not notice the clause: it looks for `returning` followed by a space. The rows are lost.
 * @throws GatewayError `SQL_NOT_ALLOWED` where text of the statement has the same letters
 */
export function inTransaction(statement: GatedStatement): Statement {
  const { sql, args } = withReals(statement);
  if (!statement.facts.returning) return { sql, args };
  const hidden = withoutSpaces(sql);
  if (hidden.toLowerCase().includes("returning ")) {
    throw new GatewayError("SQL_NOT_ALLOWED", 'text with "returning " beside a RETURNING clause belongs into args');
  }
  return { sql: hidden, args };
}

/**
 * A statement that fails exactly when the given one cannot be compiled, and otherwise does nothing. In a mixed transaction
 * rqlite skips what it cannot compile and commits the rest; behind a leading statement the same mistake rolls back.
 */
export function probe({ sql, args }: Statement): Statement {
  return { sql: `SELECT 1; EXPLAIN QUERY PLAN ${sql}`, args: args.map(() => null) };
}

/**
 * A query. rqlite takes `EXPLAIN` of a write for a write and refuses it, but judges a text by the statement that leads it.
 */
export function query(statement: GatedStatement): Statement {
  return statement.facts.verb === "EXPLAIN" ? queryInTransaction(statement) : withReals(statement);
}

/** A query in a mixed transaction, with its own {@link probe}. */
export function queryInTransaction(statement: GatedStatement): Statement {
  const { sql, args } = withReals(statement);
  return { sql: `SELECT 1; ${sql}`, args };
}

/**
 * rqlite takes every number without a fraction for an INTEGER. Where REAL is meant, the placeholder becomes a cast; the `+`
 * takes away the affinity that a cast has and a placeholder has not.
 */
function withReals({ sql, args }: GatedStatement): Statement {
  if (!args.some(needsCast)) return { sql, args: args as readonly SqlInput[] };
  let text = "", end = 0, at = 0;
  for (const token of tokenize(sql)) {
    if (token.kind !== "placeholder" || !needsCast(args[at++])) continue;
    text += `${sql.slice(end, token.start)}(+CAST(? AS REAL))`;
    end = token.end;
  }
  return { sql: text + sql.slice(end), args: args.map(plain) };
}

const isReal = (arg: SqlArgument | undefined): arg is { readonly real: number } =>
  typeof arg === "object" && arg !== null && "real" in arg;
const plain = (arg: SqlArgument): SqlInput => isReal(arg) ? arg.real : arg;

function needsCast(arg: SqlArgument | undefined): boolean {
  if (typeof arg === "number") return Number.isInteger(arg) && !Number.isSafeInteger(arg);
  return isReal(arg) && Number.isInteger(arg.real);
}

/** rqlite's own test for functions whose value it fixes before it writes its log (`ContainsTime`, `ContainsRandom`). */
const isRewritten = (sql: string) => /(?:time|date|julianday|unixepoch|timediff|random|randomblob)\(/i.test(sql);

function returningClause(tokens: readonly Token[]): Token | undefined {
  let depth = 0;
  return tokens.find((token) => {
    depth += nesting(token);
    return depth === 0 && isWord(token, "RETURNING");
  });
}

/** Line breaks for whatever stands between tokens. */
function withoutSpaces(sql: string): string {
  let text = "", end = 0;
  for (const token of tokenize(sql)) {
    if (token.kind === "comment") continue;
    text += (token.start > end ? "\n" : "") + sql.slice(token.start, token.end);
    end = token.end;
  }
  return text;
}
