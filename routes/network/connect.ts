import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

const address = z.string().min(1).max(1_024).optional();

export const networkConnect = defineRoute({
  method: "POST",
  path: "/v1/network/connect",
  summary: "Connect to another gateway",
  description:
    "Only a gateway with the same network key can be connected to. Whether something else listens at an address is not told, " +
    "and a refusal takes 5 seconds whatever the reason.",
  tag: "Network",
  access: { kind: "operator" },
  body: z.object({
    multiaddr: address.describe("Such as `/ip4/192.0.2.1/tcp/4001/p2p/<peer id>`."),
    peer_addr: address.describe("The same, as an older client calls it."),
  }),
  bodyHint: "expected {multiaddr}",
  output: z.object({ status: z.literal("ok") }),
  errors: ["CONFLICT", "UNAVAILABLE"],
  async handle(call, { network }) {
    const multiaddr = call.body.multiaddr ?? call.body.peer_addr;
    if (multiaddr === undefined) {
      throw new GatewayError("INVALID_REQUEST", "invalid body: expected {multiaddr}", {
        details: [{ field: "multiaddr", problem: "is required" }],
      });
    }
    await network.connect(multiaddr, call);
    return ok({ status: "ok" });
  },
});
