import { type ClientOptions, createClient, createStorage, type Storage } from "../../../../src/client/index.ts";
import type { ClientClock } from "../../../../src/client/clock.ts";

/** A request that never reached a network. */
export interface FetchedRequest {
  readonly method: string;
  /** From the host on. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: BodyInit | null | undefined;
  readonly signal: AbortSignal;
}

/** Answers in place of a network. */
export type Network = (request: FetchedRequest, count: number) => Response | Promise<Response>;

/** Options of a client whose network is a function. @param seen gets each request */
export function networkOptions(network: Network, seen: FetchedRequest[] = []): ClientOptions {
  return {
    url: "http://gateway.test",
    apiKey: "ak_secret:test",
    retry: { firstPause: 1 },
    random: () => 0.5,
    fetch: async (url, init) => {
      const request: FetchedRequest = {
        method: init.method ?? "GET",
        path: url.slice("http://gateway.test".length),
        headers: new Headers(init.headers),
        body: init.body,
        signal: init.signal!,
      };
      return await network(request, seen.push(request));
    },
  };
}

/** A storage behind such a network. */
export const storageAt = (network: Network, seen?: FetchedRequest[]): Storage =>
  createStorage(createClient(networkOptions(network, seen)));

/** What a signal ends. */
export const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });

/** An answer with JSON. */
export const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });

/** The gateway's form of an error. */
export const refusal = (
  status: number,
  code: string,
  headers?: Readonly<Record<string, string>>,
  details?: unknown,
): Response => json(status, { error: `it is ${code}`, code, request_id: "r-1", status, details }, headers);

/** A clock on which nobody waits, and that remembers for how long it would have been. */
export class NoWaiting implements ClientClock {
  readonly pauses: number[] = [];
  /** What would be called back. */
  readonly timers = new Set<() => void>();

  pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.pauses.push(milliseconds);
    return Promise.resolve();
  }

  after(_milliseconds: number, run: () => void): () => void {
    this.timers.add(run);
    return () => this.timers.delete(run);
  }

  random(): number {
    return 0;
  }
}

/** Bytes that tell where they stand. */
export const bytesOf = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, (_, at) => at % 251);

/** A stream of bytes in pieces, each made when it is asked for. */
export class Source {
  pulls = 0;
  cancelled: { readonly reason: unknown } | undefined;
  readonly stream: ReadableStream<Uint8Array>;

  /** @param end what comes behind the bytes: nothing, an error, or no end at all */
  constructor(bytes: Uint8Array, piece: number, end: { readonly error: unknown } | "endless" | undefined = undefined) {
    let at = 0;
    this.stream = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        this.pulls++;
        if (at < bytes.length) return controller.enqueue(bytes.slice(at, at += piece));
        if (end === "endless") return new Promise<void>(() => {});
        if (end) controller.error(end.error);
        else controller.close();
      },
      cancel: (reason) => {
        this.cancelled = { reason };
      },
    }, { highWaterMark: 0 });
  }
}
