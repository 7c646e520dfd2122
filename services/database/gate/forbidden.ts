import { GatewayError } from "../../../src/contracts/errors.ts";
import { isName, isOperator, isWord, type Token, upper } from "./lexer.ts";

/** PRAGMAs that only tell something, and whether they take an argument: with one, the others would change a setting. */
const READING_PRAGMAS: ReadonlyMap<string, "argument" | "bare"> = new Map([
  ["table_info", "argument"],
  ["table_xinfo", "argument"],
  ["table_list", "argument"],
  ["index_list", "argument"],
  ["index_info", "argument"],
  ["index_xinfo", "argument"],
  ["foreign_key_list", "argument"],
  ["foreign_key_check", "argument"],
  ["collation_list", "bare"],
  ["compile_options", "bare"],
  ["function_list", "bare"],
  ["application_id", "bare"],
  ["user_version", "bare"],
  ["encoding", "bare"],
  ["page_count", "bare"],
  ["page_size", "bare"],
  ["freelist_count", "bare"],
]);

/** Functions that reach files, code or the process. The engines at hand refuse them too; the gate does not rely on it. */
export const FORBIDDEN_FUNCTIONS: ReadonlySet<string> = new Set([
  "load_extension",
  "readfile",
  "writefile",
  "edit",
  "fts3_tokenizer",
  "sqlite_log",
]);

/** Table-valued functions that tell about the server's files or about other requests, or that write where a `SELECT` reads them. */
export const FORBIDDEN_TABLES: ReadonlySet<string> = new Set([
  "pragma_database_list",
  "pragma_optimize",
  "sqlite_dbpage",
  "sqlite_stmt",
]);

/** Modules of virtual tables that keep their data in the database itself. */
export const VIRTUAL_TABLE_MODULES: ReadonlySet<string> = new Set([
  "fts3",
  "fts4",
  "fts5",
  "fts5vocab",
  "rtree",
  "rtree_i32",
]);

/** Names that begin so are the gateway's own. */
export const RESERVED_PREFIX = "_orama_";
const BARE_PREFIX = "_orama";

/** Whether a PRAGMA may run; `hasArgument` for `name(x)` and `name = x` alike. */
export function isReadingPragma(name: string, hasArgument: boolean): boolean {
  const takes = READING_PRAGMAS.get(name.toLowerCase());
  return takes === "argument" || (takes === "bare" && !hasArgument);
}

/** @throws GatewayError `SQL_NOT_ALLOWED` unless it is `PRAGMA [main.]name` or `PRAGMA [main.]name(argument)` of one that only reads */
export function checkPragma(tokens: readonly Token[]): void {
  let at = 1;
  if (isWord(tokens[at], "MAIN") && isOperator(tokens[at + 1], ".")) at += 2;
  const name = tokens[at];
  const rest = tokens.slice(at + 1);
  const argument = rest.length === 3 && isOperator(rest[0], "(") && isOperator(rest[2], ")");
  const shape = name?.kind === "word" && (rest.length === 0 || argument);
  if (shape && isReadingPragma(name.value, argument)) return;
  throw notAllowed(
    `this PRAGMA is not allowed: settings belong to the gateway. Those that only read, such as table_info(t), are; ` +
      `for all-or-nothing there is /v1/rqlite/transaction`,
  );
}

/** Refuses names that no statement of a client may use, wherever they stand. @throws GatewayError `SQL_NOT_ALLOWED` */
export function checkNames(tokens: readonly Token[]): void {
  for (const [at, token] of tokens.entries()) {
    // SQLite also takes a string for a name where only a name can stand, so strings are looked at like names.
    if (!isName(token) && token.kind !== "string") continue;
    const name = token.value.toLowerCase();
    // A virtual table of this name would put `_data` and the like behind it.
    if (name.startsWith(RESERVED_PREFIX) || name === BARE_PREFIX) {
      throw notAllowed(
        `names that begin with ${RESERVED_PREFIX} are the gateway's own; text that begins so belongs into args`,
      );
    }
    if (token.kind === "string") continue;
    if (FORBIDDEN_TABLES.has(name)) throw notAllowed(`${name} is not allowed`);
    if (isOperator(tokens[at + 1], "(") && FORBIDDEN_FUNCTIONS.has(name)) {
      throw notAllowed(`the function ${name} is not allowed`);
    }
  }
}

/**
 * @param tokens from `CREATE`, `DROP`, `ALTER` … on
 * @throws GatewayError `SQL_NOT_ALLOWED` for temporary objects and for modules of virtual tables that reach outside
 */
export function checkDefinition(tokens: readonly Token[]): void {
  if (tokens[0]!.value !== "CREATE") return;
  let at = 1;
  if (isWord(tokens[at], "TEMP") || isWord(tokens[at], "TEMPORARY")) throw temporary();
  if (isWord(tokens[at], "UNIQUE") || isWord(tokens[at], "VIRTUAL")) at++;
  at++;
  if (isWord(tokens[at], "IF")) at += 3;
  if (isOperator(tokens[at + 1], ".") && upper(tokens[at]!.value) === "TEMP") throw temporary();
  if (!isWord(tokens[1], "VIRTUAL")) return;
  const using = tokens.findIndex((token) => isWord(token, "USING"));
  const module = tokens[using + 1]?.value.toLowerCase();
  if (using < 0 || module === undefined || VIRTUAL_TABLE_MODULES.has(module)) return;
  throw notAllowed(
    `virtual tables of the module ${module.slice(0, 60)} are not allowed; ${[...VIRTUAL_TABLE_MODULES].join(", ")} are`,
  );
}

const temporary = () =>
  notAllowed(
    "temporary tables are not allowed: they belong to one connection, and requests share connections. Create an ordinary table",
  );
const notAllowed = (sentence: string) => new GatewayError("SQL_NOT_ALLOWED", sentence);
