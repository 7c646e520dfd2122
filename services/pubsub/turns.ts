import type { Clock } from "../clock/clock.ts";

/** What is to happen in the next turn of the event loop: one timer for all of it. */
export class Turns {
  #next: (() => void)[] = [];

  constructor(private readonly clock: Pick<Clock, "after">) {}

  /** @param run must not throw */
  next(run: () => void): void {
    if (this.#next.push(run) === 1) this.clock.after(0, () => this.#all());
  }

  #all(): void {
    const all = this.#next;
    this.#next = [];
    for (const run of all) run();
  }
}
