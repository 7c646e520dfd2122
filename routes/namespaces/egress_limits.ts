import { z } from "zod";

const HOUR = 60 * 60 * 1000;
const MIB = 2 ** 20;
const amount = (min: number, max: number) => z.int().min(min).max(max).nullable();

/** What an operator may limit of outbound requests. */
export const egressLimits = z.strictObject({
  requests_in_flight: amount(1, 100_000).describe(
    "Outbound requests under way at once, on each gateway. No more than the gateway's `egress.max_in_flight` are.",
  ),
  request_bytes: amount(0, 64 * MIB).describe("Bytes of the body of a request that is held in memory."),
  response_bytes: amount(0, 64 * MIB).describe("Bytes of the body of a response that is held in memory."),
  stream_bytes: amount(0, 1024 * 2 ** 40).describe(
    "Bytes that one stream may carry in either direction; 0: any number.",
  ),
  duration: amount(1, HOUR).describe("Milliseconds that one request may take whose response is held in memory."),
  stream_duration: amount(1, 24 * HOUR).describe("Milliseconds that one stream may take."),
  redirects: amount(0, 50).describe("How often one request may be sent elsewhere; 0: never."),
});
