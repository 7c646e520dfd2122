/** What becomes of one more command. */
export type Verdict = "taken" | "refused" | "flood";

/** Seconds' worth of commands that may come at once after a pause. */
const BURST = 10;
/** Characters for which one more command is counted. */
export const LARGE_COMMAND = 64 * 1024;
/** How many times that may come before it is a flood: each that is refused has to be read as well. */
const PATIENCE = 2;

/**
 * How fast commands of one socket may come, by the generic cell rate algorithm (ITU-T I.371): one number for what was taken and one
 * for all that came.
 */
export class Pace {
  /** How many commands may come at once after a pause. @param perSecond on average */
  static burst(perSecond: number): number {
    return Math.max(1, Math.floor(perSecond * BURST));
  }

  readonly #interval: number;
  #paidUntil = 0;
  #allUntil = 0;

  /** @param perSecond commands, on average; 0: as many as come */
  constructor(perSecond: number) {
    this.#interval = perSecond > 0 ? 1000 / perSecond : 0;
  }

  /**
   * Counts a command.
   * @param now milliseconds that never run backwards
   * @param size characters of it: what is large counts for several
   */
  take(now: number, size = 0): Verdict {
    if (this.#interval === 0) return "taken";
    const window = Math.max(BURST * 1000, this.#interval);
    // What counts for more than may ever come at once could never come.
    const interval = Math.min(this.#interval * (1 + Math.floor(size / LARGE_COMMAND)), window);
    const all = Math.max(this.#allUntil, now) + interval;
    if (all - now > PATIENCE * window) return "flood";
    this.#allUntil = all;
    const paid = Math.max(this.#paidUntil, now) + interval;
    if (paid - now > window) return "refused";
    this.#paidUntil = paid;
    return "taken";
  }

  /** Seconds after which one more is taken. */
  retryAfter(now: number): number {
    const window = Math.max(BURST * 1000, this.#interval);
    return Math.max(0, (this.#paidUntil + this.#interval - now - window) / 1000);
  }
}
