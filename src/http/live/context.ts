import type { PubSubCaller } from "../../contracts/pubsub.ts";
import type { RequestContext } from "../../contracts/request.ts";

/** What a connection that stays open, or a request that publishes, hands to services. Its signal fires when the connection ends. */
export class LiveContext implements RequestContext {
  readonly requestId: string;
  readonly traceparent: string | undefined;
  readonly clientAddress: string;
  #controller: AbortController | undefined;
  #ended = false;

  /** @param request that began it */
  constructor(request: Omit<RequestContext, "signal">) {
    this.requestId = request.requestId;
    this.traceparent = request.traceparent;
    this.clientAddress = request.clientAddress;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#ended) this.#abort();
    }
    return this.#controller.signal;
  }

  /** The same in the name of whoever it is of now, whom limits and idempotency keys are counted for. */
  as({ caller, isGuest }: PubSubCaller): RequestContext & PubSubCaller {
    const { requestId, traceparent, clientAddress } = this;
    const signal = () => this.signal;
    return {
      requestId,
      traceparent,
      clientAddress,
      caller,
      isGuest,
      get signal() {
        return signal();
      },
    };
  }

  /** The connection has ended. */
  end(): void {
    this.#ended = true;
    this.#abort();
  }

  #abort(): void {
    this.#controller?.abort(new DOMException("the client left", "AbortError"));
  }
}
