import { z } from "zod";
import type { WebhookSecret } from "../../src/contracts/webhooks.ts";
import { json, NO_STORE, ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS, FOUND_ERRORS } from "./errors.ts";
import { newWebhook, webhookAnswer, webhookChanges, webhookInPath, webhookJson, webhookWithSecret } from "./fields.ts";

const path = "/v1/webhooks", onePath = "/v1/webhooks/:id";
const access = { kind: "namespace", scope: "namespace:admin" } as const;
const tag = "Webhooks";

const withSecret = ({ endpoint, secret }: WebhookSecret) => ({
  ...webhookJson(endpoint),
  ...(secret !== undefined && { secret }),
});

export const listWebhooks = defineRoute({
  method: "GET",
  path,
  summary: "List the webhooks of the namespace",
  tag,
  access,
  output: z.object({ webhooks: z.array(webhookAnswer), count: z.int() }),
  errors: ["UNAVAILABLE"],
  async handle(call, { webhooks }) {
    const found = await webhooks.list(call.principal.namespace, call);
    return ok({ webhooks: found.map(webhookJson), count: found.length });
  },
});

export const createWebhook = defineRoute({
  method: "POST",
  path,
  summary: "Make a webhook",
  description: `
An address that is told of events of the namespace: each is sent there as a \`POST\` of JSON, signed as RFC 9421 has it,
and again with growing pauses until the receiver answers with a 2xx, for about a day. A receiver may get an event more
than once, and must look at the signature. See \`docs/webhooks.md\`.
`.trim(),
  tag,
  access,
  body: newWebhook,
  status: 201,
  output: webhookWithSecret,
  errors: ["UNAVAILABLE", "CONFLICT", "OUTCOME_UNKNOWN", "QUOTA_EXCEEDED"],
  async handle(call, { webhooks }) {
    return json(201, withSecret(await webhooks.create(call.principal, call.body, call)), NO_STORE);
  },
});

export const getWebhook = defineRoute({
  method: "GET",
  path: onePath,
  summary: "Read a webhook",
  tag,
  access,
  params: webhookInPath,
  output: webhookAnswer,
  errors: FOUND_ERRORS,
  async handle(call, { webhooks }) {
    return ok(webhookJson(await webhooks.get(call.principal.namespace, call.params.id, call)));
  },
});

export const changeWebhook = defineRoute({
  method: "PATCH",
  path: onePath,
  summary: "Change a webhook",
  description: "What is not named stays as it is. One that is off is told of nothing new; what waits for it waits on.",
  tag,
  access,
  params: webhookInPath,
  body: webhookChanges,
  output: webhookAnswer,
  errors: CHANGE_ERRORS,
  async handle(call, { webhooks }) {
    return ok(webhookJson(await webhooks.change(call.principal, call.params.id, call.body, call)));
  },
});

export const deleteWebhook = defineRoute({
  method: "DELETE",
  path: onePath,
  summary: "Delete a webhook, and what waits for it",
  tag,
  access,
  params: webhookInPath,
  output: z.object({ message: z.string() }),
  errors: CHANGE_ERRORS,
  async handle(call, { webhooks }) {
    await webhooks.delete(call.principal, call.params.id, call);
    return ok({ message: "Webhook deleted successfully" });
  },
});

export const rotateWebhook = defineRoute({
  method: "POST",
  path: "/v1/webhooks/:id/rotate",
  summary: "Replace the key that signs for a webhook",
  description:
    "For 24 hours requests have a signature by the former key as well, so that the receiver can change over. " +
    "Three keys sign at most; the oldest of more stops at once.",
  tag,
  access,
  params: webhookInPath,
  output: webhookWithSecret,
  errors: CHANGE_ERRORS,
  async handle(call, { webhooks }) {
    return json(200, withSecret(await webhooks.rotate(call.principal, call.params.id, call)), NO_STORE);
  },
});
