import { z } from "zod";

const MINUTE = 60_000, YEAR = 365 * 24 * 60 * MINUTE;
const KIB = 2 ** 10;
const amount = (min: number, max: number) => z.int().min(min).max(max).nullable();

/** What an operator may limit of webhooks. */
export const webhooksLimits = z.strictObject({
  endpoints: amount(0, 10_000).describe(
    "Webhooks of the namespace; 0: none. One that has more already keeps them, and makes no further one.",
  ),
  event_bytes: amount(KIB, KIB * KIB).describe("Bytes of one event as it is sent; no more than `waiting_bytes` hold."),
  waiting: amount(1, 1_000_000).describe("Events that wait for one webhook; further ones are dropped, and counted."),
  waiting_bytes: amount(KIB, 2 ** 40).describe("The same in bytes, of all webhooks of the namespace together."),
  requests_in_flight: amount(1, 100_000).describe(
    "Events that are being sent at once, on each gateway. No more than the gateway's `webhooks.max_in_flight` are.",
  ),
  remembered: amount(0, 100_000).describe(
    "Events of one webhook that are remembered once they were sent, and as many of those that were given up; 0: none.",
  ),
  delivered_retention: amount(MINUTE, YEAR).describe("Milliseconds for which those are remembered that were sent."),
  dead_retention: amount(MINUTE, YEAR).describe("Milliseconds for which those are kept that were given up."),
});
