import ipaddr from "ipaddr.js";
import { type Kind, parsedKind } from "./kind.ts";

/** Where a server listens. */
export interface ListenAddress {
  /** A host name or an address; an IPv6 address without brackets. */
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z\d]([a-z\d-]{0,61}[a-z\d])?(\.[a-z\d]([a-z\d-]{0,61}[a-z\d])?)*$/i;

/**
 * `host:port`, `[::1]:6001`; `:6001` is every IPv4 interface. A bare port is the loopback address: who leaves the
 * interface out must not open the gateway to the network by that.
 */
export const listenAddress: Kind<ListenAddress> = parsedKind({
  name: "address",
  expected: "an address to listen on: host:port, [::1]:6001, :6001 for every interface, or a port for loopback only",
  parse: parseListenAddress,
  toYaml: formatListenAddress,
});

/** Takes an address apart; `undefined` when it is none. */
function parseListenAddress(raw: unknown): ListenAddress | undefined {
  if (typeof raw === "number") return listenOn("127.0.0.1", String(raw));
  if (typeof raw !== "string") return undefined;
  if (/^\d+$/.test(raw)) return listenOn("127.0.0.1", raw);
  const [, v6, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)$/.exec(raw) ?? [];
  if (port === undefined) return undefined;
  if (v6 !== undefined) return ipaddr.IPv6.isValid(v6) && !v6.includes("%") ? listenOn(v6, port) : undefined;
  return name === "" ? listenOn("0.0.0.0", port) : isHost(name!) ? listenOn(name!, port) : undefined;
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatListenAddress({ hostname, port }: ListenAddress): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

const listenOn = (hostname: string, port: string): ListenAddress | undefined =>
  /^\d{1,5}$/.test(port) && Number(port) <= 65_535 ? { hostname, port: Number(port) } : undefined;

const isHost = (name: string) =>
  /^[\d.]+$/.test(name) ? ipaddr.IPv4.isValidFourPartDecimal(name) && !/(^|\.)0\d/.test(name) : HOST_NAME.test(name);
