/** Bytes that wait for their calls on this gateway, and in one namespace at most. */
const MOST = 64 * 2 ** 20, MOST_EACH = 8 * 2 ** 20;
/** What a message counts beside its payload. */
const OVERHEAD = 200;
/** Messages that wait for one trigger. */
export const MOST_MESSAGES = 1_000;

/** Room for what waits, shared among namespaces: the more of them have something waiting, the less each may have. */
export class QueueRoom {
  readonly #bytes = new Map<string, number>();
  #total = 0;

  /** @returns whether there was room */
  take(namespace: string, bytes: number): boolean {
    const has = this.#bytes.get(namespace) ?? 0, more = bytes + OVERHEAD;
    const share = Math.min(MOST_EACH, MOST / (this.#bytes.size + (has === 0 ? 1 : 0)));
    if (has + more > share || this.#total + more > 2 * MOST) return false;
    this.#bytes.set(namespace, has + more);
    this.#total += more;
    return true;
  }

  /** Gives back what {@link take} took. */
  give(namespace: string, bytes: number): void {
    const left = (this.#bytes.get(namespace) ?? 0) - bytes - OVERHEAD;
    if (left > 0) this.#bytes.set(namespace, left);
    else this.#bytes.delete(namespace);
    this.#total -= bytes + OVERHEAD;
  }

  /** What waits in all namespaces. */
  get bytes(): number {
    return this.#total;
  }
}
