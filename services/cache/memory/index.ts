import type { Arena } from "./arena.ts";
import { FIELD } from "./header.ts";

/** Buckets of one piece of the directory, and the least that there are. A power of two. */
const PIECE = 4_096;
/** With fewer entries than one in so many buckets there are too many of them. */
const SPARSE = 4;

/**
 * Finds entries by their hashes: linear hashing (Litwin), which grows and shrinks by one bucket at a time. A table that is
 * copied when it is full stands still for a tenth of a second at a million entries.
 */
export class Index {
  readonly #arena: Arena;
  readonly #pieces = [new Uint32Array(PIECE)];
  /** The largest power of two up to {@link #buckets}. */
  #base = PIECE;
  #buckets = PIECE;
  #entries = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The first of the entries that may have this hash; the others follow by {@link FIELD.nextInBucket}. */
  first(hash: number): number {
    return this.#head(this.#bucketOf(hash));
  }

  /** Takes in an entry whose hash is in its header. */
  add(id: number): void {
    this.#push(this.#bucketOf(this.#arena.word(id, FIELD.hash)), id);
    if (++this.#entries > this.#buckets) this.#split();
  }

  remove(id: number): void {
    const bucket = this.#bucketOf(this.#arena.word(id, FIELD.hash)), after = this.#arena.word(id, FIELD.nextInBucket);
    let before = this.#head(bucket);
    if (before === id) this.#setHead(bucket, after);
    else {
      for (let next = this.#after(before); next !== id; next = this.#after(before)) before = next;
      this.#arena.setWord(before, FIELD.nextInBucket, after);
    }
    this.#entries--;
    // As many as keep pace with the entries that go.
    for (let i = 0; i < SPARSE && this.#entries * SPARSE < this.#buckets && this.#buckets > PIECE; i++) this.#merge();
  }

  /** One bucket more: the entries of another one are shared between the two. */
  #split(): void {
    const from = this.#buckets - this.#base, to = this.#buckets++;
    if (to % PIECE === 0) this.#pieces.push(new Uint32Array(PIECE));
    if (this.#buckets === 2 * this.#base) this.#base *= 2;
    let id = this.#head(from);
    this.#setHead(from, 0);
    while (id !== 0) {
      const after = this.#after(id);
      this.#push(this.#bucketOf(this.#arena.word(id, FIELD.hash)), id);
      id = after;
    }
  }

  /** One bucket less: the undoing of a split. */
  #merge(): void {
    const from = --this.#buckets;
    let id = this.#head(from);
    if (from % PIECE === 0) this.#pieces.pop();
    if (this.#buckets < this.#base) this.#base /= 2;
    while (id !== 0) {
      const after = this.#after(id);
      this.#push(this.#bucketOf(this.#arena.word(id, FIELD.hash)), id);
      id = after;
    }
  }

  #bucketOf(hash: number): number {
    const wide = (hash & (2 * this.#base - 1)) >>> 0;
    return wide < this.#buckets ? wide : wide - this.#base;
  }

  #push(bucket: number, id: number): void {
    this.#arena.setWord(id, FIELD.nextInBucket, this.#head(bucket));
    this.#setHead(bucket, id);
  }

  #after(id: number): number {
    return this.#arena.word(id, FIELD.nextInBucket);
  }

  #head(bucket: number): number {
    return this.#pieces[bucket / PIECE | 0]![bucket % PIECE]!;
  }

  #setHead(bucket: number, id: number): void {
    this.#pieces[bucket / PIECE | 0]![bucket % PIECE] = id;
  }
}
