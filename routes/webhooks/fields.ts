import { z } from "zod";
import {
  WEBHOOK_ALGORITHMS,
  WEBHOOK_STATES,
  type WebhookDelivery,
  type WebhookEndpoint,
} from "../../src/contracts/webhooks.ts";
import { rfc3339 } from "../../src/http/formats.ts";

/** A webhook in a path. */
export const webhookInPath = z.object({ id: z.string().max(64).describe("The webhook's id, `whe_…`.") });

const url = z.string().min(1).max(2_048).describe(
  "`https://` or `http://`, without a user and a fragment. Inner addresses are refused when something is sent.",
);
const events = z.array(z.string().min(1).max(128)).min(1).max(32).describe(
  "Types of events, such as `function.failed`; a last `*` stands for all that follows: `function.*`, `*`.",
);
const description = z.string().max(256);

/** What is said of a new webhook. */
export const newWebhook = z.object({
  url,
  events,
  description: description.default(""),
  enabled: z.boolean().default(true),
  algorithm: z.enum(WEBHOOK_ALGORITHMS).default("hmac-sha256").describe(
    "How requests are signed (RFC 9421): with a secret that both sides know, or with a key of which the receiver has the public half.",
  ),
});

/** What may be changed of one. */
export const webhookChanges = z.object({
  url: url.optional(),
  events: events.optional(),
  description: description.optional(),
  enabled: z.boolean().optional(),
});

/** A webhook as the API shows it. */
export const webhookAnswer = z.object({
  id: z.string(),
  url: z.string(),
  events: z.array(z.string()),
  description: z.string(),
  enabled: z.boolean(),
  disabled_reason: z.string().optional().describe("Why the gateway switched it off."),
  algorithm: z.enum(WEBHOOK_ALGORITHMS),
  keys: z.array(z.object({
    id: z.string().describe("The `keyid` of signatures."),
    public_key: z.string().optional().describe("Of `ed25519`: `whpk_…`."),
    until: z.string().optional().describe("Until when an older key signs beside the newest."),
  })).describe("Keys that sign, the newest first."),
  created_at: z.string(),
  created_by: z.string(),
  updated_at: z.string(),
});

/** A webhook and its new secret. */
export const webhookWithSecret = webhookAnswer.extend({
  secret: z.string().optional().describe("Of `hmac-sha256`: `whsec_…`. Shown this once, and kept encrypted."),
});

/** A delivery as the API shows it. */
export const deliveryAnswer = z.object({
  id: z.string(),
  event_id: z.string(),
  type: z.string(),
  state: z.enum(WEBHOOK_STATES).describe(
    "`waiting` for its next try, `delivered`, or `dead`: given up, and kept to be sent anew.",
  ),
  tries: z.int(),
  created_at: z.string(),
  due_at: z.string().optional().describe("When it is tried next at the earliest."),
  last_at: z.string().optional(),
  last_status: z.int().optional().describe("What the receiver answered at the last try."),
  last_error: z.string().optional().describe("Why that failed."),
});

/** From the contract's words to those of the wire. */
export const webhookJson = (endpoint: WebhookEndpoint): z.input<typeof webhookAnswer> => ({
  id: endpoint.id,
  url: endpoint.url,
  events: [...endpoint.events],
  description: endpoint.description,
  enabled: endpoint.enabled,
  ...(endpoint.disabledReason !== undefined && { disabled_reason: endpoint.disabledReason }),
  algorithm: endpoint.algorithm,
  keys: endpoint.keys.map(({ id, publicKey, until }) => ({
    id,
    ...(publicKey !== undefined && { public_key: publicKey }),
    ...(until !== undefined && { until: rfc3339(until) }),
  })),
  created_at: rfc3339(endpoint.createdAt),
  created_by: endpoint.createdBy,
  updated_at: rfc3339(endpoint.updatedAt),
});

/** The same of a delivery. */
export const deliveryJson = ({ id, eventId, type, state, tries, createdAt, dueAt, last }: WebhookDelivery) => ({
  id,
  event_id: eventId,
  type,
  state,
  tries,
  created_at: rfc3339(createdAt),
  ...(dueAt !== undefined && { due_at: rfc3339(dueAt) }),
  ...(last && { last_at: rfc3339(last.at) }),
  ...(last?.status !== undefined && { last_status: last.status }),
  ...(last?.error !== undefined && { last_error: last.error }),
});
