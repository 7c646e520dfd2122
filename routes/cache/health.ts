import { z } from "zod";
import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

export const health = defineRoute({
  method: "GET",
  path: "/v1/cache/health",
  summary: "Say whether the cache can be reached",
  description: "`service` is `olric` on every driver: older clients compare it.",
  tag: "Cache",
  access: { kind: "authenticated" },
  output: z.object({ status: z.literal("ok"), service: z.literal("olric") }),
  async handle(call, { cache }) {
    try {
      await cache.ping(call);
    } catch (cause) {
      const isDown = hasCode(cause, "UNAVAILABLE");
      throw isDown ? new GatewayError("UNAVAILABLE", `cache health check failed: ${cause.message}`, { cause }) : cause;
    }
    return ok({ status: "ok", service: "olric" });
  },
});
