import type { CallScope } from "../parts.ts";

/** A request that a function wants to be sent. */
export interface OutboundRequest {
  /** As the function wrote it: a token of RFC 9110, 5.6.2. */
  readonly method: string;
  /** `http:` or `https:`, without user and password. */
  readonly url: URL;
  /** Names are tokens, values have no control characters; which of them may be sent is for whoever sends it. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** What came back. */
export interface OutboundResponse {
  readonly status: number;
  /** Each with its values, in the order in which they came. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly body: Uint8Array;
}

/** Why there is no response, or none that is whole, in words for whoever wrote the function. */
export class OutboundFailure extends Error {
  override readonly name = "OutboundFailure";

  /**
   * @param code a stable name, such as `EGRESS_NOT_AVAILABLE`
   * @param status of a response whose body could not be had; 0 where there was none
   */
  constructor(readonly code: string, message: string, readonly status = 0) {
    super(message);
  }
}

/** Sends requests of functions to elsewhere, as far as they may be sent there. */
export interface OutboundHttp {
  /**
   * Sends one, in the name of a namespace.
   * @param most bytes that the body of the response may have; a longer one is not read to its end
   * @throws OutboundFailure, and the signal's reason
   */
  fetch(request: OutboundRequest, most: number, scope: CallScope): Promise<OutboundResponse>;
}

/** What a gateway has that sends nothing anywhere. */
export const NO_OUTBOUND_HTTP: OutboundHttp = {
  fetch: () =>
    Promise.reject(new OutboundFailure("EGRESS_NOT_AVAILABLE", "outbound HTTP is not configured on this gateway")),
};
