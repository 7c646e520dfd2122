/** Milliseconds before the first look, between two, and for one. */
const FIRST = 10 * 60_000, PERIOD = 6 * 60 * 60_000, LONGEST = 10 * 60_000;

/** Does something from time to time, as long as the process lives for something else. */
export class Sweeper {
  readonly #closing = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;

  constructor(
    private readonly work: (signal: AbortSignal) => Promise<void>,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** The first time in a while. */
  start(): void {
    this.#wait(FIRST);
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("the gateway is stopping", "AbortError"));
    clearTimeout(this.#timer);
    await this.#running;
  }

  #wait(ms: number): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#work().finally(() => this.#wait(PERIOD));
    }, ms);
    Deno.unrefTimer(Number(this.#timer));
  }

  async #work(): Promise<void> {
    try {
      await this.work(AbortSignal.any([this.#closing.signal, AbortSignal.timeout(LONGEST)]));
    } catch (error) {
      if (!this.#closing.signal.aborted) this.onError(error);
    }
  }
}
