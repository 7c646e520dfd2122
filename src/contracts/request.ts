/** What every service call carries from the request that caused it: hand it down whole. */
export interface RequestContext {
  /** In every log line and error of this request. */
  readonly requestId: string;
  /**
   * Fires when the client leaves, the deadline passes or the gateway shuts down. Made when first read, because making it
   * halves the throughput of `Deno.serve`: a driver that waits for nothing leaves it alone.
   */
  readonly signal: AbortSignal;
  /** W3C trace context to continue towards a back end (`traceparent`), when the request belongs to a trace. */
  readonly traceparent?: string | undefined;
  /** The client's network address, as far as it can be trusted. Read only where it is needed: it costs a call. */
  readonly clientAddress: string;
}
