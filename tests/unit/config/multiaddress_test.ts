import { equal } from "node:assert/strict";
import type { Kind } from "../../../config/kinds/kind.ts";
import { announcedMultiaddress, listenMultiaddress, peerMultiaddress } from "../../../config/kinds/multiaddress.ts";

const PEER = "/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";
const takes = (kind: Kind<string>, text: unknown) => kind.schema.safeParse(text).success;

/** An address, and which of the kinds take it: to listen on, to announce, of a peer. */
const CASES: readonly (readonly [unknown, boolean, boolean, boolean])[] = [
  ["/ip4/127.0.0.1/tcp/0", true, false, false],
  ["/ip4/0.0.0.0/tcp/4001", true, true, false],
  ["/ip6/::/tcp/4001", true, true, false],
  ["/dns4/gateway.example/tcp/4001", false, true, false],
  ["/dns/gateway.example/tcp/65535", false, true, false],
  [`/ip4/10.0.0.1/tcp/4001${PEER}`, false, false, true],
  [`/dns6/gateway.example/tcp/4001${PEER}`, false, false, true],
  [`/ip4/10.0.0.1/tcp/0${PEER}`, false, false, false],
  ["/ip4/10.0.0.1/tcp/65536", false, false, false],
  ["/ip4/10.0.0.256/tcp/1", false, false, false],
  ["/ip4/010.0.0.1/tcp/1", false, false, false],
  ["/ip6/fe80::1%eth0/tcp/1", false, false, false],
  ["/ip4/10.0.0.1/udp/4001", false, false, false],
  ["/ip4/10.0.0.1/tcp/4001/ws", false, false, false],
  ["/ip4/10.0.0.1/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", false, false, false],
  ["/unix/run/gateway.sock", false, false, false],
  ["10.0.0.1:4001", false, false, false],
  ["", false, false, false],
  [4001, false, false, false],
  [null, false, false, false],
];

Deno.test("addresses of the network between gateways are taken for what they are good for, and for nothing else", () => {
  for (const [text, listened, announced, ofPeer] of CASES) {
    equal(takes(listenMultiaddress, text), listened, `listen on ${text}`);
    equal(takes(announcedMultiaddress, text), announced, `announce ${text}`);
    equal(takes(peerMultiaddress, text), ofPeer, `peer ${text}`);
  }
});
