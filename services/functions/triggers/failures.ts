import { GatewayError } from "../../../src/contracts/errors.ts";

/** What a caller got wrong. @param problem completes a sentence that begins with the field */
export function invalid(field: string, problem: string): GatewayError {
  return new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}

/** The function has no such trigger, or it is another namespace's: the two are the same to who asks. */
export const notFound = (id: string): GatewayError => new GatewayError("NOT_FOUND", `trigger not found: ${id}`);

/** The namespace would have more than it may. */
export const tooMany = (most: number, cause?: unknown): GatewayError =>
  new GatewayError("QUOTA_EXCEEDED", `the namespace may have ${most} triggers of functions; nothing was changed`, {
    details: { quota: "triggers", limit: most },
    cause,
  });

/** Two requests cannot both be for it. */
export const routeTaken = (cause?: unknown): GatewayError =>
  new GatewayError("CONFLICT", "route: another trigger of this namespace has this method and path", { cause });

/** What the trigger was made for is gone. */
export const gone = (cause?: unknown): GatewayError =>
  new GatewayError(
    "CONFLICT",
    "the function, what it is to be called by or its namespace was deleted meanwhile; nothing was changed",
    { cause },
  );

/** What may be told of a failure to whoever owns the trigger: nothing of the engines behind. */
export const sentenceOf = (error: unknown): string =>
  error instanceof GatewayError && error.code !== "INTERNAL" ? error.message : "the gateway failed; its log says why";
