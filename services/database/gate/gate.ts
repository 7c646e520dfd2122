import { GatewayError } from "../../../src/contracts/errors.ts";
import { checkDefinition, checkNames, checkPragma } from "./forbidden.ts";
import { isName, isOperator, isWord, nesting, type Token, tokenize, upper } from "./lexer.ts";

/** What the gate tells of a statement from its text. Plain data. */
export interface StatementFacts {
  readonly access: "read" | "write" | "definition";
  /** The statement's own verb in upper case: behind `WITH …` the main one, and `EXPLAIN` where that stands first. */
  readonly verb: string;
  /** How many `?` there are. */
  readonly placeholders: number;
  /** Has a `RETURNING` clause. */
  readonly returning: boolean;
  /** Has an `ON CONFLICT … DO UPDATE` clause: whether it inserts shows only when it runs. */
  readonly upserts: boolean;
  /** May have `*` for columns: how many there are hangs on the schema. */
  readonly wildcard: boolean;
  /** Calls `last_insert_rowid()`, `changes()` or `total_changes()`: nothing may run between it and the statement before it. */
  readonly asksConnection: boolean;
}

/** A statement that passed. */
export interface JudgedStatement {
  /** The statement without what stands around it: comments and semicolons before and behind. */
  readonly sql: string;
  readonly facts: StatementFacts;
}

/** Characters of one statement: past this a value belongs into an argument. */
export const MAX_SQL_LENGTH = 1_000_000;
/**
 * Pieces of one expression, counted since the last comma of each level around it. SQLite refuses an expression a thousand
 * operators deep; the parser with which rqlite looks for `random()` takes time by its square, and knows no limit.
 */
const MAX_EXPRESSION = 10_000;

const READS = new Set(["SELECT", "VALUES"]);
const WRITES = new Set(["INSERT", "REPLACE", "UPDATE", "DELETE"]);
const DEFINITIONS = new Set(["CREATE", "DROP", "ALTER", "REINDEX", "ANALYZE"]);
const TRANSACTIONS = new Set(["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"]);
const CONNECTION_FUNCTIONS = new Set(["LAST_INSERT_ROWID", "CHANGES", "TOTAL_CHANGES"]);

/**
 * Lets one statement through or throws: the only way of client SQL to a database, on every driver. It is lexical, so it decides
 * by what SQLite's grammar makes certain and leaves every other mistake to SQLite.
 * @param most characters that it may have
 * @throws GatewayError `SQL_INVALID` for text that is no statement, `SQL_NOT_ALLOWED` with the alternative for one that may not run
 */
export function judge(sql: string, most: number = MAX_SQL_LENGTH): JudgedStatement {
  if (sql.length > most) throw invalid(`the statement has more than ${most} characters: values belong into args`);
  if (sql.includes("\0")) throw invalid("the statement holds U+0000, where SQLite would stop reading");
  const all = tokenize(sql).filter(({ kind }) => kind !== "comment");
  checkPieces(all);
  const tokens = onlyStatement(all);
  checkNames(tokens);
  const placeholders = tokens.filter(({ kind }) => kind === "placeholder").length;
  return { sql: sql.slice(tokens[0]!.start, tokens.at(-1)!.end), facts: { ...classify(tokens), placeholders } };
}

function checkPieces(tokens: readonly Token[]): void {
  const levels = [0];
  let size = 0;
  for (const token of tokens) {
    const { kind, value } = token;
    if (kind === "illegal") throw invalid(`unrecognized token: "${value.slice(0, 60)}"`);
    if (kind === "parameter") {
      throw invalid(
        `the placeholder "${value.slice(0, 60)}" is not supported: write ? and give the values in order in args`,
      );
    }
    if (isOperator(token, "(")) levels.push(0);
    else if (isOperator(token, ")")) size -= levels.length > 1 ? levels.pop()! : 0;
    else if (kind === "semicolon" || isOperator(token, ",")) {
      size -= levels.at(-1)!;
      levels[levels.length - 1] = 0;
      continue;
    }
    levels[levels.length - 1]!++;
    if (++size > MAX_EXPRESSION) throw invalid("an expression of this statement is too large");
  }
}

/** Cuts what follows the one statement, which may be semicolons alone. */
function onlyStatement(tokens: readonly Token[]): readonly Token[] {
  const first = tokens.findIndex(({ kind }) => kind !== "semicolon");
  if (first < 0) throw invalid("the statement is empty");
  const end = endOfStatement(tokens, first);
  if (tokens.slice(end).some(({ kind }) => kind !== "semicolon")) {
    throw notAllowed(
      "only one statement is allowed here: send several to /v1/rqlite/transaction, which runs all or none",
    );
  }
  return tokens.slice(first, end);
}

/** Splits a script into its statements, without what stands around each. Judges none of them. */
export function splitScript(sql: string): string[] {
  const tokens = tokenize(sql).filter(({ kind }) => kind !== "comment");
  const statements: string[] = [];
  for (let at = 0; at < tokens.length;) {
    const end = endOfStatement(tokens, at);
    if (end > at) statements.push(sql.slice(tokens[at]!.start, tokens[end - 1]!.end));
    at = Math.max(end, at + 1);
  }
  return statements;
}

