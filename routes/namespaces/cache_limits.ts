import { z } from "zod";

const amount = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max).nullable();

/** What an operator may limit of the cache. */
export const cacheLimits = z.strictObject({
  value_bytes: amount(1, 64 * 2 ** 20).describe("Bytes of one value."),
  bytes: amount(0).describe("Bytes that the namespace may hold in the memory of one gateway; 0: any number."),
  scan_keys: amount(1, 100_000).describe("Keys in one page of a scan."),
  lock_waiters: amount(0, 1_000_000).describe("Callers that wait for locks at once, on each gateway."),
});
