/** How a delivery is tried again. Times are in milliseconds. */
export interface RetryPlan {
  /** Tries before it is given up. */
  readonly tries: number;
  /** Before the second try. */
  readonly delay: number;
  /** How many times as long before each after it. */
  readonly factor: number;
  /** The longest that is waited, whatever the factor makes of it. */
  readonly maxDelay: number;
  /** How long a delivery waits at most. */
  readonly life: number;
}

/** Milliseconds that an endpoint is left alone after tries that failed, one after the other. */
const FIRST_REST = 1_000, LONGEST_REST = 60_000;
/** Milliseconds that a receiver can ask for. */
const LONGEST_WISH = 6 * 60 * 60_000;
/** Milliseconds to the next try where this side was the reason, and it does not count. */
const POSTPONED = 10_000;
/** RFC 9110, 5.6.7: the only form of a date that may be sent. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * Milliseconds to the next try, up to a fifth more or less so that not all come at once.
 * @param tries that failed by now
 * @param wish milliseconds that the receiver asked for
 * @param chance from 0 to 1
 */
export const delayAfter = (
  tries: number,
  wish: number,
  chance: number,
  { delay, factor, maxDelay }: Pick<RetryPlan, "delay" | "factor" | "maxDelay">,
): number => Math.round(Math.max(spread(Math.min(delay * factor ** (tries - 1), maxDelay), chance), wish));

/** Milliseconds to the next try of what could not be sent, and was no fault of the receiver's. */
export const postponement = (chance: number): number => Math.round(spread(POSTPONED, chance));

/** Milliseconds for which an endpoint is left alone. @param failures one after the other, from 1 */
export const restAfter = (failures: number): number =>
  Math.min(LONGEST_REST, FIRST_REST * 2 ** Math.min(failures - 1, 10));

/**
 * What a `Retry-After` asks for (RFC 9110, 10.2.3), as far as it is granted.
 * @param now Unix milliseconds
 * @returns milliseconds; 0 for what says nothing
 */
export function wishOf(value: string | undefined, now: number): number {
  const text = value?.trim() ?? "";
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : HTTP_DATE.test(text) ? Date.parse(text) - now : 0;
  return Number.isFinite(ms) ? Math.min(LONGEST_WISH, Math.max(0, ms)) : 0;
}

const spread = (ms: number, chance: number) => ms * (0.8 + 0.4 * chance);
