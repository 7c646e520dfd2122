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
    details: { quota: "webhooks.endpoints", limit: most },
    cause,
  });

/** Too much waits already. @param what of the limits of webhooks: for the endpoint, or for the whole namespace */
export const noRoom = (what: "waiting" | "waiting_bytes", limit: number): GatewayError => {
  const sentence = what === "waiting"
    ? `${limit} events may wait for a webhook, and do; nothing was changed`
    : `${limit} bytes may wait for the webhooks of the namespace, and this would be more; nothing was changed`;
  return new GatewayError("QUOTA_EXCEEDED", sentence, { details: { quota: `webhooks.${what}`, limit } });
};

/** What it was to belong to is gone. */
export const gone = (cause?: unknown): GatewayError =>
  new GatewayError("CONFLICT", "the namespace is being deleted, or was; nothing was changed", { cause });
