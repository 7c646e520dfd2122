import { z } from "zod";
import { goDuration } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute, type Route } from "../../src/http/route.ts";

const serviceHealth = z.object({
  status: z.enum(["ok", "degraded", "down"]),
  driver: z.string(),
  latency_ms: z.number().optional(),
  reason: z.string().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
});

const status = (path: string): Route =>
  defineRoute({
    method: "GET",
    path,
    summary: "Tell how each service is",
    description:
      "Measured, at most a few seconds old. `status` is `ok` only when every service is; the HTTP status stays 200.",
    tag: "System",
    access: { kind: "public" },
    output: z.object({
      status: z.enum(["ok", "degraded", "stopping"]),
      version: z.string(),
      uptime: z.string(),
      server: z.object({ started_at: z.string(), uptime: z.string() }),
      network: z.object({
        connected: z.boolean(),
        peer_count: z.number(),
        uptime: z.number().describe("Nanoseconds, as older clients know it."),
      }).describe("Other gateways that this one is connected to."),
      services: z.record(z.string(), serviceHealth),
    }),
    async handle(_call, { system, network }) {
      const { peers } = network.state();
      const services = await system.services();
      const uptime = goDuration(system.uptime());
      const healthy = Object.values(services).every(({ status }) => status === "ok");
      return ok({
        status: !system.ready() ? "stopping" : healthy ? "ok" : "degraded",
        version: system.version,
        uptime,
        server: { started_at: system.startedAt, uptime },
        network: { connected: peers.length > 0, peer_count: peers.length, uptime: system.uptime() * 1_000_000 },
        services,
      });
    },
  });

/** The services' states, under both addresses by which they are known. */
export const statusRoutes = [status("/status"), status("/v1/status")];
