/** What lines are written to: `Deno.stderr`, or a test's memory. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
}

/** Lines held while the reader of the log is slower than the gateway; beyond it lines are dropped and counted. */
const MAX_PENDING = 20_000;

/**
 * Writes log lines in batches and never makes a request wait: a reader that stalls costs lines, not answers.
 */
export class LineWriter {
  #pending: string[] = [];
  #writing: Promise<void> | undefined;
  #dropped = 0;
  readonly #encoder = new TextEncoder();

  constructor(private readonly sink: Sink) {}

  /** Lines that were dropped so far because nobody read fast enough, or at all. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line, without its end. */
  line(text: string): void {
    if (this.#pending.length >= MAX_PENDING) {
      this.#dropped++;
      return;
    }
    this.#pending.push(text);
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything taken so far is written. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #drain(): Promise<void> {
    let lines: readonly string[] = [];
    try {
      // One turn of the event loop gathers the lines of all requests it serves into one write.
      await new Promise((resolve) => setTimeout(resolve, 5));
      while (this.#pending.length > 0) {
        lines = this.#pending;
        this.#pending = [];
        await this.#writeAll(this.#encoder.encode(lines.join("\n") + "\n"));
      }
    } catch {
      this.#dropped += lines.length + this.#pending.length;
      this.#pending = [];
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength;) at += await this.sink.write(bytes.subarray(at));
  }
}
