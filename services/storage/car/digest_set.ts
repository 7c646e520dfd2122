/** Words of a digest that are kept: nobody finds two blocks whose SHA-256 begin with the same 128 bits. */
const WORDS = 4;
const SMALLEST = 2 ** 10;

/** A set of digests that takes 21 to 43 bytes for each, where strings in a `Set` take 150. */
export class DigestSet {
  #words: Uint32Array;
  #size = 0;

  constructor() {
    this.#words = new Uint32Array(SMALLEST * WORDS);
  }

  get size(): number {
    return this.#size;
  }

  /**
   * @param digest at least 16 bytes, evenly spread
   * @param tag a small number that makes it another one
   * @returns whether it is new
   */
  add(digest: Uint8Array, tag = 0): boolean {
    if (this.#size * 4 >= this.#words.length / WORDS * 3) this.#grow();
    const key = keyOf(digest, tag);
    const at = this.#place(key);
    if (this.#words[at] !== 0) return false;
    this.#words.set(key, at);
    this.#size++;
    return true;
  }

  /** See {@link add}. */
  has(digest: Uint8Array, tag = 0): boolean {
    return this.#words[this.#place(keyOf(digest, tag))] !== 0;
  }

  /** Where a key is, or would be. */
  #place(key: Uint32Array): number {
    const words = this.#words, slots = words.length / WORDS;
    for (let slot = key[1]! % slots;; slot = slot + 1 === slots ? 0 : slot + 1) {
      const at = slot * WORDS;
      if (words[at] === 0) return at;
      if (words[at] === key[0] && words[at + 1] === key[1] && words[at + 2] === key[2] && words[at + 3] === key[3]) {
        return at;
      }
    }
  }

  #grow(): void {
    const before = this.#words;
    this.#words = new Uint32Array(before.length * 2);
    for (let at = 0; at < before.length; at += WORDS) {
      if (before[at] !== 0) {
        const key = before.subarray(at, at + WORDS);
        this.#words.set(key, this.#place(key));
      }
    }
  }
}

function keyOf(digest: Uint8Array, tag: number): Uint32Array {
  const view = new DataView(digest.buffer, digest.byteOffset);
  const key = new Uint32Array(WORDS);
  for (let i = 0; i < WORDS; i++) key[i] = view.getUint32(4 * i);
  key[WORDS - 1]! ^= tag;
  // An empty place begins with 0.
  key[0] ||= 1;
  return key;
}
