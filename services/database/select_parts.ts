import { isName, isOperator, isWord, nesting, type Token, tokenize } from "./gate/lexer.ts";

/** Why a part of a `SELECT` was refused; the message completes "… is wrong: ". */
export class PartProblem extends Error {
  override readonly name = "PartProblem";
}

/** Words that cannot stand bare where a name is expected: something else was meant. */
const CLAUSES = new Set(
  ("SELECT FROM WHERE GROUP ORDER HAVING LIMIT OFFSET UNION INTERSECT EXCEPT JOIN INNER LEFT RIGHT FULL CROSS NATURAL OUTER ON " +
    "USING AND OR NOT IN IS LIKE BETWEEN EXISTS CASE WHEN THEN ELSE INSERT UPDATE DELETE DROP CREATE ALTER VALUES SET WITH AS " +
    "ASC DESC NULLS COLLATE DISTINCT BY").split(" "),
);

/**
 * Quoted by backticks, which SQLite never takes for text: with double quotes a name that does not exist would silently become
 * a string ("Double-quoted String Literals Are Accepted", sqlite.org/quirks.html).
 */
export const quoteName = (name: string): string => `\`${name.replaceAll("`", "``")}\``;

/** A result column, read. */
export interface ColumnItem {
  readonly item: string;
  /** As it was given, or as a call is spelled; a plain column has none. */
  readonly alias: string | undefined;
}

/** One term of `ORDER BY`, read. */
export interface OrderItem {
  readonly item: string;
  /** Where the item is one name alone: it may be that of a result column. */
  readonly name: string | undefined;
  /** It is no value of a row's: `*`, a number, a text. */
  readonly constant: boolean;
  readonly collation: string | undefined;
  readonly direction: "ASC" | "DESC" | undefined;
  readonly nulls: "FIRST" | "LAST" | undefined;
}

/** A table in `FROM`, read. */
export interface TableItem {
  readonly name: string;
  readonly alias: string | undefined;
}

/** Writes a result column anew. */
export const columnText = ({ item, alias }: ColumnItem): string =>
  alias === undefined ? item : `${item} AS ${quoteName(alias)}`;

/** Writes a term of `ORDER BY` anew. */
export const orderText = ({ item, collation, direction, nulls }: Omit<OrderItem, "name" | "constant">): string =>
  item + (collation === undefined ? "" : ` COLLATE ${quoteName(collation)}`) + (direction ? ` ${direction}` : "") +
  (nulls ? ` NULLS ${nulls}` : "");

/**
 * Reads the parts of a `SELECT` that are names: a small grammar whose result is written anew, so that nothing of the text
 * reaches SQL unread. Names may be bare or quoted in any of SQLite's ways.
 *
 *     column  = item ["AS" name | name]         order = item ["COLLATE" word] ["ASC"|"DESC"] ["NULLS" ("FIRST"|"LAST")]
 *     item    = "*" | name "." "*" | name ["." name] | call | literal
 *     call    = word "(" [ "*" | ["DISTINCT"] item {"," item} ] ")"
 */