/** A trigger goes on to the first `END` behind a semicolon, every other statement to the first semicolon. */
function endOfStatement(tokens: readonly Token[], first: number): number {
  const trigger = startsTrigger(tokens, first);
  for (let at = first; at < tokens.length; at++) {
    if (tokens[at]!.kind !== "semicolon") continue;
    if (!trigger) return at;
    if (isWord(tokens[at + 1], "END")) return at + 2;
  }
  return tokens.length;
}

function startsTrigger(tokens: readonly Token[], first: number): boolean {
  let at = afterExplain(tokens, first);
  if (!isWord(tokens[at++], "CREATE")) return false;
  if (isWord(tokens[at], "TEMP") || isWord(tokens[at], "TEMPORARY")) at++;
  return isWord(tokens[at], "TRIGGER");
}

function afterExplain(tokens: readonly Token[], at: number): number {
  if (!isWord(tokens[at], "EXPLAIN")) return at;
  return isWord(tokens[at + 1], "QUERY") && isWord(tokens[at + 2], "PLAN") ? at + 3 : at + 1;
}

function classify(tokens: readonly Token[]): Omit<StatementFacts, "placeholders"> {
  const start = afterExplain(tokens, 0);
  const asksConnection = tokens.some((token, at) =>
    isName(token) && CONNECTION_FUNCTIONS.has(upper(token.value)) && isOperator(tokens[at + 1], "(")
  );
  const wildcard = tokens.some((token, at) => isOperator(token, "*") && !isOperator(tokens[at - 1], "("));
  const facts = { returning: false, upserts: false, asksConnection, wildcard };
  if (!start && isWord(tokens[0], "PRAGMA")) {
    checkPragma(tokens);
    return { ...facts, access: "read", verb: "PRAGMA" };
  }
  const main = isWord(tokens[start], "WITH") ? afterWith(tokens, start) : start;
  const verb = verbAt(tokens, main);
  if (DEFINITIONS.has(verb) && main === start) checkDefinition(tokens.slice(main));
  else if (!READS.has(verb) && !WRITES.has(verb)) throw syntaxError(tokens[main]);
  if (start) return { ...facts, access: "read", verb: "EXPLAIN" };
  if (READS.has(verb)) return { ...facts, access: "read", verb };
  if (DEFINITIONS.has(verb)) return { ...facts, access: "definition", verb };
  return { ...facts, access: "write", verb, ...clauses(tokens) };
}

function verbAt(tokens: readonly Token[], at: number): string {
  const token = tokens[at];
  if (token?.kind !== "word") throw syntaxError(token);
  const verb = token.value;
  if (TRANSACTIONS.has(verb)) {
    throw notAllowed(
      `${verb} is not allowed: requests share connections. Send the statements together to /v1/rqlite/transaction, which runs all or none`,
    );
  }
  if (verb === "ATTACH" || verb === "DETACH") {
    throw notAllowed(
      `${verb} is not allowed: a namespace has one database, which every statement of /v1/rqlite/transaction sees`,
    );
  }
  if (verb === "VACUUM") {
    throw notAllowed(
      "VACUUM is not allowed: the gateway looks after the file, and no statement of /v1/rqlite/transaction needs it",
    );
  }
  if (verb === "PRAGMA") throw notAllowed("EXPLAIN PRAGMA is not allowed: send the PRAGMA alone");
  if (verb === "EXPLAIN" || !(READS.has(verb) || WRITES.has(verb) || DEFINITIONS.has(verb))) throw syntaxError(token);
  return verb;
}

/** Behind `WITH [RECURSIVE] name [(columns)] AS [[NOT] MATERIALIZED] (…), …`. */
function afterWith(tokens: readonly Token[], start: number): number {
  let at = start + (isWord(tokens[start + 1], "RECURSIVE") ? 2 : 1);
  for (;;) {
    at = isOperator(tokens[at + 1], "(") ? afterParentheses(tokens, at + 1) : at + 1;
    if (!isWord(tokens[at], "AS")) throw syntaxError(tokens[at]);
    at++;
    if (isWord(tokens[at], "NOT")) at++;
    if (isWord(tokens[at], "MATERIALIZED")) at++;
    if (!isOperator(tokens[at], "(")) throw syntaxError(tokens[at]);
    at = afterParentheses(tokens, at);
    if (!isOperator(tokens[at], ",")) return at;
    at++;
  }
}

function afterParentheses(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    depth += nesting(tokens[at]!);
    if (depth === 0) return at + 1;
  }
  throw invalid("incomplete input");
}

function clauses(tokens: readonly Token[]): { returning: boolean; upserts: boolean } {
  let depth = 0, returning = false, upserts = false;
  for (const [at, token] of tokens.entries()) {
    depth += nesting(token);
    if (depth !== 0) continue;
    returning ||= isWord(token, "RETURNING");
    upserts ||= isWord(token, "DO") && isWord(tokens[at + 1], "UPDATE");
  }
  return { returning, upserts };
}

const invalid = (sentence: string) => new GatewayError("SQL_INVALID", sentence);
const notAllowed = (sentence: string) => new GatewayError("SQL_NOT_ALLOWED", sentence);
const syntaxError = (token: Token | undefined) =>
  invalid(token ? `near "${token.value.slice(0, 60)}": syntax error` : "incomplete input");
