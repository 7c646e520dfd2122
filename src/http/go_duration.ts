const NUMBER = String.raw`(\d+(?:\.\d*)?|\.\d+)`;
// The two micro signs of Unicode look alike: U+00B5 and U+03BC.
const UNIT = "(ns|us|\u00b5s|\u03bcs|ms|s|m|h)";
const WHOLE = new RegExp(`^[-+]?(?:0|(?:${NUMBER}${UNIT})+)$`);
const PART = new RegExp(NUMBER + UNIT, "g");

/** Nanoseconds of each unit. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3_600e9,
};

/** Longer texts are none that anybody means. */
const LONGEST = 64;

/**
 * Milliseconds of a span of time as Go writes it (package `time`, `ParseDuration`): `1h30m`, `1.5s`, `250ms`, `0`. They may
 * be a fraction, negative, or more than a year has; beyond 64 characters, and for what is no such text, `undefined`.
 */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > LONGEST || !WHOLE.test(text)) return undefined;
  let nanoseconds = 0;
  for (const [, amount, unit] of text.matchAll(PART)) nanoseconds += Number(amount) * UNITS[unit!]!;
  return (text.startsWith("-") ? -nanoseconds : nanoseconds) / 1e6;
}
