import { AddressRange } from "./ranges.ts";

/** Addresses that have one purpose, and what they are called where they are refused. */
export interface SpecialRange {
  readonly kind: string;
  /** In CIDR notation. */
  readonly text: string;
  readonly range: AddressRange;
}

const ranges = (...rows: readonly (readonly [kind: string, ...texts: readonly string[]])[]): readonly SpecialRange[] =>
  rows.flatMap(([kind, ...texts]) => texts.map((text) => ({ kind, text, range: AddressRange.of(text) })));

/**
 * IPv4 addresses that are no ordinary hosts of the internet. The IANA IPv4 Special-Purpose Address Registry (RFC 6890, RFC 8190), all of
 * it, so too the few blocks that can be reached from everywhere: nobody has web sites there, and a network may have its own servers at
 * them. Beside it the IANA IPv4 Multicast Address Space Registry (RFC 5771).
 */
export const SPECIAL_IPV4: readonly SpecialRange[] = ranges(
  // RFC 791, 3.2. Systems connect to themselves where an address of this network is named.
  ["unspecified", "0.0.0.0/8"],
  // RFC 1918.
  ["private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
  // RFC 6598.
  ["shared with a provider", "100.64.0.0/10"],
  // RFC 1122, 3.2.1.3.
  ["loopback", "127.0.0.0/8"],
  // RFC 3927.
  ["link-local", "169.254.0.0/16"],
  // RFC 5737.
  ["documentation", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"],
  // RFC 7535, RFC 7534.
  ["sink of reverse DNS", "192.31.196.0/24", "192.175.48.0/24"],
  // RFC 7450; RFC 7526.
  ["relay of a tunnel", "192.52.193.0/24", "192.88.99.0/24"],
  // RFC 2544.
  ["benchmarking", "198.18.0.0/15"],
  // RFC 5771.
  ["multicast", "224.0.0.0/4"],
  // RFC 919.
  ["broadcast", "255.255.255.255/32"],
  // RFC 6890, 2.1; RFC 1112, 4.
  ["reserved", "192.0.0.0/24", "240.0.0.0/4"],
  // Within Azure the platform answers here with the secrets of the machine, at an address that looks as any other.
  ["platform of a provider", "168.63.129.16/32"],
);

/**
 * IPv6 addresses that lead to an IPv4 one: a check of either kind would say of them what it says of an address that it is not.
 * RFC 4291, 2.5.5; RFC 2765, 2.1; RFC 6052, 2.1; RFC 8215; RFC 3056; RFC 4380.
 */
export const IPV4_IN_IPV6: readonly SpecialRange[] = ranges([
  "IPv4 in IPv6",
  "::/96",
  "::ffff:0:0/96",
  "::ffff:0:0:0/96",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "2002::/16",
  "2001::/32",
]);

/**
 * IPv6 addresses that are no ordinary hosts of the internet, after the IANA IPv6 Special-Purpose Address Registry (RFC 6890, RFC 8190).
 * The last rows hold all that no address of the internet is in (RFC 4291, 2.4; IANA IPv6 Address Space Registry: 2000::/3 alone is).
 */
export const SPECIAL_IPV6: readonly SpecialRange[] = ranges(
  // RFC 4291, 2.5.2 and 2.5.3.
  ["unspecified", "::/128"],
  ["loopback", "::1/128"],
  // RFC 6666; RFC 9780.
  ["discarded", "100::/64", "100:0:0:1::/64"],
  // RFC 2928: benchmarking, ORCHID and the like are parts of it (RFC 5180, RFC 4843, RFC 7343, RFC 9374).
  ["reserved", "2001::/23"],
  // RFC 3849; RFC 9637.
  ["documentation", "2001:db8::/32", "3fff::/20"],
  // RFC 7534.
  ["sink of reverse DNS", "2620:4f:8000::/48"],
  // RFC 9602.
  ["segment routing", "5f00::/16"],
  // RFC 4193.
  ["private", "fc00::/7"],
  // RFC 4291, 2.5.6.
  ["link-local", "fe80::/10"],
  // RFC 3879.
  ["site-local", "fec0::/10"],
  // RFC 4291, 2.7.
  ["multicast", "ff00::/8"],
  ["reserved", "::/3", "4000::/2", "8000::/1"],
);

/** Where platforms tell machines their secrets; all lie in ranges above. Amazon, Google, Azure, Oracle, Alibaba. */
export const METADATA: ReadonlySet<string> = new Set([
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  "168.63.129.16",
  "192.0.0.192",
  "100.100.100.200",
  "fd00:ec2::254",
  "fd00:ec2::23",
  "fd20:ce::254",
]);
