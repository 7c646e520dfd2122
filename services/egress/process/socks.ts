import type { Socket } from "node:net";
import { HopFailure, type SocksProxy } from "../parts.ts";
import { connectTimeout, proxyFailed } from "./failures.ts";
import { dial, readExactly, type TimeLeft, type Wait } from "./sockets.ts";

/** Who asks a proxy (RFC 1929): proxies keep the streams of one apart from those of another. */
export interface SocksCredentials {
  /** From 1 to 255 bytes, as {@link password}. */
  readonly username: string;
  readonly password: string;
}

/** Versions of the protocol (RFC 1928) and of the negotiation within it (RFC 1929). */
const SOCKS5 = 5, NEGOTIATION = 1;
/** RFC 1928, 3. */
const METHODS = { none: 0, password: 2, noneAcceptable: 0xff } as const;
const CONNECT = 1;
/** RFC 1928, 5. */
const ADDRESS = { ipv4: 1, name: 3, ipv6: 4 } as const;

/** RFC 1928, 6. */
const REPLIES: Readonly<Record<number, string>> = {
  1: "The anonymous proxy's exit could not reach the server.",
  2: "The anonymous proxy does not allow a connection to the server.",
  3: "No network leads from the anonymous proxy's exit to the server.",
  4: "The anonymous proxy's exit cannot find or reach the server.",
  5: "The server refuses connections from the anonymous proxy's exit.",
  6: "The way from the anonymous proxy's exit to the server is too long.",
  7: "The anonymous proxy makes no connections.",
  8: "The anonymous proxy does not know this kind of address.",
};

const encoder = new TextEncoder();

/**
 * Connects to a proxy and shakes hands (RFC 1928, 3; RFC 1929).
 * @throws HopFailure `EGRESS_PROXY_UNAVAILABLE`, and the signal's reason
 */
export async function greet(
  proxy: SocksProxy,
  credentials: SocksCredentials,
  left: TimeLeft,
  signal: AbortSignal,
): Promise<Socket> {
  const wait = (): Wait => ({ ms: left.ms, late: () => proxyFailed("does not answer"), signal });
  const user = prefixed(credentials.username), password = prefixed(credentials.password);
  let socket: Socket | undefined;
  try {
    socket = await dial(proxy.host, proxy.port, wait());
    socket.write(Uint8Array.of(SOCKS5, 2, METHODS.password, METHODS.none));
    const [version, method] = await readExactly(socket, 2, wait());
    if (version !== SOCKS5) throw proxyFailed("is no SOCKS5 proxy");
    if (method === METHODS.noneAcceptable) throw proxyFailed("accepts neither a password nor none");
    if (method === METHODS.none) return socket;
    if (method !== METHODS.password) throw proxyFailed("wants what it was not offered");
    socket.write(Uint8Array.of(NEGOTIATION, ...user, ...password));
    const [negotiation, status] = await readExactly(socket, 2, wait());
    if (negotiation !== NEGOTIATION) throw proxyFailed("is no SOCKS5 proxy");
    if (status !== 0) throw proxyFailed("does not accept the password");
    return socket;
  } catch (error) {
    socket?.destroy();
    if (error instanceof HopFailure || signal.aborted) throw error;
    throw proxyFailed(socket ? "ended the handshake" : "cannot be reached", error);
  }
}

/**
 * Connects to a server through a proxy, which is told the name, also where it is an address (RFC 1928, 4): nothing is resolved here.
 * What the proxy sends after its reply is the server's.
 * @throws HopFailure, and the signal's reason
 */
export async function connectThrough(
  proxy: SocksProxy,
  credentials: SocksCredentials,
  host: string,
  port: number,
  left: TimeLeft,
  signal: AbortSignal,
): Promise<Socket> {
  const name = prefixed(host);
  const socket = await greet(proxy, credentials, left, signal);
  const wait = (): Wait => ({ ms: left.ms, late: connectTimeout, signal });
  try {
    socket.write(Uint8Array.of(SOCKS5, CONNECT, 0, ADDRESS.name, ...name, port >> 8, port & 0xff));
    const [version, reply, , kind] = await readExactly(socket, 4, wait());
    if (version !== SOCKS5) throw proxyFailed("is no SOCKS5 proxy");
    if (reply !== 0) {
      throw new HopFailure("EGRESS_UNREACHABLE", REPLIES[reply!] ?? REPLIES[1]!, `reply ${reply} of the proxy`);
    }
    const length = kind === ADDRESS.ipv4
      ? 4
      : kind === ADDRESS.ipv6
      ? 16
      : kind === ADDRESS.name
      ? (await readExactly(socket, 1, wait()))[0]!
      : undefined;
    if (length === undefined) throw proxyFailed("answers with no kind of address");
    await readExactly(socket, length + 2, wait());
    return socket;
  } catch (error) {
    socket.destroy();
    if (error instanceof HopFailure || signal.aborted) throw error;
    // It has let this client in, and so does its part; for this server it does not, as where it does not allow the port.
    throw new HopFailure("EGRESS_UNREACHABLE", "The anonymous proxy ended the connection to the server.", error);
  }
}

/** A text after its length. @throws HopFailure when the protocol cannot say it */
function prefixed(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  if (bytes.length < 1 || bytes.length > 255) {
    throw new HopFailure("EGRESS_UNREACHABLE", "The name is none that an anonymous proxy can be told.");
  }
  const whole = new Uint8Array(1 + bytes.length);
  whole[0] = bytes.length;
  whole.set(bytes, 1);
  return whole;
}
