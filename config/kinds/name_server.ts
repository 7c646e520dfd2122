import ipaddr from "ipaddr.js";
import { isAddress } from "./ip_address.ts";
import { type Kind, parsedKind } from "./kind.ts";

/** A server that is asked for the addresses of names. */
export interface NameServerAddress {
  /** An address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where names are asked for (RFC 1035): an address, with a port where it is not 53. Not a name, which would have to be asked for. */
export const nameServer: Kind<NameServerAddress> = parsedKind({
  name: "name server",
  expected: "the address of a name server, such as 9.9.9.9, 10.0.0.1:5353, fd00::53 or [fd00::53]:5353",
  parse: parseNameServer,
  toYaml: ({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`,
});

function parseNameServer(raw: unknown): NameServerAddress | undefined {
  if (typeof raw !== "string") return undefined;
  if (isAddress(raw)) return { host: ipaddr.parse(raw).toString(), port: 53 };
  const [, v6, v4, digits] = /^(?:\[([\da-f:.]+)\]|([\d.]+)):([1-9]\d{0,4})$/i.exec(raw) ?? [];
  const host = v6 ?? v4;
  if (host === undefined || host.includes(":") !== (v6 !== undefined) || !isAddress(host)) return undefined;
  const port = Number(digits);
  return port <= 65_535 ? { host: ipaddr.parse(host).toString(), port } : undefined;
}
