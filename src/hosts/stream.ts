/** The way back to the host. */
interface StreamControls {
  more(credit: number): void;
  stop(): void;
}

/** Items that may lie here unread: with a reader that keeps up the host need not wait for it. */
const WINDOW = 4;

/** The reader left the host waiting for longer than it may. */
export class ReaderTooSlow extends Error {
  override readonly name = "ReaderTooSlow";
}

/**
 * Items from a host, in order, at the reader's pace: never more than a few lie here. Read once. Ending the iteration early
 * stops the host's work.
 */
export class HostStream implements AsyncIterableIterator<unknown> {
  /** Items that the host may send at the beginning. */
  readonly credit = WINDOW;
  readonly #items: unknown[] = [];
  #left: number;
  #began = 0;
  #over: { readonly error?: Error } | undefined;
  #wake: (() => void) | undefined;
  #patienceTimer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param timeout milliseconds that the host may work on it
   * @param patience milliseconds that it may lie here with nobody reading
   */
  constructor(timeout: number, private readonly patience: number, private readonly controls: StreamControls) {
    this.#left = timeout;
  }

  /** The host works on it from now. @returns the milliseconds it may yet */
  begin(): number {
    this.#began = performance.now();
    return this.#left;
  }

  /** The host no longer works on it. */
  pause(): void {
    this.#left = Math.max(0, this.#left - (performance.now() - this.#began));
  }

  /** One more item came. */
  push(item: unknown): void {
    if (this.#over) return;
    this.#items.push(item);
    if (this.#items.length > WINDOW) throw new Error("a stream sent more than it may");
    if (this.#wake) this.#wake();
    else if (this.#items.length === 1) this.#beImpatient();
  }

  /** Nothing more will come. */
  finish(): void {
    this.#end({});
  }

  /** Nothing more will come, because of this. What came before is still handed out. */
  fail(error: Error): void {
    this.#end({ error });
  }

  /** The next item. @throws what {@link fail} was given, ReaderTooSlow */
  async next(): Promise<IteratorResult<unknown>> {
    clearTimeout(this.#patienceTimer);
    while (this.#items.length === 0) {
      if (this.#over?.error) throw this.#over.error;
      if (this.#over) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    const value = this.#items.shift();
    if (!this.#over) {
      this.controls.more(1);
      this.#beImpatient();
    }
    return { done: false, value };
  }

  /** Ends it early. */
  return(): Promise<IteratorResult<unknown>> {
    this.#abandon({});
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #beImpatient(): void {
    clearTimeout(this.#patienceTimer);
    const give = () => this.#abandon({ error: new ReaderTooSlow("nobody read the stream for too long") });
    this.#patienceTimer = setTimeout(give, this.patience);
    Deno.unrefTimer(Number(this.#patienceTimer));
  }

  #abandon(over: { readonly error?: Error }): void {
    if (!this.#over) this.controls.stop();
    this.#items.length = 0;
    this.#end(over);
  }

  #end(over: { readonly error?: Error }): void {
    this.#over ??= over;
    clearTimeout(this.#patienceTimer);
    this.#wake?.();
  }
}
