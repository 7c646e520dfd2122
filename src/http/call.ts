import type { Context } from "hono";
import type { Principal } from "../contracts/identity.ts";
import type { Observed } from "../contracts/observation.ts";
import type { RequestContext } from "../contracts/request.ts";
import type { SocketGuard } from "../kernel/socket_guard.ts";
import type { Route } from "./route.ts";
import type { StreamedBody } from "./streaming_body.ts";

/** What the server knows about requests in general; one value for all calls. */
export interface ServerFacts {
  /** Aborted when a shutdown has run out of patience. */
  readonly shutdown: AbortSignal;
  /** Aborted when a shutdown begins to wait for what runs: what would run for ever ends now. */
  readonly stopping: AbortSignal;
  /** Looks after WebSockets by way of the system, and the port that they come to; absent where that cannot be asked. */
  readonly sockets?: { readonly guard: SocketGuard; readonly port: () => number } | undefined;
  /** The client's address: the socket's, or what a configured proxy says. */
  readonly addressOf: (http: Context) => string;
}

/** What calls ask of the request path around them. */
export interface CallFacts extends ServerFacts {
  /** Finds out anew who is calling, and whether they may. */
  readonly admit: Middleware;
}

/** One request on its way. Middlewares fill it in, the handler reads it, services get it as their request context. */
export class Call<Body = unknown, Query = unknown, Params = unknown> implements RequestContext, Observed {
  body!: Body;
  /** The bytes that {@link body} was read from: for what must be kept exactly as it came. */
  source!: Uint8Array;
  query!: Query;
  params!: Params;
  /** Of a route with `rawBody`. */
  upload!: StreamedBody;
  /** Who is calling, if the credential was good. Handlers of routes that are not public use {@link principal}. */
  caller: Principal | undefined = undefined;
  /** Whether a credential came with the request and was refused: the answer is then another one than for none at all. */
  credentialRefused = false;
  /** Headers of the response that the request path adds, such as those of the rate limit. */
  headers: Record<string, string> | undefined = undefined;
  traceparent: string | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;
  #address: string | undefined = undefined;

  constructor(
    readonly http: Context,
    readonly route: Route,
    readonly requestId: string,
    private readonly facts: CallFacts,
  ) {}

  /** The request's headers, as they came. */
  get incoming(): Headers {
    return this.http.req.raw.headers;
  }

  /** Who is calling. Only a public route can meet nobody. */
  get principal(): Principal {
    if (!this.caller) throw new Error(`${this.route.path} asked for a principal that its access does not promise`);
    return this.caller;
  }

  get method(): string {
    return this.http.req.raw.method;
  }

  get template(): string {
    return this.route.path;
  }

  get path(): string {
    return this.http.req.path;
  }

  get quiet(): boolean {
    return this.route.quiet === true;
  }

  get signal(): AbortSignal {
    return this.#signal ??= AbortSignal.any([this.http.req.raw.signal, this.facts.shutdown]);
  }

  /** Fires when the gateway begins to stop. */
  get stopping(): AbortSignal {
    return this.facts.stopping;
  }

  /**
   * Holds the caller against the route once more: an answer may go on for longer than a right.
   * @throws GatewayError as when the call came in
   */
  async admit(): Promise<void> {
    await this.facts.admit(this);
  }

  get clientAddress(): string {
    return this.#address ??= this.facts.addressOf(this.http);
  }

  /** Takes down what the server tells for only as long as the client is there: whoever has to wait may outlast it. */
  keepAddress(): void {
    void this.clientAddress;
  }
}

/** One step of the request path: it lets the call pass by returning and ends it by throwing. Steps that need not wait return nothing. */
export type Middleware = (call: Call) => void | Promise<void>;
