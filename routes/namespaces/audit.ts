import { z } from "zod";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

const event = z.object({
  id: z.number(),
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  resource: z.string(),
  address: z.string(),
  request_id: z.string(),
  details: z.record(z.string(), z.unknown()),
});

export const listAuditEvents = defineRoute({
  method: "GET",
  path: "/v1/namespaces/:ns/audit",
  summary: "Read the namespace's audit log, newest first",
  description:
    "Who did what to keys, sessions, members, the namespace itself, and its database as a whole (restores, migrations), kept " +
    "for 400 days. For owners.",
  tag: "Namespaces",
  access: { kind: "namespace", scope: "namespace:admin", param: "ns", role: "owner" },
  params: z.object({ ns: z.string().max(64).describe("The namespace's name.") }),
  query: z.object({
    limit: z.coerce.number().int().min(1).max(200).default(100).describe("How many entries at most."),
    before: z.coerce.number().int().positive().optional().describe("`next` of the page before."),
  }),
  output: z.object({ events: z.array(event), count: z.number(), next: z.number().nullable() }),
  errors: ["UNAVAILABLE"],
  async handle(call, { audit }) {
    const { limit, before } = call.query;
    const found = await audit.list(call.params.ns, { limit, before }, call);
    const events = found.map(({ id, at, actor, action, resource, address, requestId, details }) => ({
      id,
      at: rfc3339(at),
      actor,
      action,
      resource,
      address,
      request_id: requestId,
      details,
    }));
    return ok({ events, count: events.length, next: events.length === limit ? events.at(-1)!.id : null });
  },
});
