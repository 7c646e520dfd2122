/** When the requests of one connection are sent, in milliseconds of the clock. */
export interface Pace {
  readonly begin: number;
  /** From one to the next; 0: as soon as the answer is there. */
  readonly interval: number;
  /** None is due from here on. */
  readonly until: number;
}

/** Time as an argument. */
export interface PaceClock {
  now(): number;
  sleep(milliseconds: number): Promise<unknown>;
}

const SYSTEM: PaceClock = {
  now: () => performance.now(),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/**
 * Sends requests one after the other, each when it is due or as soon as those before it are answered. The time of each counts
 * from when it was due: a slow answer is one of those that wait behind it, too, as it would be for clients that know nothing of
 * each other. What was due is sent and counted, however late.
 * @param send sends one, and waits for its answer
 * @param times takes the milliseconds of each
 */
export async function keepPace(
  { begin, interval, until }: Pace,
  send: () => Promise<unknown>,
  times?: number[],
  clock: PaceClock = SYSTEM,
): Promise<void> {
  for (let due = begin, now = clock.now();; due += interval) {
    if (interval === 0) due = now;
    if (due >= until) return;
    if (due > now) {
      await clock.sleep(due - now);
      now = clock.now();
    }
    // A timer may be early.
    const from = Math.min(due, now);
    await send();
    now = clock.now();
    times?.push(now - from);
  }
}

/** The value below which this part of all is. @param sorted from small to large */
export const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.floor(sorted.length * part)] ?? NaN;
