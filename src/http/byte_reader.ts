/**
 * Reads bytes that come in pieces, up to where some others stand. Holds one piece, and what a search keeps back of it. The pieces may
 * be lent: what is still needed of one is copied before the next is asked for. So they are good until then, and what is made of them.
 */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #bytes: Uint8Array;
  #ended = false;

  /** @param before bytes that stand before all others */
  constructor(source: AsyncIterable<Uint8Array>, before: Uint8Array = new Uint8Array()) {
    this.#source = source[Symbol.asyncIterator]();
    this.#bytes = before;
  }

  /** The next bytes, as many as asked for; `undefined` where there are fewer. */
  async next(count: number): Promise<Uint8Array | undefined> {
    while (this.#bytes.length < count) if (!await this.#more()) return undefined;
    return this.#take(count);
  }

  /** Lets bytes come next. */
  putBack(bytes: Uint8Array): void {
    this.#bytes = joined(bytes, this.#bytes);
  }

  /** The bytes before the next `mark`, which is passed over; `undefined` where there are more than `most`, or no mark. */
  async before(mark: Uint8Array, most: number): Promise<Uint8Array | undefined> {
    for (let searched = 0;;) {
      const at = indexOf(this.#bytes, mark, searched);
      if (at > most || at < 0 && this.#bytes.length > most + mark.length) return undefined;
      if (at >= 0) {
        const found = this.#take(at);
        this.#take(mark.length);
        return found;
      }
      searched = Math.max(0, this.#bytes.length - mark.length);
      if (!await this.#more()) return undefined;
    }
  }

  /** The bytes before the next `mark` as they come; the mark is passed over. They end without a word where there is none. */
  until(mark: Uint8Array): Marked {
    return new Marked(this, mark);
  }

  /** Passes over what is left before a mark. @returns whether there was one */
  async skip(marked: AsyncIterable<Uint8Array>): Promise<boolean> {
    if (!(marked instanceof Marked)) throw new TypeError("only what until() gave can be skipped");
    while (!(await marked.next()).done);
    return marked.found;
  }

  /** What is there before the mark, without bytes that may be its beginning. For {@link Marked} alone. */
  async piece(mark: Uint8Array): Promise<{ readonly bytes: Uint8Array; readonly found: boolean } | undefined> {
    for (;;) {
      const at = indexOf(this.#bytes, mark, 0);
      if (at >= 0) {
        const bytes = this.#take(at);
        this.#take(mark.length);
        return { bytes, found: true };
      }
      const certain = this.#bytes.length - beginningAtEnd(this.#bytes, mark);
      if (certain > 0) return { bytes: this.#take(certain), found: false };
      if (!await this.#more()) return undefined;
    }
  }

  /** Whether the source ends before it has given more than `most` bytes. */
  async endsWithin(most: number): Promise<boolean> {
    let count = this.#bytes.length;
    for (this.#bytes = new Uint8Array(); count <= most && await this.#more();) {
      count += this.#bytes.length;
      this.#bytes = new Uint8Array();
    }
    return count <= most;
  }

  /** Lets go of the source. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#source.return?.();
  }

  #take(count: number): Uint8Array {
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    this.#bytes = this.#bytes.slice();
    const { done, value } = await this.#source.next();
    if (done) this.#ended = true;
    else this.#bytes = joined(this.#bytes, value);
    return !done;
  }
}

/** Bytes before a mark. An iterator that may be left and taken up again. */
class Marked implements AsyncIterableIterator<Uint8Array, undefined> {
  /** Whether the mark was reached. */
  found = false;
  #over = false;

  constructor(private readonly reader: ByteReader, private readonly mark: Uint8Array) {}

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (!this.#over) {
      const piece = await this.reader.piece(this.mark);
      this.found = piece?.found === true;
      this.#over = piece === undefined || this.found;
      if (piece !== undefined && piece.bytes.length > 0) return { done: false, value: piece.bytes };
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** How far a search may go on behind a byte, by the byte (Horspool, 1980), for each mark that was searched for. */
const steps = new WeakMap<Uint8Array, Uint16Array>();

function stepsOf(mark: Uint8Array): Uint16Array {
  const known = steps.get(mark);
  if (known) return known;
  const made = new Uint16Array(256).fill(mark.length);
  for (let i = 0; i < mark.length - 1; i++) made[mark[i]!] = mark.length - 1 - i;
  steps.set(mark, made);
  return made;
}

/** Where bytes stand first, from a place on; -1: nowhere. */
function indexOf(bytes: Uint8Array, mark: Uint8Array, from: number): number {
  const step = stepsOf(mark), last = mark.length - 1, end = mark[last];
  for (let at = from + last; at < bytes.length; at += step[bytes[at]!]!) {
    if (bytes[at] === end && equalAt(bytes, at - last, mark, last)) return at - last;
  }
  return -1;
}

/** How many of the last bytes are the beginning of a mark, the most of them. */
function beginningAtEnd(bytes: Uint8Array, mark: Uint8Array): number {
  const from = Math.max(0, bytes.length - mark.length + 1);
  for (let at = bytes.indexOf(mark[0]!, from); at >= 0; at = bytes.indexOf(mark[0]!, at + 1)) {
    if (equalAt(bytes, at, mark, bytes.length - at)) return bytes.length - at;
  }
  return 0;
}

function equalAt(bytes: Uint8Array, at: number, mark: Uint8Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (bytes[at + i] !== mark[i]) return false;
  return true;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
