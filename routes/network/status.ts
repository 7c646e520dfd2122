import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

export const networkStatus = defineRoute({
  method: "GET",
  path: "/v1/network/status",
  summary: "Tell how this gateway stands to the others",
  description: "As of a second ago at most.",
  tag: "Network",
  access: { kind: "public" },
  output: z.object({
    node_id: z.string().describe(
      "The gateway's libp2p peer id; empty where it belongs to no network (`pubsub.driver`).",
    ),
    peer_id: z.string().describe("The same."),
    connected: z.boolean().describe("Whether it is connected to another gateway."),
    peer_count: z.int().describe("How many gateways it is connected to."),
    database_size: z.literal(0).describe("For older clients; `/v1/status` tells of databases."),
    uptime: z.int().describe("Nanoseconds."),
  }),
  handle(_call, { network, system }) {
    const { self, peers } = network.state();
    const id = self?.id ?? "";
    return ok({
      node_id: id,
      peer_id: id,
      connected: peers.length > 0,
      peer_count: peers.length,
      database_size: 0,
      uptime: Math.round(system.uptime() * 1_000_000),
    });
  },
});
