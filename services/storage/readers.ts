/** Milliseconds for which what was opened counts as being read, though nobody reads yet. */
const OPENED = 10 * 60_000;

/** What is read on this gateway now: it is not to be collected, though its last claim has gone. */
export class Readers {
  readonly #reading = new Map<string, number>();
  readonly #opened = new Map<string, number>();
  #bytes = 0;

  constructor(private readonly now: () => number) {}

  /** Bytes that were handed out since the start. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Somebody is going to read. @param root the CID whose claim permits it */
  opened(root: string): void {
    const now = this.now();
    this.#opened.delete(root);
    this.#opened.set(root, now + OPENED);
    for (const [cid, until] of this.#opened) {
      if (until > now) break;
      this.#opened.delete(cid);
    }
  }

  /** Hands on what is read, and counts it. */
  async *read(root: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#reading.set(root, (this.#reading.get(root) ?? 0) + 1);
    try {
      for await (const chunk of content) {
        this.#bytes += chunk.byteLength;
        yield chunk;
      }
    } finally {
      const left = this.#reading.get(root)! - 1;
      if (left > 0) this.#reading.set(root, left);
      else this.#reading.delete(root);
    }
  }

  /** Every root that is being read, or was opened a moment ago. */
  roots(): readonly string[] {
    const now = this.now();
    const opened = [...this.#opened].filter(([, until]) => until > now).map(([cid]) => cid);
    return [...new Set([...this.#reading.keys(), ...opened])];
  }
}
