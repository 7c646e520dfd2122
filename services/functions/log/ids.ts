/** Hexadecimal digits of each part of an id. */
const TIME = 12, COUNT = 4, GATEWAY = 12;
const LAST_COUNT = 16 ** COUNT - 1;

/**
 * Ids that sort by time, as texts: 48 bits of Unix milliseconds, 16 bits that count within one of them, 48 bits of chance that tell
 * gateways apart; 28 hexadecimal digits in all. Those of one gateway always rise, also while its clock is set back. Of two gateways
 * the later one is greater as far as their clocks agree.
 */
export class LogIds {
  readonly #gateway: string;
  #time = 0;
  #count = 0;
  #prefix = "";

  /**
   * @param now Unix milliseconds
   * @param random gives n random bytes
   */
  constructor(private readonly now: () => number, random: (n: number) => Uint8Array) {
    this.#gateway = random(GATEWAY / 2).toHex();
  }

  /** The next one. */
  next(): string {
    const now = Math.floor(this.now());
    if (now > this.#time) this.#begin(now);
    else if (++this.#count > LAST_COUNT) this.#begin(this.#time + 1);
    return this.#prefix + this.#count.toString(16).padStart(COUNT, "0") + this.#gateway;
  }

  #begin(time: number): void {
    this.#time = time;
    this.#count = 0;
    this.#prefix = hexOf(time);
  }
}

const hexOf = (time: number) => time.toString(16).padStart(TIME, "0");
const LONGEST_TIME = 2 ** 48 - 1;

/** An id before all that were made at a time or later, and behind all earlier ones. @param time Unix milliseconds */
export const firstIdAt = (time: number): string =>
  hexOf(Math.min(Math.max(0, Math.floor(time)), LONGEST_TIME)) + "0".repeat(COUNT + GATEWAY);

/** When an id was made: Unix milliseconds. */
export const timeOfId = (id: string): number => Number.parseInt(id.slice(0, TIME), 16);

/** Whether a text can be an id: what cannot be one is no place in a log. */
export const isLogId = (text: string): boolean => /^[0-9a-f]{28}$/.test(text);

/** Whether an id was made by the gateway that made another one, no later than that. */
export const isBefore = (id: string, last: string): boolean =>
  id <= last && id.slice(TIME + COUNT) === last.slice(TIME + COUNT);
