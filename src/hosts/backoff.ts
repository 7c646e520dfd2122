interface Crashes {
  readonly count: number;
  /** Milliseconds of the clock. */
  readonly until: number;
}

const FIRST = 100, LONGEST = 10_000;
/** Milliseconds of life after which a crash is no longer one in a row. */
const SOUND = 30_000;
/** Keys that are remembered; the oldest is forgotten first. */
const MAX_KEYS = 1_000;

/** How long a key waits for its next host: nothing after one crash, then twice as long after each in a row. */
export class Backoff {
  readonly #crashes = new Map<string, Crashes>();

  /** Milliseconds from now. */
  wait(key: string): number {
    return Math.max(0, (this.#crashes.get(key)?.until ?? 0) - performance.now());
  }

  /** Nothing is held against the key any more. */
  forget(key: string): void {
    this.#crashes.delete(key);
  }

  /** @param life milliseconds for which the host had served the key */
  crashed(key: string, life: number): void {
    const count = life >= SOUND ? 1 : (this.#crashes.get(key)?.count ?? 0) + 1;
    const wait = count === 1 ? 0 : Math.min(LONGEST, FIRST * 2 ** (count - 2));
    this.#crashes.delete(key);
    this.#crashes.set(key, { count, until: performance.now() + wait });
    if (this.#crashes.size > MAX_KEYS) this.#crashes.delete(this.#crashes.keys().next().value!);
  }
}