export class PartReader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  readonly #calls: string[] = [];

  /** @throws PartProblem for comments, semicolons, and text that SQLite could not even split */
  constructor(text: string) {
    if (text.length > MAX_PART_LENGTH) throw new PartProblem(`it is longer than ${MAX_PART_LENGTH} characters`);
    this.#text = text;
    this.#tokens = plainTokens(text);
  }

  /** `column {"," column}`. */
  columns(): ColumnItem[] {
    return this.#list(() => {
      const start = this.#tokens[this.#at]?.start ?? 0;
      const isPlain = !isOperator(this.#tokens[this.#at + 1], "(");
      const item = this.#item();
      if (this.#takeWord("AS") || this.#startsName()) return { item, alias: this.#anyName() };
      // SQLite would name the column by our quoted text, and clients look for theirs.
      return { item, alias: isPlain ? undefined : this.#text.slice(start, this.#tokens[this.#at - 1]!.end) };
    });
  }

  /** `item {"," item}`. */
  groups(): string[] {
    return this.#list(() => this.#item());
  }

  /** `order {"," order}`. */
  orders(): OrderItem[] {
    return this.#list(() => {
      const first = this.#at, token = this.#tokens[first];
      const item = this.#item();
      const isName = token !== undefined && this.#startsName(first) && !isWord(token, "NULL");
      const name = !isName || this.#at > first + 1 ? undefined : this.#nameOf(token);
      const collation = this.#takeWord("COLLATE") && this.#name();
      const direction = this.#takeWord("ASC") ?? this.#takeWord("DESC");
      const nulls = this.#takeWord("NULLS") && (this.#takeWord("FIRST") ?? this.#takeWord("LAST") ?? this.#fail());
      return { item, name, constant: !isName || item.endsWith("*"), collation, direction, nulls };
    });
  }

  /** `name ["AS" name | name]`: a table and its alias. A name that stands first, alone or behind a dot may be any word. */
  table(): TableItem {
    const name = this.#anyName();
    const alias = this.#takeWord("AS") || this.#startsName() ? this.#anyName() : undefined;
    this.#end();
    return { name, alias };
  }

  /** `name`. */
  alias(): string {
    const text = quoteName(this.#anyName());
    this.#end();
    return text;
  }

  /** `name ["." name]`. */
  column(): string {
    const text = this.#path(this.#anyName());
    this.#end();
    return text;
  }

  /** The calls that were read: names in upper case and how many arguments, `COUNT/1`. */
  get calls(): readonly string[] {
    return this.#calls;
  }

  /** Takes `DISTINCT` where the text begins with it. */
  distinct(): boolean {
    return this.#takeWord("DISTINCT") !== undefined;
  }

  #list<T>(read: () => T): T[] {
    const items = [read()];
    while (this.#takeOperator(",")) items.push(read());
    this.#end();
    return items;
  }

  #item(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.#unexpected();
    if (this.#takeOperator("*")) return "*";
    if (token.kind === "number" || token.kind === "blob") return this.#take(token.value);
    if (token.kind === "string") return this.#take(`'${token.value.replaceAll("'", "''")}'`);
    if (isOperator(token, "-") && this.#tokens[this.#at + 1]?.kind === "number") {
      this.#at++;
      return `-${this.#item()}`;
    }
    if (token.kind === "word" && isOperator(this.#tokens[this.#at + 1], "(")) return this.#call(token);
    if (isWord(token, "NULL")) return this.#take("NULL");
    if (isOperator(this.#tokens[this.#at + 1], ".") && isOperator(this.#tokens[this.#at + 2], "*")) {
      const table = quoteName(this.#name());
      this.#at += 2;
      return `${table}.*`;
    }
    return this.#path(this.#name());
  }

  #call(name: Token): string {
    if (CLAUSES.has(name.value)) throw this.#unexpected();
    if (++this.#depth > MAX_DEPTH) throw new PartProblem(`it is nested deeper than ${MAX_DEPTH} calls`);
    this.#at += 2;
    const distinct = this.#takeWord("DISTINCT") ? "DISTINCT " : "";
    const args: string[] = [];
    if (!this.#takeOperator(")")) {
      do args.push(this.#item()); while (this.#takeOperator(","));
      if (!this.#takeOperator(")")) throw this.#unexpected();
    }
    this.#depth--;
    this.#calls.push(`${name.value}/${args.length}`);
    return `${this.#spelling(name)}(${distinct}${args.join(", ")})`;
  }

  #path(first: string): string {
    return this.#takeOperator(".") ? `${quoteName(first)}.${quoteName(this.#anyName())}` : quoteName(first);
  }

  #name(): string {
    if (!this.#startsName()) throw this.#unexpected();
    return this.#anyName();
  }

  #anyName(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined || !isName(token) || token.value === "") throw this.#unexpected();
    this.#at++;
    return this.#nameOf(token);
  }

  #nameOf(token: Token): string {
    return token.kind === "word" ? this.#spelling(token) : token.value;
  }

  #startsName(at = this.#at): boolean {
    const token = this.#tokens[at];
    if (token?.kind === "quoted") return token.value !== "";
    return token?.kind === "word" && !CLAUSES.has(token.value);
  }

  #take(text: string): string {
    this.#at++;
    return text;
  }

  #takeWord<Word extends string>(word: Word): Word | undefined {
    if (!isWord(this.#tokens[this.#at], word)) return undefined;
    this.#at++;
    return word;
  }

  #takeOperator(operator: string): boolean {
    const found = isOperator(this.#tokens[this.#at], operator);
    if (found) this.#at++;
    return found;
  }

  #end(): void {
    if (this.#at < this.#tokens.length) throw this.#unexpected();
  }

  #spelling({ start, end }: Token): string {
    return this.#text.slice(start, end);
  }

  #fail(): never {
    throw this.#unexpected();
  }

  #unexpected(): PartProblem {
    const token = this.#tokens[this.#at];
    if (token === undefined) return new PartProblem(this.#tokens.length === 0 ? "it is empty" : "it ends too early");
    return new PartProblem(`unexpected "${this.#spelling(token).slice(0, 60)}"; ${ALLOWED}`);
  }
}

const ALLOWED = "names, table.column and fn(column) can stand here, other SQL goes to /v1/rqlite/query";
/** Characters of one name or list of names. */
const MAX_PART_LENGTH = 4_000;
/** Calls within calls. */
const MAX_DEPTH = 30;

/**
 * Looks at an expression of the developer's own: it goes into SQL as it is, in parentheses, so it must be one balanced whole.
 * @returns how many `?` it has
 * @throws PartProblem
 */
export function checkExpression(text: string): number {
  const tokens = plainTokens(text);
  if (tokens.length === 0) throw new PartProblem("it is empty");
  let depth = 0;
  for (const token of tokens) {
    depth += nesting(token);
    if (depth < 0) break;
  }
  if (depth !== 0) throw new PartProblem("its parentheses do not match");
  return tokens.filter(({ kind }) => kind === "placeholder").length;
}

function plainTokens(text: string): Token[] {
  if (text.includes("\0")) throw new PartProblem("it holds U+0000");
  const tokens = tokenize(text);
  for (const { kind, value } of tokens) {
    if (kind === "illegal") throw new PartProblem(`unrecognized token "${value.slice(0, 60)}"`);
    if (kind === "comment") throw new PartProblem("it holds a comment");
    if (kind === "semicolon") throw new PartProblem("it holds a semicolon");
    if (kind === "parameter") {
      throw new PartProblem(`the placeholder "${value.slice(0, 60)}" is not supported, only ? is`);
    }
  }
  return tokens;
}
