import ipaddr from "ipaddr.js";

/** The most addresses that are tried for one pin, or told of the nodes: as many as the IPFS Pinning Service API has. */
const MAX_ORIGINS = 20;
const MAX_LENGTH = 256;

/**
 * Addresses of peers that may have content, as far as they are tried: multiaddresses over the network that name the peer.
 * @param isPrivateAllowed whether those of private networks count, this machine's own among them
 */
export function usableOrigins(origins: readonly string[], isPrivateAllowed: boolean): readonly string[] {
  return origins.filter((origin) => isUsable(origin, isPrivateAllowed)).slice(0, MAX_ORIGINS);
}

/**
 * Addresses of nodes for others to connect to, as few of each node as need be for all to be among them.
 * @param told what each node says of itself
 * @param isPrivateAllowed as for {@link usableOrigins}
 */
export function usableDelegates(
  told: readonly (readonly string[])[],
  isPrivateAllowed: boolean,
): readonly string[] {
  const lists = told.map((addresses) => addresses.filter((address) => isUsable(address, isPrivateAllowed)));
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const inTurn = Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
  return [...new Set(inTurn)].slice(0, MAX_ORIGINS);
}

function isUsable(origin: string, isPrivateAllowed: boolean): boolean {
  if (origin.length > MAX_LENGTH) return false;
  const match = /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr)\/([\w.:-]+)(?:\/[\w.:-]+)*\/p2p\/[1-9A-HJ-NP-Za-km-z]+$/.exec(
    origin,
  );
  if (match === null) return false;
  const [, protocol, host] = match;
  if (protocol!.startsWith("dns")) return true;
  return ipaddr.isValid(host!) && (isPrivateAllowed || ipaddr.process(host!).range() === "unicast");
}
