import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** How requests to an endpoint are signed (RFC 9421, 3.3.3 and 3.3.6). */
export const WEBHOOK_ALGORITHMS = ["hmac-sha256", "ed25519"] as const;
/** One of {@link WEBHOOK_ALGORITHMS}. */
export type WebhookAlgorithm = typeof WEBHOOK_ALGORITHMS[number];

/** What a delivery can have come to: it waits for its next try, was taken by the receiver, or was given up. */
export const WEBHOOK_STATES = ["waiting", "delivered", "dead"] as const;
/** One of {@link WEBHOOK_STATES}. */
export type WebhookState = typeof WEBHOOK_STATES[number];

/** A key that signs, without what is secret of it. */
export interface WebhookKey {
  /** The `keyid` of signatures, `whk_…`. */
  readonly id: string;
  /** `whpk_` and the 32 bytes of RFC 8032 in base64url, of a key of `ed25519`. */
  readonly publicKey: string | undefined;
  /** Unix milliseconds at which an older key ceases to sign beside the newest; `undefined` of the newest. */
  readonly until: number | undefined;
}

/** An address that is told of events of its namespace. */
export interface WebhookEndpoint {
  /** `whe_…`; never given twice. */
  readonly id: string;
  readonly url: string;
  /** Types of events, such as `function.failed`; `*` at the end, behind a dot or alone, stands for all that begin so. */
  readonly events: readonly string[];
  readonly description: string;
  readonly enabled: boolean;
  /** Why the gateway switched it off: a public sentence. */
  readonly disabledReason: string | undefined;
  readonly algorithm: WebhookAlgorithm;
  /** The newest first. */
  readonly keys: readonly WebhookKey[];
  readonly createdAt: number;
  readonly createdBy: string;
  readonly updatedAt: number;
}

/** An endpoint, and the one moment at which its secret can be seen. */
export interface WebhookSecret {
  readonly endpoint: WebhookEndpoint;
  /** `whsec_` and 32 bytes in base64url; `undefined` for `ed25519`, whose private half nobody sees. */
  readonly secret: string | undefined;
}

/** What of an endpoint its owner says. */
export interface WebhookWanted {
  readonly url: string;
  readonly events: readonly string[];
  readonly description: string;
  readonly enabled: boolean;
}

/** An event on its way to one endpoint. */
export interface WebhookDelivery {
  /** `whd_…` */
  readonly id: string;
  readonly eventId: string;
  readonly type: string;
  readonly state: WebhookState;
  /** Tries that counted, since it was made or sent anew. */
  readonly tries: number;
  readonly createdAt: number;
  /** When it is tried next at the earliest, of one that waits. */
  readonly dueAt: number | undefined;
  readonly last: WebhookTry | undefined;
}

/** How a try ended. */
export interface WebhookTry {
  readonly at: number;
  /** Of the response, where there was one. */
  readonly status: number | undefined;
  /** A public sentence; `undefined` where it was taken. */
  readonly error: string | undefined;
}

/** How a test ended. */
export interface WebhookTrial {
  readonly delivered: boolean;
  readonly status: number | undefined;
  readonly error: string | undefined;
  /** Milliseconds. */
  readonly duration: number;
}

/** Something that happened in a namespace. */
export interface WebhookEvent {
  /** The same id is delivered to an endpoint once, however often it is published while it is known. Default: one by chance. */
  readonly id?: string | undefined;
  /** Words with dots between them, such as `function.failed`. */
  readonly type: string;
  /** Any JSON. */
  readonly data: unknown;
}

/** What became of a published event. */
export interface WebhookPublication {
  readonly id: string;
  /** Endpoints that it will be sent to, because of this call. */
  readonly queued: number;
  /** Endpoints that wanted it, and for which too much waits. */
  readonly dropped: number;
}

/** Which part of the deliveries of an endpoint. */
export interface WebhookDeliveryQuery {
  readonly state?: WebhookState | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

/**
 * Tells endpoints of namespaces what happens there. What belongs to another namespace is not found. Every method throws GatewayError
 * `UNAVAILABLE`, and those that change something `OUTCOME_UNKNOWN` and `CONFLICT` for a namespace that is being deleted.
 */
export interface Webhooks {
  /** Oldest first. */
  list(namespace: string, context: RequestContext): Promise<readonly WebhookEndpoint[]>;
  /** @throws GatewayError `NOT_FOUND` */
  get(namespace: string, id: string, context: RequestContext): Promise<WebhookEndpoint>;
  /** @throws GatewayError `INVALID_REQUEST`, `QUOTA_EXCEEDED` */
  create(
    principal: Principal,
    wanted: WebhookWanted & { readonly algorithm: WebhookAlgorithm },
    context: RequestContext,
  ): Promise<WebhookSecret>;
  /** What is `undefined` stays as it is. @throws GatewayError `NOT_FOUND`, `INVALID_REQUEST` */
  change(
    principal: Principal,
    id: string,
    changes: { readonly [Name in keyof WebhookWanted]?: WebhookWanted[Name] | undefined },
    context: RequestContext,
  ): Promise<WebhookEndpoint>;
  /** Its deliveries go with it. @throws GatewayError `NOT_FOUND` */
  delete(principal: Principal, id: string, context: RequestContext): Promise<void>;
  /** Makes a new key; the one before signs beside it for 24 hours. @throws GatewayError `NOT_FOUND`, `CONFLICT` */
  rotate(principal: Principal, id: string, context: RequestContext): Promise<WebhookSecret>;
  /** Sends `webhook.test` now, once, whether the endpoint is enabled or not. @throws GatewayError `NOT_FOUND`, `RATE_LIMITED` */
  test(namespace: string, id: string, context: RequestContext): Promise<WebhookTrial>;
  /** Newest first. @throws GatewayError `NOT_FOUND`, `INVALID_REQUEST` for a cursor that no page gave */
  deliveries(
    namespace: string,
    id: string,
    query: WebhookDeliveryQuery,
    context: RequestContext,
  ): Promise<{ readonly items: readonly WebhookDelivery[]; readonly next?: string | undefined }>;
  /** Tries a dead delivery again, as if it were new. @throws GatewayError `NOT_FOUND`, `CONFLICT`, `QUOTA_EXCEEDED` */
  redeliver(principal: Principal, id: string, delivery: string, context: RequestContext): Promise<WebhookDelivery>;
  /**
   * Writes down an event for each endpoint that wants it; they are told later, each at least once.
   * @throws GatewayError `INVALID_REQUEST`, `BODY_TOO_LARGE`
   */
  publish(
    namespace: string,
    event: WebhookEvent,
    context: Pick<RequestContext, "signal">,
  ): Promise<WebhookPublication>;
}

/** What metrics say of webhooks. */
export interface WebhookFigures {
  /** Tries of this gateway, by how they ended. */
  readonly tries: Readonly<Record<"delivered" | "failed" | "dead" | "postponed" | "lost", number>>;
  /** Events that found no room, of this gateway. */
  readonly dropped: number;
  /** Requests under way here. */
  readonly inFlight: number;
  /** Deliveries of all namespaces, about a minute behind; `undefined` until they were counted. */
  readonly kept: { readonly waiting: number; readonly dead: number } | undefined;
}
