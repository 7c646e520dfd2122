/** The time, and what is to happen at a time. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Milliseconds that never run backwards or jump. */
  monotonic(): number;
  /**
   * Calls back once.
   * @param ms from now
   * @param background whether the process may end meanwhile
   * @returns what takes it back
   */
  after(ms: number, run: () => void, background?: boolean): () => void;
}

/** More than a timer of the system can wait. */
const LONGEST = 2 ** 31 - 1;

/** The clock of this machine. A wait of more than 24 days ends after 24 days. */
export const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  after(ms, run, background = false) {
    const timer = setTimeout(run, Math.min(ms, LONGEST));
    if (background) timer.unref();
    return () => clearTimeout(timer);
  },
};
