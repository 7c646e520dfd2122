import { GatewayError } from "../../src/contracts/errors.ts";

/** What a caller got wrong. @param problem completes a sentence that begins with the field */
export function invalid(field: string, problem: string, sentence = `${field}: ${problem}`): GatewayError {
  return new GatewayError("INVALID_REQUEST", sentence, { details: [{ field, problem }] });
}

/** A write whose condition did not hold. */
export function notAsExpected(problem: string): GatewayError {
  return new GatewayError("PRECONDITION_FAILED", `nothing was written: ${problem}`);
}

/** What no counter can become. @param problem completes "nothing was counted: …" */
export function wrongType(problem: string): GatewayError {
  return new GatewayError("WRONG_TYPE", `nothing was counted: ${problem}`);
}

/** A token that does not hold its lock, or not any more. */
export function lockLost(): GatewayError {
  return new GatewayError("LOCK_LOST", "this token does not hold the lock: it was freed, or its lease is over");
}
