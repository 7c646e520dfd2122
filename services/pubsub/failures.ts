import { GatewayError } from "../../src/contracts/errors.ts";

/** What a caller got wrong. @param problem completes a sentence that begins with the field */
export function invalid(field: string, problem: string): GatewayError {
  return new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}

/** The gateway takes nothing any more. */
export const stopping = (): GatewayError =>
  new GatewayError("UNAVAILABLE", "this gateway stops; another one serves the same topics", { retryAfter: 1 });

/** A namespace that was deleted while somebody waited. */
export const deleted = (): GatewayError => new GatewayError("NOT_FOUND", "this namespace has been deleted");
