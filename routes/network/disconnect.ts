import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

export const networkDisconnect = defineRoute({
  method: "POST",
  path: "/v1/network/disconnect",
  summary: "Disconnect from another gateway",
  description: "For ten minutes, or until somebody asks for the connection again.",
  tag: "Network",
  access: { kind: "operator" },
  body: z.object({ peer_id: z.string().min(1).max(128).describe("As `/v1/network/peers` shows it.") }),
  bodyHint: "expected {peer_id}",
  output: z.object({ status: z.literal("ok") }),
  errors: ["NOT_FOUND"],
  async handle(call, { network }) {
    await network.disconnect(call.body.peer_id, call);
    return ok({ status: "ok" });
  },
});
