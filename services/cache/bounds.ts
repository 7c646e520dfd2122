import type { CachePutOptions, CacheValue } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { invalid } from "./failures.ts";
import { utf8Bytes } from "./names.ts";

/** Milliseconds of a hundred years, beyond which no time is taken. */
export const MAX_MILLISECONDS = 100 * 365 * 24 * 3_600_000;
/** Milliseconds of the shortest lease: a shorter one may be over before the answer with its token is there. */
const LEAST_LEASE = 100;
/** Bytes that the name of a media type may have. */
const MAX_TYPE_BYTES = 255;
/** `null` with blanks around it, in as many characters as anybody would send. */
const LONGEST_NULL = 64;

/** @throws GatewayError `INVALID_REQUEST`, `BODY_TOO_LARGE` for a value that cannot be kept */
export function checkValue(value: CacheValue, most: number, field: string): void {
  const bytes = "json" in value ? jsonBytes(value.json, most, field) : value.bytes.byteLength;
  if (bytes > most) {
    const sentence = `${field}: has ${bytes} bytes; the limit of this namespace is ${most}`;
    throw new GatewayError("BODY_TOO_LARGE", sentence, { details: { field, limit: most } });
  }
  if ("type" in value && !(value.type.length <= MAX_TYPE_BYTES && /^[\x20-\x7e]+$/.test(value.type))) {
    throw invalid("content-type", `must be 1 to ${MAX_TYPE_BYTES} printable ASCII characters`);
  }
}

/** Bytes of a JSON text; where they are certainly few enough, no more than its length. */
function jsonBytes(json: string, most: number, field: string): number {
  if (!json.isWellFormed()) throw invalid(field, "holds half of a surrogate pair, which no UTF-8 can hold");
  if (json.length <= LONGEST_NULL && json.trim() === "null") {
    throw invalid(field, "is null, which is no value", `${field} is required`);
  }
  return json.length * 3 <= most ? json.length : utf8Bytes(json);
}

/** What of a write's options a driver gets. @throws GatewayError `INVALID_REQUEST` */
export function checkedOptions({ ttl, condition, versioned }: CachePutOptions): CachePutOptions {
  return { ttl: checkedTime(ttl, "ttl"), condition, versioned: versioned || typeof condition === "object" };
}

/** A span of time in whole milliseconds, at least 1. @throws GatewayError `INVALID_REQUEST` */
export function checkedTime(ms: number | undefined, field: string): number | undefined {
  if (ms === undefined) return undefined;
  if (!(ms > 0)) throw invalid(field, "must be more than 0");
  if (ms > MAX_MILLISECONDS) {
    throw invalid(field, "must be at most 100 years", `invalid ${field} format: more than 100 years`);
  }
  return Math.ceil(ms);
}

/** How long a lock is held, in whole milliseconds. @throws GatewayError `INVALID_REQUEST` */
export function checkedLease(ms: number): number {
  const lease = checkedTime(ms, "lease")!;
  if (lease < LEAST_LEASE) throw invalid("lease", `must be at least ${LEAST_LEASE}ms`);
  return lease;
}

/** How many keys a page may have. @param most keys; also the default @throws GatewayError `INVALID_REQUEST` */
export function checkedLimit(limit: number | undefined, most: number): number {
  if (limit === undefined) return most;
  if (!Number.isSafeInteger(limit) || limit < 1) throw invalid("limit", "must be a whole number of at least 1");
  return Math.min(limit, most);
}

/** @throws GatewayError `INVALID_REQUEST` for what is no finite number */
export function checkFinite(value: number, field: string): void {
  if (!Number.isFinite(value)) throw invalid(field, "must be a finite number");
}
