import { z } from "zod";
import { goDuration } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute, type Route } from "../../src/http/route.ts";

const health = (path: string): Route =>
  defineRoute({
    method: "GET",
    path,
    summary: "Tell that the process is alive",
    description: "Costs the same whatever the back ends do, so that a supervisor can ask often. For the services see `/v1/status`.",
    tag: "System",
    access: { kind: "public" },
    limit: "none",
    output: z.object({
      status: z.literal("ok"),
      server: z.object({ status: z.literal("ok"), started_at: z.string(), uptime: z.string() }),
      client: z.null(),
    }),
    handle: (_call, { system }) =>
      ok({
        status: "ok",
        server: { status: "ok", started_at: system.startedAt, uptime: goDuration(system.uptime()) },
        client: null,
      }),
  });

export const healthRoutes = [health("/health"), health("/v1/health")];
