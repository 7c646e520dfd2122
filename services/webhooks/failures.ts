import { GatewayError } from "../../src/contracts/errors.ts";

/** What a caller got wrong. @param problem completes a sentence that begins with the field */
export const invalid = (field: string, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });

/** There is no such endpoint, or it is another namespace's: the two are the same to who asks. */
export const noEndpoint = (): GatewayError => new GatewayError("NOT_FOUND", "webhook not found");

/** The endpoint has no such delivery, or not any more. */
export const noDelivery = (): GatewayError => new GatewayError("NOT_FOUND", "delivery not found");

/** The namespace would have more than it may. */
export const tooMany = (most: number, cause?: unknown): GatewayError =>
  new GatewayError("QUOTA_EXCEEDED", `the namespace may have ${most} webhooks; nothing was changed`, {
    details: { quota: "webhooks", limit: most },
    cause,
  });

/** What it was to belong to is gone. */
export const gone = (cause?: unknown): GatewayError =>
  new GatewayError("CONFLICT", "the namespace is being deleted, or was; nothing was changed", { cause });
