/** The time, and what is to happen at a time. */
export interface StorageClock {
  /** Unix milliseconds. */
  now(): number;
  /** Milliseconds that never run backwards or jump. */
  monotonic(): number;
  /** Calls back once; the process may end meanwhile. @param ms from now @returns what takes it back */
  after(ms: number, run: () => void): () => void;
}

/** More than a timer of the system can wait. */
const LONGEST = 2 ** 31 - 1;

/** The clock of this machine. */
export const SYSTEM_CLOCK: StorageClock = {
  now: Date.now,
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, LONGEST));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
