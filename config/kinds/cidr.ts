import ipaddr from "ipaddr.js";
import { isAddress } from "./ip_address.ts";
import { type Kind, parsedKind } from "./kind.ts";

/**
 * A range of addresses: `10.0.0.0/8`, `fd00::/8`; a single address is a range of one. Becomes its normal form with the
 * prefix. Bits beyond the prefix are refused: `10.0.0.5/8` is far more often a slip than meant.
 */
export const cidr: Kind<string> = parsedKind({
  name: "cidr",
  expected: "a range such as 10.0.0.0/8 or fd00::/8 with no bits beyond the prefix, or one address",
  parse: parseCidr,
  toYaml: (value) => value,
});

/** The normal form of a range; `undefined` when it is none. */
function parseCidr(raw: unknown): string | undefined {
  if (typeof raw !== "string") return undefined;
  const [, host, prefix] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(raw) ?? [];
  if (host === undefined || !isAddress(host)) return undefined;
  const address = ipaddr.parse(host);
  const width = address.kind() === "ipv4" ? 32 : 128;
  const bits = prefix === undefined ? width : Number(prefix);
  if (bits > width || !endsWithZeros(address.toByteArray(), bits)) return undefined;
  return `${address.toString()}/${bits}`;
}

const endsWithZeros = (bytes: readonly number[], bits: number) =>
  bytes.every((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, bits - i * 8)))) === 0);
