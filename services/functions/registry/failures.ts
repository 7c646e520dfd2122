import { GatewayError } from "../../../src/contracts/errors.ts";
import type { CallRefused } from "../hosts/contract.ts";

/** What a caller got wrong. @param problem completes a sentence that begins with the field */
export const invalid = (field: string, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });

/** The namespace does not have it. @param what is missing */
export const notFound = (what: "function" | "function version" | "function alias"): GatewayError =>
  new GatewayError("NOT_FOUND", `${what} not found`);

/** A module was not compiled. */
export function notCompiled(refusal: CallRefused): GatewayError {
  const { reason, message, retryAfter } = refusal;
  const code = reason === "busy" ? "TOO_MANY_INVOCATIONS" : "UNAVAILABLE";
  return new GatewayError(code, `${message}; nothing was deployed`, { retryAfter, cause: refusal });
}

/** The namespace went while it was asked for something, or somebody else has its name by now. */
export const namespaceGone = (cause?: unknown): GatewayError =>
  new GatewayError("CONFLICT", "the namespace is being deleted, or was; nothing was changed", { cause });

/** Something stands in the way, which the caller can change. */
export const conflict = (sentence: string): GatewayError => new GatewayError("CONFLICT", sentence);

/** The namespace would have more than it may. @param what as the limit is called, under `functions` */
export const overQuota = (what: string, limit: number, sentence: string): GatewayError =>
  new GatewayError("QUOTA_EXCEEDED", sentence, { details: { quota: `functions.${what}`, limit } });
