import { OramaError } from "./errors.ts";

/** Milliseconds that a timer can count. */
export const LONGEST = 2 ** 31 - 1;

/** Ends a call when its time is over or its caller no longer wants it. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timeout: number;
  readonly #forward = () => this.#controller.abort(this.#caller?.reason);
  #end: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param timeout milliseconds for all of the call
   * @param caller the caller's own signal
   * @throws RangeError for a time that no timer counts
   */
  constructor(timeout: number, caller: AbortSignal | undefined) {
    if (!(timeout > 0 && timeout <= LONGEST)) {
      throw new RangeError(`requestTimeout must be 1 to ${LONGEST} milliseconds, not ${timeout}`);
    }
    this.#caller = caller;
    this.#timeout = timeout;
    this.#end = performance.now() + timeout;
    this.#timer = this.#start(timeout);
    if (caller?.aborted) this.#forward();
    caller?.addEventListener("abort", this.#forward, { once: true });
  }

  /** For `fetch`. Its reason is the caller's own, or an `OramaError` with the code `TIMEOUT`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Milliseconds that are left. */
  get left(): number {
    return this.#end - performance.now();
  }

  /** What comes of `work`, unless the call ends before it. @throws the signal's reason */
  async within<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    let ended = () => {};
    const end = new Promise<never>((_, reject) => {
      ended = () => reject(signal.reason);
      signal.addEventListener("abort", ended, { once: true });
      if (signal.aborted) ended();
    });
    try {
      return await Promise.race([work, end]);
    } finally {
      signal.removeEventListener("abort", ended);
    }
  }

  /** Its time begins anew: something of the call went on. @param more milliseconds beyond it */
  restart(more = 0): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    const timeout = Math.min(this.#timeout + more, LONGEST);
    this.#end = performance.now() + timeout;
    this.#timer = this.#start(timeout);
  }

  /** From here on only the caller ends it: an answer that streams takes as long as its reader. */
  stopClock(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #start(timeout: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#controller.abort(tooLate()), timeout);
  }

  /** Lets go of timer and signal. */
  close(): void {
    this.stopClock();
    this.#caller?.removeEventListener("abort", this.#forward);
  }

  /** Ends what still runs, and lets go. */
  abort(): void {
    this.close();
    this.#controller.abort();
  }
}

const tooLate = () => new OramaError("no answer came in time", { code: "TIMEOUT" });
