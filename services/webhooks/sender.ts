import { type Egress, EgressFailure, type EgressFailureCode, type EgressResponse } from "../../src/contracts/egress.ts";
import { abortable } from "../clock/abortable.ts";
import type { Clock } from "../clock/clock.ts";
import type { EndpointRow } from "./endpoint_rows.ts";
import type { Keys } from "./keys.ts";
import { wishOf } from "./schedule.ts";
import { signedHeaders } from "./signing.ts";

/** What sending needs. */
export interface SenderParts {
  readonly egress: Pick<Egress, "fetch">;
  readonly keys: Keys;
  readonly clock: Clock;
  /** Milliseconds that a receiver has for the head of its answer. */
  readonly timeout: number;
  /** Told of an endpoint whose key cannot be opened. */
  readonly onError: (endpoint: string, error: unknown) => void;
}

/** What is sent. */
export interface Message {
  /** JSON. */
  readonly text: string;
  /** Of no other request. */
  readonly nonce: string;
}

/** How one request ended. */
export type Outcome =
  | { readonly kind: "delivered"; readonly status: number }
  /** To be tried again. @property wish milliseconds that the receiver asked for */
  | {
    readonly kind: "failed";
    readonly status: number | undefined;
    readonly error: string;
    readonly wish: number;
  }
  /** Nothing was sent, and never will be as things are. */
  | { readonly kind: "refused"; readonly error: string }
  /** The receiver wants nothing any more (RFC 9110, 15.5.11). */
  | { readonly kind: "gone"; readonly status: number; readonly error: string }
  /** No fault of the receiver's: it does not count. */
  | { readonly kind: "postponed"; readonly error: string };

/** Milliseconds that a receiver has for the body of its answer: nobody reads that. */
const DRAINING = 1_000;
/** Bytes of a body that are read, so that most receivers need not see a connection break. */
const DRAINED = 1_024;

const REFUSED: ReadonlySet<EgressFailureCode> = new Set([
  "EGRESS_REQUEST_INVALID",
  "EGRESS_ADDRESS_REFUSED",
  "EGRESS_TARGET_REFUSED",
]);
const OURS: ReadonlySet<EgressFailureCode> = new Set([
  "EGRESS_NOT_AVAILABLE",
  "EGRESS_BUSY",
  "EGRESS_PROXY_UNAVAILABLE",
  "EGRESS_UNAVAILABLE",
]);

/** Signs and sends one request at a time for whoever calls. */
export class Sender {
  constructor(private readonly parts: SenderParts) {}

  /** Never rejects. @param signal breaks it off: it is postponed then */
  async send(endpoint: EndpointRow, { text, nonce }: Message, signal: AbortSignal): Promise<Outcome> {
    const { clock, keys, timeout, onError } = this.parts;
    const now = clock.now();
    const body = new TextEncoder().encode(text);
    let headers;
    try {
      headers = await signedHeaders({ url: endpoint.url, body, nonce }, await keys.opened(endpoint, now), now);
    } catch (error) {
      onError(endpoint.id, error);
      return { kind: "postponed", error: "the webhook's key cannot be used: the operator of the gateway was told why" };
    }
    const late = new AbortController();
    const stop = clock.after(timeout, () => late.abort(), true);
    try {
      const either = AbortSignal.any([signal, late.signal]);
      const request = { method: "POST", url: endpoint.url, headers: [...headers, USER_AGENT], body };
      const response = await this.#fetch(endpoint.namespace, request, nonce, either);
      await this.#drain(response.body);
      return outcomeOf(response, clock.now());
    } catch (error) {
      if (late.signal.aborted) return failed(`no answer came within ${timeout / 1_000} seconds`);
      if (signal.aborted) return { kind: "postponed", error: "the gateway broke it off" };
      return this.#failureOf(endpoint.id, error);
    } finally {
      stop();
    }
  }

  /** A response that comes when nobody waits any more is thrown away. */
  async #fetch(
    namespace: string,
    request: Parameters<Egress["fetch"]>[1],
    requestId: string,
    signal: AbortSignal,
  ): Promise<EgressResponse> {
    const { egress, timeout } = this.parts;
    const options = { way: "configured", maxRedirects: 0, duration: timeout + DRAINING } as const;
    const sent = egress.fetch(namespace, request, options, { requestId, signal });
    try {
      return await abortable(sent, signal);
    } catch (error) {
      sent.then(({ body }) => body.cancel()).catch(() => {});
      throw error;
    }
  }

  async #drain(body: ReadableStream<Uint8Array>): Promise<void> {
    const enough = new AbortController();
    const stop = this.parts.clock.after(DRAINING, () => enough.abort(), true);
    const reader = body.getReader();
    try {
      for (let left = DRAINED; left > 0;) {
        const { done, value } = await abortable(reader.read(), enough.signal);
        if (done) return;
        left -= value.length;
      }
    } catch {
      // The answer was in the head.
    } finally {
      stop();
      // A body that cannot even be cancelled holds nobody up.
      reader.cancel().catch(() => {});
    }
  }

  #failureOf(endpoint: string, error: unknown): Outcome {
    if (!(error instanceof EgressFailure)) {
      this.parts.onError(endpoint, error);
      return { kind: "postponed", error: "the gateway failed; its log says why" };
    }
    const { code, message } = error;
    if (REFUSED.has(code)) return { kind: "refused", error: message };
    return OURS.has(code) ? { kind: "postponed", error: message } : failed(message);
  }
}

const USER_AGENT = ["user-agent", "orama-gateway-webhooks/1"] as const;

const failed = (error: string): Outcome => ({ kind: "failed", status: undefined, error, wish: 0 });

function outcomeOf({ status, headers }: EgressResponse, now: number): Outcome {
  if (status >= 200 && status < 300) return { kind: "delivered", status };
  if (status === 410) return { kind: "gone", status, error: "the receiver answered 410: it wants nothing any more" };
  const [, wished] = headers.find(([name]) => name.toLowerCase() === "retry-after") ?? [];
  const error = status >= 300 && status < 400
    ? `the receiver answered ${status}: redirects are not followed`
    : `the receiver answered ${status}`;
  return { kind: "failed", status, error, wish: wishOf(wished, now) };
}
