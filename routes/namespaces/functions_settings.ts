import { z } from "zod";

const DAY = 24 * 60 * 60 * 1000;

/** What an owner may set for functions. */
export const functionsSettings = z.strictObject({
  log_retention: z.int().min(1000).max(365 * DAY).nullable().describe(
    "Milliseconds for which lines and calls are remembered; no more than the limit.",
  ),
});
