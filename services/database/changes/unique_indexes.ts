import { isName, isOperator, isWord, nesting, type Token, tokenize, upper } from "../gate/lexer.ts";
import { quoted } from "./names.ts";

/** What can stand in an index and make two rows exclude each other. */
export interface UniqueIndex {
  /** Its columns and expressions, each as SQL about a row that is known by a prefix such as `new.`. */
  readonly terms: readonly { readonly of: (prefix: string) => string; readonly collation: string }[];
  /** Which rows it is about; `undefined` for all. */
  readonly where: ((prefix: string) => string) | undefined;
  /** Its columns, where it has nothing else in it. */
  readonly columns: readonly string[] | undefined;
}

/** One column of an index, as `pragma_index_xinfo` tells it. */
export interface IndexColumn {
  /** −2 for an expression. */
  readonly cid: number;
  readonly name: string | null;
  readonly collation: string;
}

/**
 * @param columns of the index, in its order
 * @param sql its definition; `undefined` for one that a constraint made
 * @param known all columns of the table
 */
export function uniqueIndexOf(
  columns: readonly IndexColumn[],
  sql: string | undefined,
  known: readonly string[],
): UniqueIndex {
  const { parts, where } = sql === undefined ? { parts: [], where: undefined } : partsOf(sql);
  const names = new Set(known.map(upper));
  const terms = columns.map(({ cid, name, collation }, at) => {
    if (cid !== -2 && name !== null) return { of: (prefix: string) => prefix + quoted(name), collation };
    const tokens = withoutOrder(parts[at] ?? []);
    return { of: (prefix: string) => `(${qualified(sql!, tokens, names, prefix)})`, collation };
  });
  const plain = where === undefined && columns.every(({ cid }) => cid !== -2);
  return {
    terms,
    where: where && ((prefix) => `(${qualified(sql!, where, names, prefix)})`),
    columns: plain ? columns.map(({ name }) => name!) : undefined,
  };
}

/** Whether two rows exclude each other by this index. */
export function excludes({ terms, where }: UniqueIndex, one: string, other: string): string {
  const equal = terms.map(({ of, collation }) => `${of(one)} = ${of(other)} COLLATE ${quoted(collation)}`);
  return [...equal, ...(where ? [where(one), where(other)] : [])].join(" AND ");
}

/** `CREATE UNIQUE INDEX … ON t (part, …) [WHERE …]`. */
function partsOf(sql: string): { parts: Token[][]; where: Token[] | undefined } {
  const tokens = tokenize(sql).filter(({ kind }) => kind !== "comment");
  const open = tokens.findIndex((token) => isOperator(token, "("));
  const parts: Token[][] = [[]];
  let depth = 0, at = open;
  for (; at < tokens.length; at++) {
    const token = tokens[at]!;
    depth += nesting(token);
    if (depth === 0) break;
    if (depth === 1 && isOperator(token, ",")) parts.push([]);
    else if (at > open) parts.at(-1)!.push(token);
  }
  const rest = tokens.slice(at + 1);
  return { parts, where: isWord(rest[0], "WHERE") ? rest.slice(1) : undefined };
}

const withoutOrder = (tokens: readonly Token[]) =>
  isWord(tokens.at(-1), "ASC") || isWord(tokens.at(-1), "DESC") ? tokens.slice(0, -1) : tokens;

/** Words of expressions that would have to be quoted to name a column. */
const KEYWORDS = new Set(
  "AND AS BETWEEN CASE CAST COLLATE ELSE END ESCAPE EXISTS IN IS ISNULL NOT NOTNULL NULL OR THEN WHEN".split(" "),
);

/** The expression with a prefix before each column. An expression of an index has no tables, dots or subqueries in it. */
function qualified(sql: string, tokens: readonly Token[], columns: ReadonlySet<string>, prefix: string): string {
  return tokens.map((token, at) => {
    const text = sql.slice(token.start, token.end);
    const before = tokens[at - 1];
    const isColumn = isName(token) && columns.has(upper(token.value)) && !isOperator(tokens[at + 1], "(") &&
      !(token.kind === "word" && KEYWORDS.has(token.value)) && !isWord(before, "AS") && !isWord(before, "COLLATE");
    return isColumn ? prefix + text : text;
  }).join(" ");
}
