/**
 * What comes through the pipe of a child process. A pipe ends when everybody has closed it who could write to it, and a child can leave
 * somebody behind who never does: so it is read to its end, or until the process has ended and a moment is over.
 */
export class UntilEnd implements AsyncIterable<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  /** The process has ended. @param rest milliseconds for what lies in the pipe */
  end(rest: number): void {
    if (!this.#over) this.#timer = setTimeout(() => void this.#cancel(), rest);
  }

  /** To be read once. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) return;
        yield value;
      }
    } finally {
      this.#over = true;
      clearTimeout(this.#timer);
      await this.#cancel();
    }
  }

  /** Cancelling ends a read that waits. */
  async #cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}
