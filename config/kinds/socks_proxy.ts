import { type Kind, parsedKind } from "./kind.ts";
import { peerAddress } from "./peer_address.ts";

/** A SOCKS5 proxy (RFC 1928). */
export interface SocksProxyAddress {
  /** The URL without user and password: fit for metrics and the log. */
  readonly name: string;
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** What the proxy is told (RFC 1929); absent where the URL has none. */
  readonly credentials?: { readonly username: string; readonly password: string };
}

/** Bytes of UTF-8 that a user name or a password may have (RFC 1929, 2). */
const MAX_BYTES = 255;

/** A proxy as a URL. `socks5h` is the same: names are the proxy's to look up anyway. For secret fields, because of the password. */
export const socksProxy: Kind<SocksProxyAddress> = parsedKind({
  name: "socks5 url",
  expected: "a URL such as socks5://127.0.0.1:9050 or socks5://user:password@127.0.0.1:9050",
  parse: parseProxy,
  toYaml: ({ name, credentials }) =>
    credentials
      ? name.replace("//", () => `//${[credentials.username, credentials.password].map(encodeURIComponent).join(":")}@`)
      : name,
});

function parseProxy(raw: unknown): SocksProxyAddress | undefined {
  if (typeof raw !== "string") return undefined;
  const [, user, secret, server] = /^socks5h?:\/\/(?:([^\s:@/]+):([^\s:@/]+)@)?([^\s@/]+)\/?$/i.exec(raw) ?? [];
  const address = peerAddress.schema.safeParse(server);
  if (!address.success) return undefined;
  const colon = address.data.lastIndexOf(":");
  const proxy = {
    name: `socks5://${address.data}`,
    host: address.data.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
    port: Number(address.data.slice(colon + 1)),
  };
  if (user === undefined) return proxy;
  const username = decoded(user), password = decoded(secret!);
  return username === undefined || password === undefined
    ? undefined
    : { ...proxy, credentials: { username, password } };
}

function decoded(part: string): string | undefined {
  try {
    const text = decodeURIComponent(part);
    return new TextEncoder().encode(text).length <= MAX_BYTES ? text : undefined;
  } catch {
    return undefined;
  }
}
