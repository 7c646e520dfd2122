/** How many commands a gateway takes of one connection. */
export interface PaceLimits {
  /** On average; 0: as many as come. */
  readonly perSecond: number;
  /** At once after a pause. */
  readonly burst: number;
  /** Characters of a command for each of which it counts as one more. */
  readonly large: number;
  /** Characters that may be without an answer. */
  readonly unanswered: number;
}

/**
 * Which part of the burst is sent at once, and which may be without an answer: what a network held back comes all at once, and then
 * it is the sum of the two. The rest is for what cannot wait.
 */
const SHARE = 0.4;

/** Keeps to what a gateway takes, however long the way there is: the generic cell rate algorithm (ITU-T I.371), and a window. */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #interval: number;
  readonly #burst: number;
  #paidUntil = 0;
  #count = 0;
  #characters = 0;

  constructor(limits: PaceLimits) {
    this.#limits = limits;
    this.#interval = limits.perSecond > 0 ? 1_000 / limits.perSecond : 0;
    this.#burst = Math.max(1, limits.burst * SHARE);
  }

  /**
   * @param now milliseconds that never run backwards
   * @param size characters of a command
   * @returns milliseconds until it may go; `Infinity`: when there are answers
   */
  delay(now: number, size: number): number {
    const weight = this.#weight(size);
    if (this.#characters > 0 && this.#characters + size > this.#limits.unanswered) return Infinity;
    if (this.#interval === 0) return 0;
    if (this.#count > 0 && this.#count + weight > this.#burst) return Infinity;
    const before = Math.max(this.#paidUntil, now);
    return Math.max(0, before - now - (this.#burst - Math.min(weight, this.#burst)) * this.#interval);
  }

  /** One goes. @returns what is to be called when it is answered */
  take(now: number, size: number): () => void {
    const weight = this.#weight(size);
    this.#paidUntil = Math.max(this.#paidUntil, now) + weight * this.#interval;
    this.#count += weight;
    this.#characters += size;
    return () => {
      this.#count -= weight;
      this.#characters -= size;
    };
  }

  #weight(size: number): number {
    return 1 + Math.floor(size / this.#limits.large);
  }
}
