import type { CallOptions } from "../http.ts";
import type { RetryPolicy } from "../retry.ts";

/** What a request may carry, as `fetch` takes it. A stream is sent as it comes, once. */
export type ProxyBody =
  | Blob
  | Uint8Array
  | ArrayBuffer
  | string
  | URLSearchParams
  | FormData
  | ReadableStream<Uint8Array>;

/** A request through the proxy, as `fetch` takes it. */
export interface ProxyInit extends CallOptions {
  /** In any letter case. Default `GET`. */
  readonly method?: string | undefined;
  /**
   * For the server, also those that pages may not send by `fetch`, such as `Cookie` and `User-Agent`. What concerns one connection
   * alone, or tells who sends, the gateway leaves out.
   */
  readonly headers?: HeadersInit | undefined;
  /** With its media type, unless `headers` have one. None with `GET` and `HEAD`. */
  readonly body?: ProxyBody | null | undefined;
  /**
   * Milliseconds until the answer begins, with all repetitions. Of a stream they begin anew with each piece that is taken, and behind
   * the last one there are as many more as its bytes take at 64 KiB a second, as there are for a body that is there. Default 60,000.
   */
  readonly requestTimeout?: number | undefined;
}

/** How requests are made, where nothing else is said. These are the proxy's own: those of the client hold for its other parts. */
export interface ProxyOptions {
  /** Milliseconds; see {@link ProxyInit}. Default 60,000. */
  readonly requestTimeout?: number | undefined;
  /** When a request is made again of which the gateway says that nothing was sent. */
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** By which the gateway is called, in place of the platform's own. */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** From 0 to 1, in place of `Math.random`. */
  readonly random?: (() => number) | undefined;
}
