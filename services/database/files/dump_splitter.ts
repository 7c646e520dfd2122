/** How a piece of SQL text ends that is no statement's end: a quote, a line, a block comment. */
type Inside = "'" | '"' | "`" | "]" | "\n" | "*/";

const NOTABLE = /['"`[;]|--|\/\*/g;
/** Something that may stand before a statement's first word. One at a time: a repeated group takes stack for each of them. */
const LEADING = /[\s\ufeff]+|--[^\n]*(?:\n|$)|\/\*[^]*?\*\//y;
const TRIGGER = /^CREATE\s+(?:TEMP(?:ORARY)?\s+)?TRIGGER\b/i;
const COMMENTS = /--[^\n]*|\/\*[^]*?\*\//g;

/** A statement without the blanks and comments before its first word. */
export function withoutLead(sql: string): string {
  let start = 0;
  for (LEADING.lastIndex = 0; LEADING.test(sql);) start = LEADING.lastIndex;
  return sql.slice(start);
}

/**
 * Cuts SQL text into statements while it comes in, at semicolons that stand in no text, name or comment (`sqlite3_complete`,
 * sqlite.org/c3ref/complete.html). A trigger goes on to the semicolon behind its `END`. Decides nothing else: what comes out
 * has to pass the gate by itself.
 */
export class StatementSplitter {
  #text = "";
  /** Where to look on; what lies before it is known. */
  #at = 0;
  #inside: Inside | undefined;
  /** Behind the last semicolon of a trigger's body. */
  #body = 0;

  /** @param most characters that one statement may have. @throws RangeError for one that is longer */
  constructor(private readonly most: number) {}

  /** Takes more text; gives the statements that are whole by now, without their semicolons. */
  *push(more: string): Generator<string> {
    this.#text += more;
    yield* this.#statements(false);
    if (this.#text.length > this.most) throw new RangeError(`a statement has more than ${this.most} characters`);
  }

  /** What is left at the end, which may be blank. */
  *end(): Generator<string> {
    yield* this.#statements(true);
    yield this.#text;
    this.#text = "";
  }

  *#statements(last: boolean): Generator<string> {
    while (this.#skipInside()) {
      NOTABLE.lastIndex = this.#at;
      const found = NOTABLE.exec(this.#text);
      if (!found) {
        // Half of a `--` or of a comment's beginning may be the last character.
        this.#at = last ? this.#text.length : Math.max(this.#at, this.#text.length - 1);
        return;
      }
      this.#at = found.index + found[0].length;
      if (found[0] !== ";") this.#inside = ENDS[found[0]];
      else if (this.#isEnd(found.index)) {
        yield this.#text.slice(0, found.index);
        this.#text = this.#text.slice(this.#at);
        this.#at = this.#body = 0;
      } else this.#body = this.#at;
    }
  }

  /** Goes to the end of the text, name or comment that it stands in. @returns whether that is there */
  #skipInside(): boolean {
    if (this.#inside === undefined) return true;
    const end = this.#text.indexOf(this.#inside, this.#at);
    if (end < 0) {
      this.#at = Math.max(this.#at, this.#text.length - 1);
      // A character that was looked at cannot end it, but for the first half of `*/`.
      if (this.#inside !== "*/") this.#at = this.#text.length;
      return false;
    }
    this.#at = end + this.#inside.length;
    this.#inside = undefined;
    return true;
  }

  #isEnd(semicolon: number): boolean {
    if (!TRIGGER.test(withoutLead(this.#text.slice(0, Math.min(semicolon, 10_000))))) return true;
    return /^\s*END\s*$/i.test(this.#text.slice(this.#body, semicolon).replaceAll(COMMENTS, " "));
  }
}

const ENDS: Readonly<Record<string, Inside>> = {
  "'": "'",
  '"': '"',
  "`": "`",
  "[": "]",
  "--": "\n",
  "/*": "*/",
};
