import { GatewayError } from "../contracts/errors.ts";

const QUOTE = 0x22, COMMA = 0x2c, COLON = 0x3a, BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b, CLOSE_LIST = 0x5d, OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d;
const utf8 = new TextDecoder();

/**
 * Finds values in JSON text that was parsed before, so that they can be kept exactly as they came: JavaScript's numbers would
 * lose digits. Works on bytes, because a part of a string holds on to the whole of it, and entries outlive requests.
 */
export class JsonSource {
  /** @param bytes one JSON value in UTF-8, known to be well formed */
  constructor(private readonly bytes: Uint8Array) {}

  /** Where the value begins. */
  get start(): number {
    const { bytes } = this;
    return this.#skipBlanks(bytes[0] === 0xef ? 3 : 0);
  }

  /** Where the value of a member of the object at `at` begins; of several of one name the last, as everywhere. `undefined`: none. */
  member(at: number, name: string): number | undefined {
    let found: number | undefined;
    let here = this.#skipBlanks(at + 1);
    while (this.bytes[here] !== CLOSE_OBJECT) {
      const end = this.end(here);
      const value = this.#skipBlanks(this.#skipBlanks(end) + 1);
      if (JSON.parse(this.#text(here, end)) === name) found = value;
      here = this.#next(this.end(value));
    }
    return found;
  }

  /** Where the items of the list at `at` begin. */
  items(at: number): number[] {
    const starts: number[] = [];
    let here = this.#skipBlanks(at + 1);
    while (this.bytes[here] !== CLOSE_LIST) {
      starts.push(here);
      here = this.#next(this.end(here));
    }
    return starts;
  }

  /** The text of the value at `at`. */
  text(at: number): string {
    return this.#text(at, this.end(at));
  }

  /** A copy of the bytes of the value at `at`. */
  slice(at: number): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(at, this.end(at));
  }

  /** Where the value at `at` ends. */
  end(at: number): number {
    const { bytes } = this;
    let depth = 0;
    for (let i = at;;) {
      switch (bytes[i]) {
        case QUOTE:
          i = this.#endOfString(i);
          if (depth === 0) return i;
          continue;
        case OPEN_LIST:
        case OPEN_OBJECT:
          depth++;
          break;
        case CLOSE_LIST:
        case CLOSE_OBJECT:
          // A number or a word at the end of what it stands in.
          if (depth === 0) return i;
          if (--depth === 0) return i + 1;
          break;
        case COMMA:
        case COLON:
          if (depth === 0) return i;
          break;
        case undefined:
          return i;
        default:
          if (depth === 0 && isBlank(bytes[i])) return i;
      }
      i++;
    }
  }

  #endOfString(at: number): number {
    const { bytes } = this;
    for (let end = bytes.indexOf(QUOTE, at + 1);; end = bytes.indexOf(QUOTE, end + 1)) {
      let escapes = 0;
      while (bytes[end - 1 - escapes] === BACKSLASH) escapes++;
      if (escapes % 2 === 0) return end + 1;
    }
  }

  /** What follows a value: the next one behind a comma, or the bracket that closes. */
  #next(end: number): number {
    const here = this.#skipBlanks(end);
    return this.bytes[here] === COMMA ? this.#skipBlanks(here + 1) : here;
  }

  #skipBlanks(at: number): number {
    let i = at;
    while (isBlank(this.bytes[i])) i++;
    return i;
  }

  #text(from: number, to: number): string {
    return utf8.decode(this.bytes.subarray(from, to));
  }
}

const isBlank = (byte: number | undefined) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Refuses numbers that no double holds: who reads them back would get another value, or none.
 * @param text of the value
 * @param value the same, parsed
 * @throws GatewayError `INVALID_REQUEST`
 */
export function assertHeld(text: string, value: unknown, field: string): void {
  // Only an exponent or very many digits lead there. In a string they may stand too: then nothing is found.
  if (!/\d[eE]|\d{300}/.test(text)) return;
  let level = [value];
  while (level.length > 0) {
    for (const item of level) {
      if (item !== Infinity && item !== -Infinity) continue;
      const problem = "has a number that is too large: no 64-bit floating point number holds it";
      throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
    }
    level = level.flatMap((item): unknown[] => typeof item === "object" && item !== null ? Object.values(item) : []);
  }
}
