import type { ErrorCode } from "../../src/contracts/errors.ts";
import { FUNCTION_FAILURES } from "../../src/contracts/function_invocations.ts";

/** What any operation on functions that are there can answer. */
export const FOUND_ERRORS = ["NOT_FOUND", "NAMESPACE_MISMATCH", "UNAVAILABLE"] as const satisfies readonly ErrorCode[];

/** What one that changes something can. */
export const CHANGE_ERRORS = [...FOUND_ERRORS, "CONFLICT", "OUTCOME_UNKNOWN"] as const satisfies readonly ErrorCode[];

/** What a call can. */
export const INVOKE_ERRORS = [
  ...FUNCTION_FAILURES,
  "INVOCATION_TOO_DEEP",
  "TOO_MANY_INVOCATIONS",
  "NOT_FOUND",
  "UNAUTHENTICATED",
  "INVALID_CREDENTIAL",
  "FORBIDDEN",
  "INSUFFICIENT_SCOPE",
  "NAMESPACE_MISMATCH",
  "UNAVAILABLE",
] as const satisfies readonly ErrorCode[];
