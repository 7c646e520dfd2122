/** What a piece of SQL text is. `illegal` is text that SQLite's tokenizer refuses, `comment` includes one that never ends. */
export type TokenKind =
  | "word"
  | "quoted"
  | "string"
  | "blob"
  | "number"
  | "placeholder"
  | "parameter"
  | "operator"
  | "semicolon"
  | "comment"
  | "illegal";

/** One piece of SQL text; blanks are left out. */
export interface Token {
  readonly kind: TokenKind;
  /** Where it starts and ends in the text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /**
   * Of a word its upper-case form (keywords are told by it), of a quoted name or a string what stands between the quotes with
   * doubled ones undone, otherwise the text itself.
   */
  readonly value: string;
}

/**
 * Splits SQL exactly as SQLite's tokenizer does (`tokenize.c`), so that what is one statement here is one statement there.
 * Never throws: what SQLite would refuse comes out as `illegal`. The text must not hold U+0000, where SQLite would stop.
 * `?` is a `placeholder`; `?1`, `:a`, `@a`, `$a` and `#a` are a `parameter`.
 */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < sql.length) {
    const code = sql.charCodeAt(at);
    if (isBlank(code)) at++;
    else {
      const token = readToken(sql, at, code);
      tokens.push(token);
      at = token.end;
    }
  }
  return tokens;
}

/** Blank where a token could start. A byte order mark counts; a vertical tab does only after another blank, so it never does here. */
const isBlank = (code: number) =>
  code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09 || code === 0x0c || code === 0xfeff;
const isDigit = (code: number) => code >= 0x30 && code <= 0x39;
const isHexDigit = (code: number) => isDigit(code) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);
const isNameStart = (code: number) =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || code >= 0x80;
const isNamePart = (code: number) => isNameStart(code) || isDigit(code) || code === 0x24;

const OPERATORS = ["->>", "->", "||", "<<", "<=", "<>", ">>", ">=", "==", "!="];
const SINGLE_OPERATORS = "()+-*/%=<>&|~,.";

function readToken(sql: string, start: number, code: number): Token {
  const next = sql.charCodeAt(start + 1);
  switch (sql[start]) {
    case "'":
      return readQuoted(sql, start, "'", "string");
    case '"':
    case "`":
      return readQuoted(sql, start, sql[start]!, "quoted");
    case "[": {
      const close = sql.indexOf("]", start);
      return close < 0
        ? token("illegal", sql, start, sql.length)
        : { kind: "quoted", start, end: close + 1, value: sql.slice(start + 1, close) };
    }
    case ";":
      return token("semicolon", sql, start, start + 1);
    case "?": {
      const end = skip(sql, start + 1, isDigit);
      return token(end === start + 1 ? "placeholder" : "parameter", sql, start, end);
    }
    case "$":
    case "@":
    case ":":
    case "#": {
      const end = skip(sql, start + 1, isNamePart);
      return token(end === start + 1 ? "illegal" : "parameter", sql, start, end);
    }
    case "-":
      if (next === 0x2d) return readLineComment(sql, start);
      break;
    case "/":
      // With nothing behind it SQLite sees two operators, which no statement ends with; in front of more text it is a comment.
      if (next === 0x2a) {
        return start + 2 < sql.length ? readBlockComment(sql, start) : token("illegal", sql, start, start + 2);
      }
      break;
    case ".":
      if (isDigit(next)) return readNumber(sql, start);
      break;
    case "x":
    case "X":
      if (next === 0x27) return readBlob(sql, start);
      break;
  }
  if (isDigit(code)) return readNumber(sql, start);
  if (isNameStart(code)) {
    const end = skip(sql, start + 1, isNamePart);
    return { kind: "word", start, end, value: upper(sql.slice(start, end)) };
  }
  const long = OPERATORS.find((operator) => sql.startsWith(operator, start));
  if (long) return token("operator", sql, start, start + long.length);
  return token(SINGLE_OPERATORS.includes(sql[start]!) ? "operator" : "illegal", sql, start, start + 1);
}

/** Whether a token is this keyword; `word` in upper case. */
export const isWord = (token: Token | undefined, word: string): boolean =>
  token?.kind === "word" && token.value === word;

/** Whether a token is this operator, parentheses included; a name or text that is spelled alike is not. */
export const isOperator = (token: Token | undefined, operator: string): boolean =>
  token?.kind === "operator" && token.value === operator;

/** Whether a token can name something: bare, or quoted as a name. */
export const isName = (token: Token): boolean => token.kind === "word" || token.kind === "quoted";

/** +1 for an opening parenthesis, −1 for a closing one, otherwise 0. */
export const nesting = (token: Token): number => isOperator(token, "(") ? 1 : isOperator(token, ")") ? -1 : 0;

/** Of ASCII letters alone, as SQLite compares names: `ſ` must not become `S`. */
export const upper = (name: string): string => name.replace(/[a-z]+/g, (letters) => letters.toUpperCase());

const token = (kind: TokenKind, sql: string, start: number, end: number): Token => ({
  kind,
  start,
  end,
  value: sql.slice(start, end),
});

function skip(sql: string, from: number, belongs: (code: number) => boolean): number {
  let at = from;
  while (at < sql.length && belongs(sql.charCodeAt(at))) at++;
  return at;
}

function readQuoted(sql: string, start: number, quote: string, kind: "string" | "quoted"): Token {
  for (let at = start + 1;;) {
    const close = sql.indexOf(quote, at);
    if (close < 0) return token("illegal", sql, start, sql.length);
    if (sql[close + 1] !== quote) {
      const value = sql.slice(start + 1, close).replaceAll(quote + quote, quote);
      return { kind, start, end: close + 1, value };
    }
    at = close + 2;
  }
}

function readLineComment(sql: string, start: number): Token {
  const end = sql.indexOf("\n", start);
  return token("comment", sql, start, end < 0 ? sql.length : end);
}

function readBlockComment(sql: string, start: number): Token {
  const end = sql.indexOf("*/", start + 2);
  return token("comment", sql, start, end < 0 ? sql.length : end + 2);
}

function readBlob(sql: string, start: number): Token {
  const end = skip(sql, start + 2, isHexDigit);
  const whole = sql[end] === "'" && (end - start) % 2 === 0;
  return whole ? token("blob", sql, start, end + 1) : token("illegal", sql, start, Math.max(end, start + 2));
}

/** Decimal and hexadecimal numbers with `_` between digits; a name that touches a number makes both illegal. */
const NUMBER =
  /0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/y;

function readNumber(sql: string, start: number): Token {
  NUMBER.lastIndex = start;
  NUMBER.test(sql);
  const end = NUMBER.lastIndex;
  const rest = skip(sql, end, isNamePart);
  return token(rest === end ? "number" : "illegal", sql, start, rest);
}
