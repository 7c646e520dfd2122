import { z } from "zod";
import { goDuration } from "../../src/http/formats.ts";
import type { SystemInfo } from "../../src/contracts/system.ts";
import { ok, type Reply } from "../../src/http/reply.ts";
import { defineRoute, type Route } from "../../src/http/route.ts";

/** Whole answers, made anew when a second has passed: a probe is not worth formatting a time for. */
const answers = {
  second: -1,
  reply: ok({}),
  of(system: SystemInfo): Reply {
    const second = Math.floor(system.uptime() / 1000);
    if (second !== this.second) {
      const server = { status: "ok", started_at: system.startedAt, uptime: goDuration(second * 1000) };
      this.reply = ok({ status: "ok", server, client: null });
      this.second = second;
    }
    return this.reply;
  },
};

const health = (path: string): Route =>
  defineRoute({
    method: "GET",
    path,
    summary: "Tell that the process is alive",
    description:
      "Costs the same whatever the back ends do, so that a supervisor can ask often. For the services see `/v1/status`.",
    tag: "System",
    access: { kind: "public" },
    limit: "none",
    quiet: true,
    output: z.object({
      status: z.literal("ok"),
      server: z.object({ status: z.literal("ok"), started_at: z.string(), uptime: z.string() }),
      client: z.null(),
    }),
    handle: (_call, { system }) => answers.of(system),
  });

/** Liveness, under both addresses by which it is known. */
export const healthRoutes = [health("/health"), health("/v1/health")];
