import { z } from "zod";
import { defineRoute } from "../../src/http/route.ts";

export const metrics = defineRoute({
  method: "GET",
  path: "/metrics",
  summary: "Give the figures of this gateway to Prometheus",
  description: "Labels hold route templates, methods, statuses, services and drivers, never anything of a tenant's.",
  tag: "System",
  access: { kind: "operator" },
  output: z.string(),
  produces: "text/plain",
  errors: ["NOT_FOUND"],
  async handle(_call, { system }) {
    const { text, contentType } = await system.metrics();
    return { status: 200, body: text, headers: { "content-type": contentType } };
  },
});
