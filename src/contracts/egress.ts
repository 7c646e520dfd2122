import type { ServiceHealth } from "./health.ts";
import type { RequestContext } from "./request.ts";

/**
 * Why a request was not sent, or what it got could not be had. The first group was refused before anything left this machine; of the
 * second the server may have got the request.
 */
export const EGRESS_FAILURES = [
  /** Outbound HTTP is switched off on this gateway. */
  "EGRESS_NOT_AVAILABLE",
  /** The URL, a header or the method is none that can be sent. */
  "EGRESS_REQUEST_INVALID",
  /** The address is private, local, reserved, or one of the back end's own. */
  "EGRESS_ADDRESS_REFUSED",
  /** The host, port or method is not among those that may be used. */
  "EGRESS_TARGET_REFUSED",
  /** As many requests of the namespace are under way as may be. */
  "EGRESS_BUSY",
  /** There is no such name, or nobody can say. */
  "EGRESS_NAME_NOT_FOUND",
  /** No anonymous proxy can be reached, and nothing is ever sent past them. */
  "EGRESS_PROXY_UNAVAILABLE",
  /** The process that sends requests is not there. */
  "EGRESS_UNAVAILABLE",
  /** Nobody answers at the address, or the exit of the proxy reaches nobody. */
  "EGRESS_UNREACHABLE",
  /** The server's certificate is not its own, has expired, or nobody that is trusted signed it. */
  "EGRESS_TLS_FAILED",

  /** What came back is no HTTP, or less than was announced. */
  "EGRESS_RESPONSE_INVALID",
  "EGRESS_RESPONSE_TOO_LARGE",
  "EGRESS_TOO_MANY_REDIRECTS",
  "EGRESS_TIMEOUT",
] as const;

/** The stable name of a failure; see {@link EGRESS_FAILURES}. */
export type EgressFailureCode = typeof EGRESS_FAILURES[number];

/** There is no response, or none that is whole. */
export class EgressFailure extends Error {
  override readonly name = "EgressFailure";

  /**
   * @param message for whoever wanted the request to be sent: it says what to do, and nothing of what is inside
   * @param cause for the log alone
   */
  constructor(readonly code: EgressFailureCode, message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** Names and values in the order in which they stand; a name may come twice. */
export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** A request that a namespace wants to be sent. */
export interface EgressRequest {
  /** A token of RFC 9110, 5.6.2, in any letter case. */
  readonly method: string;
  /** As it was written: what is wrong with it is said by an {@link EgressFailure}. */
  readonly url: string;
  /** Those that concern one connection alone, or tell who sends, are left out (RFC 9110, 7.6.1). */
  readonly headers: HeaderPairs;
  /** A stream cannot be sent twice: a redirect that would is answered as it is. */
  readonly body: Uint8Array | ReadableStream<Uint8Array> | undefined;
  /**
   * Bytes of a stream, where they are known: the server is told them, and a stream of fewer or more fails with `EGRESS_REQUEST_INVALID`
   * before the server can take it for whole. Default: the body is sent in chunks.
   */
  readonly length?: number | undefined;
}

/** How a request is sent, beside what holds for its namespace. */
export interface EgressOptions {
  /** `configured`: as this gateway sends requests. `anonymous`: through an anonymous proxy, or not at all. */
  readonly way: "configured" | "anonymous";
  /** Whether both bodies pass through and none is held: the namespace's limits of streams hold then. */
  readonly streamed?: boolean | undefined;
  /** Redirects that are followed, never above what the namespace may; default: that. With 0 a redirect is answered as it is. */
  readonly maxRedirects?: number | undefined;
  /** Bytes of the body of the response, never above what the namespace may; default: that. */
  readonly maxResponseBytes?: number | undefined;
  /** Milliseconds until the end of the body, never above what the namespace may; default: that. */
  readonly duration?: number | undefined;
}

/** What came back: of several, the response to the last redirect. */
export interface EgressResponse {
  readonly status: number;
  /** As the server wrote them, but for those that concern the connection alone. */
  readonly headers: HeaderPairs;
  /**
   * As the server encoded it: nothing is unpacked. It must be read to its end, or cancelled. Errors with an {@link EgressFailure}
   * when it is cut short, too large or too slow.
   */
  readonly body: ReadableStream<Uint8Array>;
}

/** What metrics say of outbound requests. */
export interface EgressFigures {
  /** Requests whose response has not been read to its end. */
  readonly inFlight: number;
  /** By URL without a password: whether the last handshake succeeded, and how many milliseconds it took. */
  readonly proxies: readonly {
    readonly name: string;
    readonly healthy: boolean;
    readonly latency: number | undefined;
  }[];
  /** What of the system's own rights keeps the processes from inner addresses, beside the checks. */
  readonly confinement: Readonly<Record<"direct" | "anonymous", boolean>>;
}

/** Memory for bodies of one request that are held whole. */
export interface EgressRoom {
  /** Takes so many bytes more. @returns whether there was room for them; where not, none was taken */
  take(bytes: number): boolean;
  /** Gives back so many of those that were taken. */
  give(bytes: number): void;
  /** Gives back all, and takes no more. To be called again does nothing. */
  leave(): void;
}

/** Everything that leaves this machine by a namespace's wish. */
export interface Egress {
  /**
   * Sends a request in the name of a namespace, and follows what it is redirected to, checking each step as the first.
   * @throws EgressFailure, and the signal's reason
   */
  fetch(namespace: string, request: EgressRequest, options: EgressOptions, context: EgressContext): Promise<
    EgressResponse
  >;
  /**
   * Room for bodies that are held whole, which all namespaces share: of each there is no more than a part of it.
   * @param least bytes that are taken at once
   * @throws EgressFailure `EGRESS_BUSY`
   */
  room(namespace: string, least: number): EgressRoom;
  figures(): EgressFigures;
  health(): Promise<ServiceHealth>;
}

/** What of a request's context a request outwards needs. */
export type EgressContext = Pick<RequestContext, "requestId" | "signal">;
