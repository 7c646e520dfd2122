import type { ErrorCode } from "../../src/contracts/errors.ts";

/** What any operation on pin requests can answer. */
export const PIN_ERRORS = ["INVALID_REQUEST", "UNAVAILABLE"] as const satisfies readonly ErrorCode[];

/** What one about a request that is there can. */
export const FOUND_ERRORS = ["NOT_FOUND", ...PIN_ERRORS] as const satisfies readonly ErrorCode[];

/** What one that makes a request can. */
export const MAKE_ERRORS = [
  ...FOUND_ERRORS,
  "BODY_TOO_LARGE",
  "QUOTA_EXCEEDED",
  "CONFLICT",
  "OUTCOME_UNKNOWN",
] as const satisfies readonly ErrorCode[];
