import { type ErrorCode, GatewayError, hasCode } from "../../src/contracts/errors.ts";

/** What any operation on storage can answer. */
export const STORAGE_ERRORS = ["INVALID_REQUEST", "UNAVAILABLE"] as const satisfies readonly ErrorCode[];

/** What one about content that is there can. */
export const FOUND_ERRORS = ["NOT_FOUND", ...STORAGE_ERRORS] as const satisfies readonly ErrorCode[];

/** What one that adds or claims content can. */
export const STORE_ERRORS = [
  ...STORAGE_ERRORS,
  "BODY_TOO_LARGE",
  "QUOTA_EXCEEDED",
  "CONFLICT",
  "TOO_MANY_UPLOADS",
  "NO_CAPACITY",
  "OUTCOME_UNKNOWN",
] as const satisfies readonly ErrorCode[];

/** What one that gives bytes can. */
export const READ_ERRORS = [
  ...FOUND_ERRORS,
  "PRECONDITION_FAILED",
  "RANGE_NOT_SATISFIABLE",
] as const satisfies readonly ErrorCode[];

/**
 * Tells of a pin that is not there in the words that older clients know.
 * @param invalid whether a text that is no CID is one that nobody has
 */
export async function pinOf<T>(cid: string, found: Promise<T>, invalid = false): Promise<T> {
  try {
    return await found;
  } catch (cause) {
    const missing = hasCode(cause, "NOT_FOUND") || invalid && hasCode(cause, "INVALID_REQUEST");
    throw missing ? new GatewayError("NOT_FOUND", `pin not found: ${cid}`, { cause }) : cause;
  }
}
