/** How fast one namespace may log. */
export interface RateBounds {
  /** Bytes a second, over a while. */
  readonly bytesPerSecond: number;
  /** Bytes at once. */
  readonly burst: number;
}

/**
 * How fast each namespace may log, whatever there is room for: rows that are written at once would otherwise come without an end. The
 * generic cell rate algorithm, so that one number is kept of each, and none of those that are quiet.
 */
export class LogRate {
  /** When each may have its whole burst again, in milliseconds of the clock, by the time of its last row. */
  readonly #fullAt = new Map<string, number>();

  /** @param monotonic milliseconds that never run backwards or jump */
  constructor(private readonly bounds: RateBounds, private readonly monotonic: () => number) {}

  /** Namespaces of which something is kept. */
  get size(): number {
    return this.#fullAt.size;
  }

  /** Counts a row. @returns `false` where it comes too fast; it is not counted then */
  take(namespace: string, bytes: number): boolean {
    const { bytesPerSecond, burst } = this.bounds;
    const now = this.monotonic();
    const fullAt = Math.max(now, this.#fullAt.get(namespace) ?? now) + bytes / bytesPerSecond * 1_000;
    if (fullAt - now > burst / bytesPerSecond * 1_000) return false;
    // Taken out first, so that those that are quiet come first, and forgetting need not search.
    this.#fullAt.delete(namespace);
    this.#fullAt.set(namespace, fullAt);
    this.#forget(now);
    return true;
  }

  #forget(now: number): void {
    for (const [namespace, fullAt] of this.#fullAt) {
      if (fullAt > now) break;
      this.#fullAt.delete(namespace);
    }
  }
}
