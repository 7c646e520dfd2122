import type { Clock } from "../../clock/clock.ts";

/** Something in which time leaves what is over. */
export interface Clearable {
  /** Whether there is, or will be, anything to clear away. */
  readonly changing: boolean;
  /** Clears away what is over. @param most how much @returns whether there may be more */
  clear(most: number): boolean;
}

/** Milliseconds between two looks for what is over, and between two while there is more than one look clears away. */
const PERIOD = 1_000, SOON = 5;
/** How much one look clears away: about a millisecond's work. */
const CLEARED = 2_000;

/** Sees to it that what is over does not stay for ever. It has a timer only while there is something to wait for. */
export class Clearing {
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(private readonly clock: Clock, private readonly all: readonly Clearable[]) {}

  /** Something came that will be over at some time. */
  arm(wait = PERIOD): void {
    if (this.#stop !== undefined || this.#closed || !this.all.some(({ changing }) => changing)) return;
    this.#stop = this.clock.after(wait, () => {
      this.#stop = undefined;
      this.arm(this.now() ? SOON : PERIOD);
    }, true);
  }

  /** Looks now. @returns whether there may be more */
  now(): boolean {
    return this.all.map((one) => one.clear(CLEARED)).includes(true);
  }

  /** Gives its timer back. */
  close(): void {
    this.#closed = true;
    this.#stop?.();
  }
}
