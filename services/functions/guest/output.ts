/** Bytes that a call writes, in memory that grows with them. */
export class Output {
  #bytes = new Uint8Array(0);
  #length = 0;

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Adds a copy of them. */
  write(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length, 512));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** All of them, not a copy. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
