/**
 * How often a namespace, or one who publishes there, may publish: the generic cell rate algorithm (ITU-T I.371) with one second's worth at once. What is published
 * together passes together when one of it would, and is paid for afterwards.
 */
export class PublishRate {
  /** The moment at which everything that was published is paid for. */
  #paidUntil = -Infinity;

  /**
   * @param messages that are published together
   * @param rate messages per second; 0: any
   * @param now milliseconds that never run backwards
   * @returns seconds until one passes; 0 when they pass, and were counted
   */
  take(messages: number, rate: number, now: number): number {
    const wait = this.wait(rate, now);
    if (rate > 0 && wait === 0) this.#paidUntil = Math.max(this.#paidUntil, now) + 1000 / rate * messages;
    return wait;
  }

  /** Seconds until one passes; 0 when it would pass now. Counts nothing. */
  wait(rate: number, now: number): number {
    if (rate <= 0) return 0;
    const interval = 1000 / rate;
    const over = Math.max(this.#paidUntil, now) + interval - now - Math.max(1000, interval);
    return over > 1e-6 ? over / 1000 : 0;
  }

  /** Whether it may be forgotten without being kinder for it. */
  isIdle(now: number): boolean {
    return this.#paidUntil <= now;
  }
}
