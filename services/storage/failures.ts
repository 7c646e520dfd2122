import { GatewayError } from "../../src/contracts/errors.ts";

/** What a caller got wrong. @param problem completes a sentence that begins with the field */
export function invalid(field: string, problem: string): GatewayError {
  return new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}

/** There is no such content, or it is not the caller's: the two are the same to who asks. @param cid as the caller wrote it */
export function notFound(cid: string, cause?: unknown): GatewayError {
  return new GatewayError("NOT_FOUND", `content not found: ${cid}`, { cause });
}

/** What is claimed and cannot be had now: nodes are down, or have lost it. */
export function unreachable(cause: unknown): GatewayError {
  return new GatewayError("UNAVAILABLE", "the content is recorded, and no node has it now", { cause, retryAfter: 5 });
}

/** One object is larger than it may be. */
export function tooLarge(most: number): GatewayError {
  const sentence = `the object has more than ${most} bytes, which is the limit of this namespace`;
  return new GatewayError("BODY_TOO_LARGE", sentence, { details: { limit: most } });
}

/** The namespace would have more than it may. @param what `bytes` or `objects` */
export function overQuota(what: "bytes" | "objects", most: number, cause?: unknown): GatewayError {
  const sentence = `the namespace may have ${most} ${what} in its storage; nothing was stored`;
  return new GatewayError("QUOTA_EXCEEDED", sentence, { details: { quota: what, limit: most }, cause });
}
