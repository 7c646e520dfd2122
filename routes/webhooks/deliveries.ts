import { z } from "zod";
import { WEBHOOK_STATES } from "../../src/contracts/webhooks.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS, FOUND_ERRORS } from "./errors.ts";
import { deliveryAnswer, deliveryJson, webhookInPath } from "./fields.ts";

const access = { kind: "namespace", scope: "namespace:admin" } as const;
const tag = "Webhooks";

export const testWebhook = defineRoute({
  method: "POST",
  path: "/v1/webhooks/:id/test",
  summary: "Send a test event to a webhook, and tell how it went",
  description:
    "`webhook.test`, once and at once, whether the webhook is enabled or not. It is no delivery: nothing is kept.",
  tag,
  access,
  params: webhookInPath,
  output: z.object({
    delivered: z.boolean().describe("Whether the receiver answered with a 2xx."),
    status: z.int().optional().describe("What it answered."),
    error: z.string().optional().describe("Why the event was not taken, or not even sent."),
    duration_ms: z.int(),
  }),
  errors: FOUND_ERRORS,
  async handle(call, { webhooks }) {
    const { delivered, status, error, duration } = await webhooks.test(
      call.principal.namespace,
      call.params.id,
      call,
    );
    return ok({
      delivered,
      ...(status !== undefined && { status }),
      ...(error !== undefined && { error }),
      duration_ms: duration,
    });
  },
});

export const listDeliveries = defineRoute({
  method: "GET",
  path: "/v1/webhooks/:id/deliveries",
  summary: "List the deliveries of a webhook, newest first",
  description:
    "Unless the operator set something else, what waits is kept for two days at most, what was taken for three, what is dead for " +
    "thirty; of the latter two the last 100 each.",
  tag,
  access,
  params: webhookInPath,
  query: z.object({
    state: z.enum(WEBHOOK_STATES).optional().describe("Only those in this state."),
    limit: z.coerce.number().int().min(1).max(100).default(50).describe("How many entries at most."),
    cursor: z.string().max(512).optional().describe("`next_cursor` of the page before."),
  }),
  output: z.object({ deliveries: z.array(deliveryAnswer), count: z.int(), next_cursor: z.string().nullable() }),
  errors: FOUND_ERRORS,
  async handle(call, { webhooks }) {
    const { items, next = null } = await webhooks.deliveries(
      call.principal.namespace,
      call.params.id,
      call.query,
      call,
    );
    return ok({ deliveries: items.map(deliveryJson), count: items.length, next_cursor: next });
  },
});

export const redeliver = defineRoute({
  method: "POST",
  path: "/v1/webhooks/:id/deliveries/:delivery/redeliver",
  summary: "Send a dead delivery anew",
  description: "As if it were new, with the webhook's address and key of now. The event's id stays the same.",
  tag,
  access,
  params: z.object({
    ...webhookInPath.shape,
    delivery: z.string().max(64).describe("The delivery's id, `whd_…`."),
  }),
  output: deliveryAnswer,
  errors: [...CHANGE_ERRORS, "QUOTA_EXCEEDED"],
  async handle(call, { webhooks }) {
    const { params: { id, delivery }, principal } = call;
    return ok(deliveryJson(await webhooks.redeliver(principal, id, delivery, call)));
  },
});
