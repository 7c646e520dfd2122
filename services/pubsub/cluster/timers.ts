import type { Clock } from "../../clock/clock.ts";

/** A clock whose calls are all taken back at once when they are of no use any more. */
export class Timers implements Clock {
  readonly #pending = new Set<() => void>();
  readonly #over = new AbortController();

  constructor(private readonly clock: Clock) {}

  /** Fires with {@link stop}: whoever waits until a time has waited long enough. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  after(ms: number, run: () => void): () => void {
    if (this.over.aborted) return () => {};
    const cancel = () => {
      this.#pending.delete(cancel);
      stop();
    };
    const stop = this.clock.after(ms, () => {
      this.#pending.delete(cancel);
      run();
    }, true);
    this.#pending.add(cancel);
    return cancel;
  }

  /** Nothing is called back any more. */
  stop(): void {
    this.#over.abort();
    for (const cancel of [...this.#pending]) cancel();
  }
}
