import { type Kind, parsedKind } from "./kind.ts";

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;
const FACTORS: ReadonlyMap<string, number> = new Map(UNITS);

/** The longest time that a timer of the platform can wait; longer ones fire at once. */
export const LONGEST_TIMER = "24d";

/** Bounds of a duration, in its own notation, both inclusive. */
export interface DurationBounds {
  readonly min?: string;
  readonly max?: string;
}

/** A span of time: `10s`, `1m30s`, `500ms`, `30d`, or a bare number of milliseconds. Becomes milliseconds. */
export function duration({ min = "0s", max = "3650d" }: DurationBounds = {}): Kind<number> {
  const [shortest, longest] = [parseDuration(min), parseDuration(max)];
  if (shortest === undefined || longest === undefined) throw new TypeError(`bounds of a duration: ${min}, ${max}`);
  return parsedKind({
    name: "duration",
    unit: "ms",
    expected: `a duration such as 10s, 1m30s, 500ms or 30d (a bare number: milliseconds), from ${min} to ${max}`,
    parse: (raw) => {
      const value = parseDuration(raw);
      return value !== undefined && value >= shortest && value <= longest ? value : undefined;
    },
    toYaml: formatDuration,
  });
}

/** Milliseconds of `1m30s` and the like; `undefined` when it is none, or no whole number of milliseconds. */
export function parseDuration(raw: unknown): number | undefined {
  if (typeof raw === "number") return Number.isSafeInteger(raw) && raw >= 0 ? raw : undefined;
  if (typeof raw !== "string" || raw.length > 64) return undefined;
  if (/^\d+$/.test(raw)) return parseDuration(Number(raw));
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(raw)) return undefined;
  let total = 0;
  for (const [, amount, unit] of raw.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    total += Number(amount) * FACTORS.get(unit!)!;
  }
  // 1.1s is 1100.0000000000002 in binary fractions.
  const rounded = Math.round(total);
  return Math.abs(total - rounded) < 1e-6 ? parseDuration(rounded) : undefined;
}

/** The shortest usual spelling: 90000 → `1m30s`. */
export function formatDuration(milliseconds: number): string {
  let rest = milliseconds;
  const parts = UNITS.map(([unit, factor]) => {
    const amount = Math.floor(rest / factor);
    rest -= amount * factor;
    return amount > 0 ? `${amount}${unit}` : "";
  });
  return parts.join("") || "0s";
}
