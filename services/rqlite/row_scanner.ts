import { GatewayError } from "../../src/contracts/errors.ts";

const QUOTE = 34, BACKSLASH = 92, OPEN_LIST = 91, CLOSE_LIST = 93, OPEN_OBJECT = 123, CLOSE_OBJECT = 125;
/** Nesting inside a result, and inside its `values`. */
const IN_RESULT = 3, IN_VALUES = 4;

/**
 * Finds the rows in an answer of rqlite, `{"results":[{"columns":[…],"types":[…],"values":[[…],[…]]}]}`, while its bytes come,
 * and keeps no more of it than the row that is not complete. rqlite writes the members in this order.
 */
export class RowScanner {
  /** The columns, once the first row is near. */
  head: { readonly columns: readonly string[]; readonly types: readonly string[] } | undefined;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(128 * 1024);
  #length = 0;
  /** Up to where the bytes have been looked at. */
  #at = 0;
  #depth = 0;
  #inString = false;
  #result = -1;
  /** Where the wanted result begins; then the first row that was not handed out; then what follows the rows. */
  #start = 0;
  /** Behind the last complete row. */
  #end = 0;
  #rowsOver = false;

  /**
   * @param skip results of other statements that come before
   * @param maxPiece the most bytes that are kept
   */
  constructor(private readonly skip: number, private readonly maxPiece: number) {}

  /** Looks at what has come. @throws GatewayError `RESULT_TOO_LARGE` for a row beyond the bound */
  add(bytes: Uint8Array<ArrayBuffer>): void {
    this.#append(bytes);
    if (this.#rowsOver) return;
    const all = this.#bytes, length = this.#length;
    let depth = this.#depth, inString = this.#inString, at = this.#at;
    for (; at < length; at++) {
      const byte = all[at]!;
      if (inString) {
        if (byte === QUOTE) inString = false;
        else if (byte === BACKSLASH) at++;
        continue;
      }
      if (byte === QUOTE) inString = true;
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        depth++;
        if (byte === OPEN_OBJECT && depth === IN_RESULT && ++this.#result === this.skip) this.#start = at;
        else if (depth === IN_VALUES && this.head === undefined) this.#startsRows(at);
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        depth--;
        if (this.head === undefined) continue;
        if (depth === IN_VALUES) this.#end = at + 1;
        else if (depth === IN_RESULT) {
          this.#rowsOver = true;
          break;
        }
      }
    }
    this.#depth = depth;
    this.#inString = inString;
    this.#at = at;
  }

  /** The complete rows that were not handed out yet, as JSON with commas between them; `undefined` for none. */
  rows(): string | undefined {
    if (this.head === undefined || this.#end <= this.#start) return undefined;
    const text = utf8.decode(this.#bytes.subarray(this.#start, this.#end));
    this.#start = this.#end;
    // The comma before a row belongs to those that came before it.
    return text.startsWith(",") ? text.slice(1) : text;
  }

  /** What was not handed out: the whole answer when there was no row, and otherwise an answer without its rows. */
  text(): string {
    const rest = utf8.decode(this.#bytes.subarray(this.head === undefined ? 0 : this.#end, this.#length));
    return this.head === undefined ? rest : `{"results":[{"columns":[],"values":[${rest}`;
  }

  #startsRows(at: number): void {
    if (this.#result !== this.skip) return;
    const text = utf8.decode(this.#bytes.subarray(this.#start, at));
    if (!text.endsWith('"values":')) return;
    const { columns, types } = JSON.parse(`${text}[]}`);
    this.head = { columns, types };
    this.#start = this.#end = at + 1;
  }

  /** Behind what is still needed of the bytes before. */
  #append(bytes: Uint8Array<ArrayBuffer>): void {
    const from = this.head === undefined ? 0 : this.#start;
    const kept = this.#length - from, length = kept + bytes.length;
    if (length > this.maxPiece) {
      throw new GatewayError("RESULT_TOO_LARGE", "one row of the result is too large to be streamed");
    }
    if (length <= this.#bytes.length) this.#bytes.copyWithin(0, from, this.#length);
    else {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(from, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, kept);
    this.#length = length;
    this.#at -= from;
    this.#start -= from;
    this.#end -= from;
  }
}

const utf8 = new TextDecoder();
