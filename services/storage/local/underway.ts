import type { Clock } from "../../clock/clock.ts";

/** How much older than the begin of its add a file may look: file systems round times, some to two seconds. */
const SLACK = 60_000;
/** Adds that ended are remembered together that ended in the same stretch of so many milliseconds. */
const STRETCH = 60_000;

/** An add that is under way. */
export interface Add {
  /** Unix milliseconds; never later than any moment since. */
  begun: number;
}

/**
 * Knows since when files may belong to adds that are under way, or have ended and are not claimed yet. What is as young as the
 * oldest of them stays, claimed or not.
 *
 * The time of day may jump: an add's begin goes back with it, and how long ago it ended is told by the clock that does not.
 */
export class Underway {
  readonly #running = new Set<Add>();
  /** By stretch of the end: the earliest begin. */
  readonly #ended = new Map<number, number>();
  #collecting = false;

  /** @param grace milliseconds that content stays after it was added, claimed or not */
  constructor(private readonly clock: Clock, readonly grace: number) {}

  begin(): Add {
    const add: Add = { begun: this.clock.now() };
    this.#running.add(add);
    return add;
  }

  /** To be called whenever the add has written, or found, something. */
  note(add: Add): void {
    add.begun = Math.min(add.begun, this.clock.now());
  }

  /** @param whole whether there is content now that somebody may claim */
  end(add: Add, whole: boolean): void {
    this.#running.delete(add);
    if (!whole) return;
    this.#forget();
    const stretch = Math.floor(this.clock.monotonic() / STRETCH);
    this.#ended.set(stretch, Math.min(this.#ended.get(stretch) ?? Infinity, add.begun));
  }

  /** From now on nothing is forgotten, until {@link collected}: what is claimed meanwhile is not among the roots. */
  collect(): void {
    this.#forget();
    this.#collecting = true;
  }

  collected(): void {
    this.#collecting = false;
  }

  /** Unix milliseconds. Files that were written or touched since then stay. */
  get floor(): number {
    let floor = this.clock.now() - this.grace;
    for (const { begun } of this.#running) floor = Math.min(floor, begun - SLACK);
    for (const begun of this.#ended.values()) floor = Math.min(floor, begun - SLACK);
    return floor;
  }

  #forget(): void {
    if (this.#collecting) return;
    const oldest = Math.floor((this.clock.monotonic() - this.grace) / STRETCH);
    for (const stretch of this.#ended.keys()) if (stretch < oldest) this.#ended.delete(stretch);
  }
}
