import ipaddr from "ipaddr.js";
import type { Context } from "hono";

type Address = ReturnType<typeof ipaddr.process>;
type Range = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * Tells the client's address: the socket's, unless that is a trusted proxy; then the right-most address of
 * `X-Forwarded-For` that is no trusted proxy itself. Everything left of it is the client's own claim.
 * @param trustedProxies ranges in CIDR notation
 */
export function clientAddresses(trustedProxies: readonly string[]): (http: Context) => string {
  const ranges = trustedProxies.map((range) => ipaddr.parseCIDR(range));
  if (ranges.length === 0) return socketAddress;
  return (http) => {
    const socket = socketAddress(http);
    if (!isTrusted(socket, ranges)) return socket;
    const hops = http.req.raw.headers.get("x-forwarded-for")?.split(",").map((hop) => hop.trim()).reverse() ?? [];
    let nearest = socket;
    for (const hop of hops) {
      const address = parse(hop);
      if (!address) return nearest;
      nearest = address.toString();
      if (!isTrusted(nearest, ranges)) return nearest;
    }
    return nearest;
  };
}

/** What `Deno.serve` says of the other end, handed through Hono as its environment. */
function socketAddress(http: Context): string {
  const remote = (http.env as Partial<Deno.ServeHandlerInfo> | undefined)?.remoteAddr;
  return remote && "hostname" in remote ? remote.hostname : "unix";
}

function parse(text: string): Address | undefined {
  const bare = /^\[(.+)\](:\d+)?$/.exec(text)?.[1] ?? (/^[\d.]+:\d+$/.test(text) ? text.split(":")[0]! : text);
  // Of the many spellings of old libraries (`1.2.3`, octal, hexadecimal) no proxy writes any.
  const valid = bare.includes(":") ? ipaddr.IPv6.isValid(bare) : ipaddr.IPv4.isValidFourPartDecimal(bare);
  return valid ? ipaddr.process(bare) : undefined;
}

function isTrusted(address: string, ranges: readonly Range[]): boolean {
  const parsed = parse(address);
  return parsed !== undefined &&
    ranges.some(([net, bits]) => net.kind() === parsed.kind() && parsed.match([net, bits] as never));
}

/** The unit that a per-address limit counts: a whole /64 for IPv6, which one client commonly owns. */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  const parsed = parse(address);
  return parsed?.kind() === "ipv6" ? parsed.toNormalizedString().split(":").slice(0, 4).join(":") : address;
}
