import { OramaError } from "./errors.ts";

/** When a failed call is made again, and how long it waits before. */
export interface RetryPolicy {
  /** How often at most. Default 3; 0 for never. */
  readonly attempts: number;
  /** Milliseconds before the first repetition where the gateway names none; doubled each time. */
  readonly firstPause: number;
  /** Milliseconds of the longest pause. A gateway that asks for a longer one is not asked again. */
  readonly longestPause: number;
}

/** What the client uses where its owner says nothing. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 3, firstPause: 200, longestPause: 30_000 };

const STATUSES = [429, 502, 503, 504];
const CODES = ["NETWORK_ERROR", "OUTCOME_UNKNOWN", "IDEMPOTENCY_KEY_IN_USE"];

/** Whether another try can help. Whether it is harmless hangs on the request. */
export const canPass = (error: unknown): error is OramaError =>
  error instanceof OramaError && (STATUSES.includes(error.status) || CODES.includes(error.code));

/**
 * Milliseconds to wait before the next try, or `undefined` for no other try.
 * @param failures how often it failed so far, at least 1
 * @param random from 0 to 1: clients that failed together do not come back together
 */
export function pauseAfter(
  error: OramaError,
  failures: number,
  { attempts, firstPause, longestPause }: RetryPolicy,
  random: number,
): number | undefined {
  if (failures > attempts) return undefined;
  const backoff = Math.min(firstPause * 2 ** (failures - 1), longestPause);
  if (error.retryAfter === undefined) return backoff * (0.5 + random / 2);
  const asked = error.retryAfter * 1000;
  return asked > longestPause ? undefined : asked + backoff * random;
}

/** Seconds of a `Retry-After` header, which holds seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterSeconds(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
