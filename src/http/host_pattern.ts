import ipaddr from "ipaddr.js";
import { z } from "zod";

/** RFC 1035, 2.3.4; some servers have an underscore in their names. The last label is no number: that would be an address. */
const NAME = /^(?:[a-z\d_-]{1,63}\.)*(?!(?:\d+|0x[\da-f]*)$)[a-z\d_-]{1,63}$/;
const LONGEST = 253;
const EXPECTED =
  "must be a host such as api.example.com, *.example.com for sub-domains, an address, or a range such as 203.0.113.0/24";

/**
 * Which servers are meant, in a request: a name in any script, the sub-domains of one (`*.example.com`, not `example.com` itself), an
 * address, or a range of addresses without bits beyond its prefix. Gives the normal form in lower case and ASCII.
 */
export const hostPatternField = z.string(EXPECTED).max(LONGEST, EXPECTED).transform((text, context) => {
  const pattern = readRange(text) ?? readName(text);
  if (pattern !== undefined) return pattern;
  context.addIssue({ code: "custom", message: EXPECTED });
  return z.NEVER;
});

function readRange(text: string): string | undefined {
  const [, host, prefix] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  if (host === undefined || !isAddress(host)) return undefined;
  const address = ipaddr.parse(host);
  if (prefix === undefined) return address.toString();
  const bits = Number(prefix), bytes = address.toByteArray();
  return bits <= bytes.length * 8 && endsWithZeros(bytes, bits) ? `${address.toString()}/${bits}` : undefined;
}

function readName(text: string): string | undefined {
  const [, star = "", name = ""] = /^(\*\.)?([^\s\p{Cc}/?#@:\\[\]%*]+)$/u.exec(text) ?? [];
  // The URL parser makes ASCII of other scripts (UTS 46), and addresses of what libraries take for one, such as 127.1.
  const hostname = URL.parse(`http://${name}/`)?.hostname ?? "";
  return NAME.test(hostname) && star.length + hostname.length <= LONGEST ? star + hostname : undefined;
}

// ipaddr.js also takes octal, hexadecimal and shortened IPv4 addresses.
const isAddress = (host: string) =>
  host.includes(":") ? ipaddr.IPv6.isValid(host) : ipaddr.IPv4.isValidFourPartDecimal(host) && !/(^|\.)0\d/.test(host);

const endsWithZeros = (bytes: readonly number[], bits: number) =>
  bytes.every((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, bits - i * 8)))) === 0);
