import type { EgressFailureCode, HeaderPairs } from "../../src/contracts/egress.ts";

// The seams between the parts of this folder: who decides (service), who looks at addresses (targets), who sends (link, process).

/** A server, as a URL names it. */
export interface Target {
  readonly scheme: "http" | "https";
  /** A name in lower case and ASCII without a dot at its end, or an address in its only spelling, IPv6 without brackets. */
  readonly host: string;
  /** What {@link host} is. */
  readonly kind: "name" | "ipv4" | "ipv6";
  readonly port: number;
  /** Path and query, beginning with `/`. */
  readonly path: string;
}

/** A SOCKS5 proxy (RFC 1928). */
export interface SocksProxy {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** How a server is reached. */
export type Way =
  /** At the first of these addresses that answers. All were checked; the process checks them again. */
  | { readonly kind: "direct"; readonly addresses: readonly string[] }
  /** Through a proxy, which is told the name. Streams with other credentials share no circuit (RFC 1929; tor(1), IsolateSOCKSAuth). */
  | { readonly kind: "socks"; readonly proxy: SocksProxy; readonly username: string; readonly password: string };

/** What one exchange may take. */
export interface HopBounds {
  /** Milliseconds until the connection stands, TLS and the proxy's answer included. */
  readonly connect: number;
  /** Milliseconds from then, or from the request's last byte, until the head of the response is there. */
  readonly head: number;
  /** Milliseconds between two bytes of a body, in either direction. */
  readonly idle: number;
  /** Bytes of the head of the response. */
  readonly headBytes: number;
}

/** One exchange with one server: nothing is resolved, and no redirect followed. */
export interface Hop {
  readonly target: Target;
  readonly way: Way;
  readonly method: string;
  /** Ready to be sent; `Host`, `Content-Length`, `Transfer-Encoding` and `Connection` are not among them. */
  readonly headers: HeaderPairs;
  readonly body: Uint8Array | ReadableStream<Uint8Array> | undefined;
  /** Bytes that a stream has for certain; `undefined` where nobody knows, and of what is no stream. */
  readonly length?: number | undefined;
  readonly bounds: HopBounds;
}

/** What came of it. */
export interface HopResponse {
  readonly status: number;
  readonly headers: HeaderPairs;
  /** Errors with a {@link HopFailure}. Cancelling it ends the connection. */
  readonly body: ReadableStream<Uint8Array>;
}

/** What a process that sends can say went wrong. */
export type HopFailureCode = Extract<
  EgressFailureCode,
  | "EGRESS_ADDRESS_REFUSED"
  | "EGRESS_PROXY_UNAVAILABLE"
  | "EGRESS_UNAVAILABLE"
  | "EGRESS_UNREACHABLE"
  | "EGRESS_TLS_FAILED"
  | "EGRESS_RESPONSE_INVALID"
  | "EGRESS_TIMEOUT"
>;

/** There is no response, or none that is whole. */
export class HopFailure extends Error {
  override readonly name = "HopFailure";

  /** @param message a whole sentence for whoever wanted the request; nothing of the machine is in it. @param cause for the log alone */
  constructor(readonly code: HopFailureCode, message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** Sends. In another process, which can reach nothing else than it must. */
export interface Hops {
  /** @throws HopFailure, and the signal's reason; the signal ends the body as well */
  send(hop: Hop, signal: AbortSignal): Promise<HopResponse>;
  /**
   * Shakes hands with a proxy (RFC 1928, 3), and goes.
   * @param credentials that are offered
   * @returns milliseconds that it took
   * @throws HopFailure, and the signal's reason
   */
  probe(
    proxy: SocksProxy,
    credentials: { readonly username: string; readonly password: string },
    signal: AbortSignal,
  ): Promise<number>;
  /** Whether the system itself keeps the process from everything else, by the rights that it was started with. */
  readonly confined: boolean;
  close(): Promise<void>;
}
