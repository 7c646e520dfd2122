import ipaddr from "ipaddr.js";
import { type Kind, parsedKind } from "./kind.ts";

const HOST_NAME = /^(?=.{1,253}$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i;
const ADDRESS = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/([^/]+))?$/;
/** An Ed25519 key is short enough to be its own name. */
const PEER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;

/** Where a gateway listens on the network of its cluster. Port 0 lets the system choose. */
export const listenMultiaddress: Kind<string> = multiaddress({
  expected:
    "an address such as /ip4/10.0.0.1/tcp/4001; /ip4/0.0.0.0/tcp/4001 is every interface, port 0 any that is free",
  fits: ({ host, peer }) => (host === "ip4" || host === "ip6") && peer === undefined,
});

/** Where a gateway can be reached by others. */
export const announcedMultiaddress: Kind<string> = multiaddress({
  expected: "an address such as /ip4/192.0.2.1/tcp/4001 or /dns4/gateway.example/tcp/4001",
  fits: ({ port, peer }) => port > 0 && peer === undefined,
});

/** Where another gateway is reached, and which. */
export const peerMultiaddress: Kind<string> = multiaddress({
  expected: "the address of a gateway with its peer id: /ip4/10.0.0.2/tcp/4001/p2p/12D3KooW…",
  fits: ({ port, peer }) => port > 0 && peer !== undefined,
});

interface Parts {
  readonly host: string;
  readonly port: number;
  readonly peer: string | undefined;
}

function multiaddress(
  { expected, fits }: { readonly expected: string; readonly fits: (parts: Parts) => boolean },
): Kind<string> {
  return parsedKind({
    name: "multiaddress",
    expected,
    parse(raw) {
      const [, host = "", name = "", digits, peer] = typeof raw === "string" ? ADDRESS.exec(raw) ?? [] : [];
      const port = Number(digits);
      const sound = port <= 65_535 && isHost(host, name) && (peer === undefined || PEER_ID.test(peer));
      return sound && fits({ host, port, peer }) ? raw as string : undefined;
    },
    toYaml: (value) => value,
  });
}

function isHost(kind: string, name: string): boolean {
  if (kind === "ip4") return ipaddr.IPv4.isValidFourPartDecimal(name) && !/(^|\.)0\d/.test(name);
  if (kind === "ip6") return ipaddr.IPv6.isValid(name) && !name.includes("%");
  return HOST_NAME.test(name);
}
