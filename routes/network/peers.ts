import { z } from "zod";
import type { NetworkPeer } from "../../src/contracts/network.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

const texts = z.array(z.string());

/** Where others are reached is for operators: everybody else may know who they are. */
const seenBy = (peers: readonly NetworkPeer[], operator: boolean): readonly NetworkPeer[] =>
  operator ? peers : peers.map((peer) => ({ ...peer, addresses: [] }));

export const networkPeers = defineRoute({
  method: "GET",
  path: "/v1/network/peers",
  summary: "List this gateway and those that it is connected to",
  description: "As of a second ago at most. Addresses are shown to an operator's credential alone.",
  tag: "Network",
  access: { kind: "public", identify: true },
  output: z.object({
    peers: texts.describe("Of this gateway, then of each peer: `/p2p/` with its id, followed by its multiaddresses."),
    peer_infos: z.array(z.object({ id: z.string(), addresses: texts, lastSeen: z.string().describe("RFC 3339.") }))
      .describe("The peers without this gateway."),
  }),
  handle({ caller }, { network }) {
    const { self, peers } = network.state();
    const operator = caller?.operator === true;
    const all = seenBy(self ? [self, ...peers] : peers, operator);
    return ok({
      peers: all.flatMap(({ id, addresses }) => [`/p2p/${id}`, ...addresses]),
      peer_infos: seenBy(peers, operator).map(({ id, addresses, lastSeen }) => ({
        id,
        addresses,
        lastSeen: rfc3339(lastSeen),
      })),
    });
  },
});
