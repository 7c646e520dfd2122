import { Buffer } from "node:buffer";

/** Bytes of a block. What is kept begins at the start of one, and goes on in as many more as it needs. */
export const BLOCK = 128;
/** What a block takes: itself, and which one comes next. */
export const BLOCK_COST = BLOCK + 4;

/** Blocks of a segment: a mebibyte. The system gives memory for those alone that are written. */
const SEGMENT = 8_192;
const SHIFT = Math.log2(SEGMENT), MASK = SEGMENT - 1;
const WORDS = BLOCK / 4, NUMBERS = BLOCK / 8;
/** Texts up to this many bytes are read fastest by one means, longer ones by another. */
const SHORT = 512;

interface Segment {
  readonly words: Uint32Array;
  readonly numbers: Float64Array;
  readonly bytes: Buffer;
  /** Of each block, the one that comes after it in what it is a part of, or among those that are free; 0: none. */
  readonly next: Uint32Array;
}

/** Told of bytes that lie together. @param done how many came before them */
type Visit = (bytes: Buffer, from: number, to: number, done: number) => void;

/**
 * Memory in blocks of one size, outside of V8's heap. What is given back is used again at once, by things of any size, and
 * nothing of it waits for a garbage collector: the process never takes more than was in use at once. A thing is known by its
 * first block, a number from 1 on.
 */
export class Arena {
  readonly #segments: Segment[] = [];
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #free = 0;
  /** Blocks that were ever used are below. There is no block 0. */
  #made = 1;
  #used = 0;

  /** Blocks that things of so many bytes take. */
  static blocksOf(bytes: number): number {
    return Math.ceil(bytes / BLOCK);
  }

  /** A number from 0 to 2^32 − 1 in the first block. */
  word(id: number, field: number): number {
    return this.#segments[id >>> SHIFT]!.words[(id & MASK) * WORDS + field]!;
  }

  setWord(id: number, field: number, value: number): void {
    this.#segments[id >>> SHIFT]!.words[(id & MASK) * WORDS + field] = value;
  }

  /** A number in the first block that takes the place of two words. */
  number(id: number, field: number): number {
    return this.#segments[id >>> SHIFT]!.numbers[(id & MASK) * NUMBERS + field]!;
  }

  setNumber(id: number, field: number, value: number): void {
    this.#segments[id >>> SHIFT]!.numbers[(id & MASK) * NUMBERS + field] = value;
  }

  /** Room for a thing of so many bytes, at least 1. What was there before is still in it. */
  allocate(bytes: number): number {
    const first = this.#take();
    this.#extend(first, Arena.blocksOf(bytes) - 1);
    return first;
  }

  /** Gives a thing more room or less. Its first bytes stay. */
  resize(id: number, bytes: number): void {
    let last = id, left = Arena.blocksOf(bytes) - 1;
    for (; left > 0; left--) {
      const next = this.#next(last);
      if (next === 0) return this.#extend(last, left);
      last = next;
    }
    const rest = this.#next(last);
    this.#setNext(last, 0);
    if (rest !== 0) this.#giveBack(rest);
  }

  /** Gives the room of a thing back. */
  free(id: number): void {
    this.#giveBack(id);
    if (this.#used > 0) return;
    // One segment stays, or a cache that is empty every other moment would ask the system for it each time.
    this.#segments.length = 1;
    this.#free = 0;
    this.#made = 1;
  }

  /** Writes bytes into a thing, from one of its own on. */
  write(id: number, at: number, source: Uint8Array): void {
    this.#visit(id, at, source.length, (bytes, from, to, done) => {
      bytes.set(done === 0 && to - from === source.length ? source : source.subarray(done, done + to - from), from);
    });
  }

  /** A copy of bytes of a thing. */
  read(id: number, at: number, length: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(length);
    this.#visit(id, at, length, (bytes, from, to, done) => copy.set(bytes.subarray(from, to), done));
    return copy;
  }

  /** The text whose UTF-8 is in a thing. */
  text(id: number, at: number, length: number): string {
    let text = "", pieces: Uint8Array | undefined;
    this.#visit(id, at, length, (bytes, from, to, done) => {
      if (to - from < length) (pieces ??= new Uint8Array(length)).set(bytes.subarray(from, to), done);
      else if (length <= SHORT) text = bytes.toString("utf8", from, to);
      else text = this.#decoder.decode(bytes.subarray(from, to));
    });
    return pieces === undefined ? text : this.#decoder.decode(pieces);
  }

  /** Whether bytes of a thing are these. */
  equals(id: number, at: number, expected: Uint8Array): boolean {
    let equal = true;
    this.#visit(id, at, expected.length, (bytes, from, to, done) => {
      for (let i = from, j = done; equal && i < to; i++, j++) equal = bytes[i] === expected[j];
    });
    return equal;
  }

  /** Tells of the bytes of a thing in order, as many at once as lie together. */
  #visit(id: number, at: number, length: number, visit: Visit): void {
    let block = this.#blockAt(id, at), offset = at & (BLOCK - 1);
    for (let done = 0; done < length;) {
      const { bytes, next } = this.#segments[block >>> SHIFT]!;
      const from = (block & MASK) * BLOCK + offset;
      let to = from - offset + BLOCK;
      while (to - from < length - done && next[block & MASK] === block + 1 && (block & MASK) !== MASK) {
        block++;
        to += BLOCK;
      }
      to = Math.min(to, from + length - done);
      visit(bytes, from, to, done);
      done += to - from;
      block = next[block & MASK]!;
      offset = 0;
    }
  }

  #blockAt(id: number, at: number): number {
    let block = id;
    for (let before = Math.floor(at / BLOCK); before > 0; before--) block = this.#next(block);
    return block;
  }

  #extend(last: number, blocks: number): void {
    let end = last;
    for (let left = blocks; left > 0; left--) {
      const block = this.#take();
      this.#setNext(end, block);
      end = block;
    }
  }

  /** A free block, with nothing after it. */
  #take(): number {
    this.#used++;
    const block = this.#free;
    if (block !== 0) {
      this.#free = this.#next(block);
      this.#setNext(block, 0);
      return block;
    }
    if (this.#made >>> SHIFT === this.#segments.length) this.#segments.push(segment());
    this.#setNext(this.#made, 0);
    return this.#made++;
  }

  /** In the order in which they are: whoever takes as many again has them side by side again. */
  #giveBack(first: number): void {
    let last = first;
    this.#used--;
    for (let next = this.#next(last); next !== 0; next = this.#next(last)) {
      this.#used--;
      last = next;
    }
    this.#setNext(last, this.#free);
    this.#free = first;
  }

  #next(block: number): number {
    return this.#segments[block >>> SHIFT]!.next[block & MASK]!;
  }

  #setNext(block: number, next: number): void {
    this.#segments[block >>> SHIFT]!.next[block & MASK] = next;
  }
}

function segment(): Segment {
  const memory = new ArrayBuffer(SEGMENT * BLOCK);
  return {
    words: new Uint32Array(memory),
    numbers: new Float64Array(memory),
    bytes: Buffer.from(memory),
    next: new Uint32Array(SEGMENT),
  };
}
