import { z } from "zod";
import { parseGoDuration } from "./go_duration.ts";

/** As `parseGoDuration` reads it, without signs and with units that people write. */
const DURATION = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[smh])){1,4}$/;

/**
 * A span of time in a request: milliseconds as a whole number, or a text such as `30s` or `1h30m`. Gives milliseconds.
 * @param shortest milliseconds that it must have
 * @param expected completes the sentence "<field> …" where it is none, or too short
 */
export const durationField = (shortest: number, expected: string) =>
  z.union([z.int(expected).min(shortest, expected), z.string().regex(DURATION, expected)], expected)
    .transform((value, context) => {
      const milliseconds = typeof value === "string" ? Math.round(parseGoDuration(value) ?? 0) : value;
      if (milliseconds >= shortest) return milliseconds;
      context.addIssue({ code: "custom", message: expected });
      return z.NEVER;
    });
