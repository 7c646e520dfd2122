import type { ErrorCode } from "../../src/contracts/errors.ts";

/** What any operation on a webhook that is there can answer. */
export const FOUND_ERRORS = ["NOT_FOUND", "UNAVAILABLE"] as const satisfies readonly ErrorCode[];

/** What one that changes something can. */
export const CHANGE_ERRORS = [...FOUND_ERRORS, "CONFLICT", "OUTCOME_UNKNOWN"] as const satisfies readonly ErrorCode[];
