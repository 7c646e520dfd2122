import type { Clock } from "../../../../services/clock/clock.ts";

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  #now: number;
  #monotonic = 5_000;
  readonly #timers = new Set<Timer>();

  /** @param now Unix milliseconds at which it begins */
  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#monotonic + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Goes on, and calls back whoever waits for a time on the way, in order. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    for (let next = this.#nextUntil(end); next !== undefined; next = this.#nextUntil(end)) {
      this.#timers.delete(next);
      this.#goTo(Math.max(next.at, this.#monotonic));
      next.run();
      await settled();
    }
    this.#goTo(end);
    await settled();
  }

  /** Time passes, and nobody is called back. */
  pass(ms: number): void {
    this.#goTo(this.#monotonic + ms);
  }

  /** The time of day changes, and no time passes. */
  jump(ms: number): void {
    this.#now += ms;
  }

  #goTo(monotonic: number): void {
    this.#now += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }

  #nextUntil(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
    return next;
  }
}

/** Everything has happened that waits for no time. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
