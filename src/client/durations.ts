/** A span of time: milliseconds, or text as Go writes it, such as `30s`, `5m`, `1h30m` or `250ms`. */
export type Duration = number | string;

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // The two micro signs of Unicode look alike.
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const WHOLE = /^\+?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$/;
const PART = /(\d+\.?\d*|\.\d+)([a-z\u00b5\u03bc]+)/g;

/**
 * Whole milliseconds of a span of time, rounded up: what is more than nothing never becomes 0, which means for ever.
 * @param field what the error calls it
 * @throws TypeError for what is no span of time
 * @throws RangeError for a number that is negative, not finite or beyond 2^53 − 1
 */
export function toMilliseconds(duration: Duration, field: string): number {
  const given = typeof duration === "string" ? ofText(duration, field) : duration;
  if (typeof given !== "number") throw notOne(field);
  const whole = Math.ceil(given);
  if (whole >= 0 && Number.isSafeInteger(whole)) return whole === 0 ? 0 : whole;
  throw new RangeError(`${field} must be milliseconds from 0 to ${Number.MAX_SAFE_INTEGER}, not ${given}`);
}

/** The same in the notation of the wire; `undefined` for none. */
export const durationToWire = (duration: Duration | undefined, field: string): string | undefined =>
  duration === undefined ? undefined : `${toMilliseconds(duration, field)}ms`;

function ofText(text: string, field: string): number {
  if (text.length > 64 || !WHOLE.test(text)) throw notOne(field);
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(PART)) sum += Number(amount) * UNITS[unit!]!;
  return sum;
}

const notOne = (field: string) =>
  new TypeError(`${field} must be a number of milliseconds, or a duration such as 30s, 5m or 1h30m`);
