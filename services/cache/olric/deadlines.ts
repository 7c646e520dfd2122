import type { Waiter } from "../driver.ts";

/** Milliseconds between two looks at what waits, and before the signal of whoever waits is looked at: making one costs. */
const TICK = 25, PATIENCE = 100;

/** One operation, and how long it may take. Times in milliseconds of the clock that never jumps. */
export class Call {
  readonly until: number;
  readonly lookAt: number;

  constructor(readonly waiter: Waiter, readonly begun: number, timeout: number) {
    this.until = begun + timeout;
    this.lookAt = begun + PATIENCE;
  }
}

/** Why something is not waited for any longer. */
export type Reason = "timeout" | "aborted";

/** Something that a call waits for. */
export interface Waiting {
  readonly call: Call;
  /** Ends the wait. Called once at most; it has left {@link Deadlines} then. */
  giveUp(reason: Reason): void;
}

/** Ends waits whose time is over, all with one timer: one for each would cost a quarter of what a short command does. */
export class Deadlines {
  readonly #waiting = new Set<Waiting>();
  #ticking: ReturnType<typeof setInterval> | undefined;

  /** @param now milliseconds that never run backwards */
  constructor(private readonly now: () => number) {}

  /** Watches over a wait until it is taken back. */
  add(waiting: Waiting): void {
    this.#waiting.add(waiting);
    this.#ticking ??= setInterval(() => this.#tick(), TICK);
  }

  /** Whether a call has no time left: nothing of it may be sent any more. */
  isOver(call: Call): boolean {
    return this.now() >= call.until;
  }

  /** The wait is over. @returns whether it was watched over until now */
  delete(waiting: Waiting): boolean {
    return this.#waiting.delete(waiting);
  }

  /** Gives its timer back. What still waits is ended by others. */
  close(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  #tick(): void {
    // Not when the last wait ends: one after the other, each of them would make a timer and take it away.
    if (this.#waiting.size === 0) return this.close();
    const now = this.now();
    for (const waiting of this.#waiting) {
      const { call } = waiting;
      const reason = now >= call.until
        ? "timeout"
        : now >= call.lookAt && call.waiter.signal.aborted
        ? "aborted"
        : undefined;
      if (reason !== undefined && this.#waiting.delete(waiting)) waiting.giveUp(reason);
    }
  }
}
