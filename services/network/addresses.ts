import ipaddr from "ipaddr.js";
import { GatewayError } from "../../src/contracts/errors.ts";

/** Where a gateway is reached, and which. */
export interface PeerAddress {
  readonly id: string;
  /** Multiaddress that ends with the id. */
  readonly address: string;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i;
const ADDRESS = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/([1-9]\d{0,4})\/p2p\/([^/]+)$/;
/** An Ed25519 key is short enough to be its own name. */
const PEER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;

/**
 * Reads an address that gateways dial: TCP, by number or name. Nothing else is dialled: not sockets of this machine, which libp2p
 * knows too, and nothing that leads on to other addresses.
 * @returns `undefined` for anything else
 */
export function readPeerAddress(text: string): PeerAddress | undefined {
  const [, kind = "", host = "", port, id = ""] = ADDRESS.exec(text) ?? [];
  return Number(port) <= 65_535 && isHost(kind, host) && isPeerId(id) ? { id, address: text } : undefined;
}

/** Whether a text is the peer id of a gateway. */
export const isPeerId = (text: string): boolean => PEER_ID.test(text);

function isHost(kind: string, host: string): boolean {
  if (kind === "ip4") return ipaddr.IPv4.isValidFourPartDecimal(host) && !/(^|\.)0\d/.test(host);
  if (kind === "ip6") return ipaddr.IPv6.isValid(host) && !host.includes("%");
  return HOST_NAME.test(host);
}

/** The address that a client named. @throws GatewayError `INVALID_REQUEST` */
export function askedAddress(text: string): PeerAddress {
  const found = readPeerAddress(text);
  if (found === undefined) throw invalid("multiaddr", "must be such as /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…");
  return found;
}

/** The peer id that a client named. @throws GatewayError `INVALID_REQUEST` */
export function askedPeer(text: string): string {
  if (!isPeerId(text)) throw invalid("peer_id", "must be the id of a gateway, such as 12D3KooW…");
  return text;
}

/** The error for a field that a client got wrong. */
export const invalid = (field: string, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `${field} ${problem}`, { details: [{ field, problem }] });

/** Addresses to tell others: none of this machine alone, where there are some that lead here from elsewhere too. */
export function worthTelling(addresses: readonly string[]): readonly string[] {
  const elsewhere = addresses.filter((address) => !/^\/ip(4\/127\.|6\/::1\/)/.test(address));
  return elsewhere.length > 0 ? elsewhere : addresses;
}
