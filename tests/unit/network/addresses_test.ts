import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { askedAddress, askedPeer, readPeerAddress, worthTelling } from "../../../services/network/addresses.ts";
import { hasCode } from "../../../src/contracts/errors.ts";

const ID = "12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";
const at = (place: string) => `${place}/p2p/${ID}`;

Deno.test("addresses over TCP, by number or name, are dialled", () => {
  for (
    const place of [
      "/ip4/127.0.0.1/tcp/1",
      "/ip4/192.0.2.1/tcp/65535",
      "/ip6/::1/tcp/4001",
      "/ip6/fd00::1/tcp/4001",
      "/dns4/gateway.example/tcp/4001",
      "/dns6/gateway.example/tcp/4001",
      "/dns/a/tcp/4001",
    ]
  ) deepEqual(readPeerAddress(at(place)), { id: ID, address: at(place) }, place);
});

Deno.test("nothing else is dialled: no sockets of this machine, nothing that leads elsewhere, nothing that is no address", () => {
  const wrong = [
    "",
    "/",
    at(""),
    at("/unix/%2Frun%2Fdocker.sock"),
    at("/unix/run"),
    at("/dnsaddr/bootstrap.libp2p.io"),
    at("/ip4/10.0.0.1/tcp/0"),
    at("/ip4/10.0.0.1/tcp/65536"),
    at("/ip4/10.0.0.1/tcp/04001"),
    at("/ip4/10.0.0.1/udp/4001"),
    at("/ip4/10.0.0.1/udp/4001/quic-v1"),
    at("/ip4/10.0.0.1/tcp/4001/ws"),
    at("/ip4/10.0.0.1/tcp/80/http"),
    at("/ip4/010.0.0.1/tcp/4001"),
    at("/ip4/2130706433/tcp/4001"),
    at("/ip4/10.0.0/tcp/4001"),
    at("/ip6/fe80::1%eth0/tcp/4001"),
    at("/ip6/127.0.0.1/tcp/4001"),
    at("/dns4/-a/tcp/4001"),
    at("/dns4/a b/tcp/4001"),
    at(`/ip4/10.0.0.1/tcp/4001/p2p/${ID}/p2p-circuit`),
    "/ip4/10.0.0.1/tcp/4001",
    `/ip4/10.0.0.1/tcp/4001/p2p/${ID}/`,
    "/ip4/10.0.0.1/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    "/ip4/10.0.0.1/tcp/4001/p2p/12D3KooW0",
    `\n${at("/ip4/10.0.0.1/tcp/4001")}`,
    `${at("/ip4/10.0.0.1/tcp/4001")}\n`,
  ];
  for (const text of wrong) equal(readPeerAddress(text), undefined, text);
});

Deno.test("what a client got wrong is named", () => {
  const names = (field: string) => (error: unknown) => {
    ok(hasCode(error, "INVALID_REQUEST"));
    deepEqual((error.extra.details as { field: string }[]).map((one) => one.field), [field]);
    return true;
  };
  throws(() => askedAddress("x"), names("multiaddr"));
  throws(() => askedPeer("x"), names("peer_id"));
  equal(askedPeer(ID), ID);
});

Deno.test("an address of this machine alone is told to others only where there is no other", () => {
  const local = ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1"], far = ["/ip4/10.0.0.1/tcp/1", "/ip6/fd00::1/tcp/1"];
  deepEqual(worthTelling([...local, ...far]), far);
  deepEqual(worthTelling(local), local);
});
