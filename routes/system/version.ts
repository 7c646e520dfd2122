import { z } from "zod";
import { goDuration } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

export const version = defineRoute({
  method: "GET",
  path: "/v1/version",
  summary: "Tell which build this is",
  tag: "System",
  access: { kind: "public" },
  output: z.object({
    version: z.string(),
    commit: z.string(),
    build_time: z.string(),
    started_at: z.string(),
    uptime: z.string(),
  }),
  handle: (_call, { system }) =>
    ok({
      version: system.version,
      commit: system.commit,
      build_time: system.buildTime,
      started_at: system.startedAt,
      uptime: goDuration(system.uptime()),
    }),
});
