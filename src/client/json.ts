const MAX_INTEGER = 2n ** 63n - 1n, MIN_INTEGER = -(2n ** 63n);

/** Whether an integer fits into SQLite's 64 bits. */
export const fitsInto64Bits = (value: bigint): boolean => value >= MIN_INTEGER && value <= MAX_INTEGER;

/** Digits where an integer can begin, so not within most texts, such as the versions of a cache. */
const MAYBE_LONG = /(?:^|[[:,\s-])\d{16}/;

/**
 * Parses JSON so that no integer of 64 bits is rounded: those beyond ±(2^53 − 1) become `bigint`.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  // `JSON.parse` does not show the source of a number on every platform, and a parser of our own is slower.
  return MAYBE_LONG.test(text) ? new Reader(text).whole() : JSON.parse(text);
}

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): unknown {
    const value = this.#value();
    this.#skip();
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(): unknown {
    this.#skip();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object();
      case "[":
        return this.#array();
      case '"':
        return this.#string();
      default:
        return this.#scalar();
    }
  }

  #object(): Record<string, unknown> {
    const members: [string, unknown][] = [];
    this.#list("}", () => {
      this.#skip();
      if (this.#text[this.#at] !== '"') throw this.#unexpected();
      const name = this.#string();
      this.#skip();
      if (this.#text[this.#at++] !== ":") throw this.#unexpected();
      members.push([name, this.#value()]);
    });
    // Assigned one by one, a member `__proto__` would vanish.
    return Object.fromEntries(members);
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#list("]", () => items.push(this.#value()));
    return items;
  }

  #list(end: string, item: () => void): void {
    this.#at++;
    this.#skip();
    if (this.#text[this.#at] === end) return void this.#at++;
    for (;;) {
      item();
      this.#skip();
      const next = this.#text[this.#at++];
      if (next === end) return;
      if (next !== ",") throw this.#unexpected();
    }
  }

  #string(): string {
    const start = this.#at;
    let end = start;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end < 0) throw this.#unexpected();
    } while (this.#isEscaped(end));
    this.#at = end + 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #isEscaped(quote: number): boolean {
    let at = quote;
    while (this.#text[at - 1] === "\\") at--;
    return (quote - at) % 2 === 1;
  }

  #scalar(): unknown {
    const token = /[-+.\w]*/y;
    token.lastIndex = this.#at;
    const [source = ""] = token.exec(this.#text) ?? [];
    if (source === "") throw this.#unexpected();
    this.#at += source.length;
    const value: unknown = JSON.parse(source);
    if (typeof value !== "number" || Number.isSafeInteger(value) || !/^-?\d{1,19}$/.test(source)) return value;
    const integer = BigInt(source);
    return fitsInto64Bits(integer) ? integer : value;
  }

  #skip(): void {
    while (" \n\r\t".includes(this.#text[this.#at] ?? "x")) this.#at++;
  }

  #unexpected(): SyntaxError {
    return new SyntaxError(`unexpected JSON at position ${this.#at}`);
  }
}
