import type { Lifecycle, NamespacedService } from "./health.ts";
import type { RequestContext } from "./request.ts";

/** What a publisher hands over. */
export interface Payload {
  readonly data: Uint8Array<ArrayBuffer>;
  /** Whether the publisher said that it is JSON: then it is the text of one JSON value, checked, in UTF-8. */
  readonly json: boolean;
}

/** One message of a topic, as every subscriber gets it. */
export interface Message extends Payload {
  readonly kind: "message";
  /** Unix milliseconds at which a gateway took it. */
  readonly at: number;
  /**
   * Where a subscriber stands who has this message and all before it: text that any gateway of the cluster understands, opaque to
   * everyone else. `undefined` where the topic keeps no history. Made when it is first read: a spread does not copy it.
   */
  readonly position: string | undefined;
}

/** Somebody who came to a topic, or left it: once each, however many connections they have. */
export interface PresenceChange {
  readonly kind: "join" | "leave";
  readonly member: Member;
  /** Unix milliseconds. */
  readonly at: number;
}

/** Something is missing before what follows, or may be. */
export interface Gap {
  readonly kind: "gap";
  /**
   * `gateway_lost`: a gateway ended without a word, and may have had messages that nobody else has. `expired`: they were kept
   * nowhere for long enough. `slow`: this subscriber did not read, and its queue was cut.
   */
  readonly reason: "gateway_lost" | "expired" | "slow";
  /** Where the subscriber stands behind it. */
  readonly position: string | undefined;
}

/** What happens in a topic, in the order in which it is told. */
export type TopicEvent = Message | PresenceChange | Gap;

/**
 * Events of one topic for all its subscribers: the same object for each of them, so that whatever is made of it is made once.
 */
export interface Delivery {
  readonly topic: string;
  /** At least one. */
  readonly events: readonly TopicEvent[];
  /** What `encode` makes of it; kept, so that the same function is called once for one delivery, whoever asks. */
  as<Encoded>(encode: (delivery: Delivery) => Encoded): Encoded;
}

/** Who takes what happens in a topic. */
export interface Subscriber {
  /** Takes events. It must neither throw nor wait: whoever is slower than the topic has a queue of its own. */
  deliver(delivery: Delivery): void;
  /** Told when the subscription ended without having been closed: its namespace was deleted, or the gateway stops. */
  ended(): void;
}

/** Somebody in a topic. */
export interface Member {
  /** As the client named it. */
  readonly id: string;
  /** As the first of its connections that is still there said; a JSON object. */
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  /** Unix milliseconds of the first of its connections that is still there. */
  readonly joinedAt: number;
  /** How many connections it has, on all gateways that can be seen from here. */
  readonly connections: number;
}

/** How a subscription begins. */
export interface SubscribeOptions {
  /** Where the subscriber stood when it was last here: whatever came since is to be handed over first. */
  readonly since?: string | undefined;
  /** Under which name the subscriber is present; without one it is not, and hears of others all the same. */
  readonly member?: { readonly id: string; readonly meta: Readonly<Record<string, unknown>> | undefined } | undefined;
  /** Whether to hear of those who come and leave. Default true. */
  readonly presence?: boolean | undefined;
}

/** A subscription that holds. Nothing is delivered before the caller's next turn of the event loop. */
export interface Subscription {
  /** Where it stands: behind {@link missed}, or now. `undefined` where the topic keeps no history. */
  readonly position: string | undefined;
  /**
   * Whether {@link missed} is exactly what came since `since`. False whenever that cannot be proved; then `missed` is empty.
   * `undefined` where no `since` was said.
   */
  readonly recovered: boolean | undefined;
  /** Why it was not recovered. */
  readonly unrecovered: Unrecovered | undefined;
  /** In the order in which it would have come. */
  readonly missed: readonly Message[];
  /** Ends it: nothing is delivered afterwards. Does nothing the second time. */
  close(): void;
}

/**
 * Why what was missed cannot be told. `expired`: no longer kept. `gateway_lost`: a gateway ended without a word.
 * `unreachable`: a gateway cannot be asked now. `no_history`: the topic keeps none. `too_much`: more than one answer may hold.
 */
export type Unrecovered = "expired" | "gateway_lost" | "unreachable" | "no_history" | "too_much";

/** Who calls, as far as limits and idempotency keys go. Made by `callerOf` of `topic_rights.ts`. */
export interface PubSubCaller {
  /** Whose idempotency keys they are, and whose share of the namespace. */
  readonly caller: string;
  /** Whether it is one of many who were given tokens that name topics: its share is smaller. Default false. */
  readonly isGuest?: boolean | undefined;
}

/** How something is published. */
export interface PublishOptions {
  /**
   * The same key a second time publishes nothing and answers as the first time. Of one caller, for 5 minutes, as long as no more than
   * 80,000 came in its namespace on this gateway meanwhile. Where the second comes through another gateway, subscribers get the
   * message once, as long as no more messages than that were published with one.
   */
  readonly idempotencyKey?: string | undefined;
}

/** What became of what was published. */
export interface Published {
  /** Where a subscriber stands who has the last of it. */
  readonly position: string | undefined;
  /** Whether it was published before, with the same idempotency key. */
  readonly repeated: boolean;
}

/** Which part of what is kept. */
export interface HistoryQuery {
  /** Behind this position. Default: from the oldest that is kept. */
  readonly since?: string | undefined;
  /** Messages, at most. */
  readonly limit: number;
}

/** Some of what is kept of a topic. */
export interface HistoryPage {
  /** Oldest first; of one publisher's gateway in its order. */
  readonly messages: readonly Message[];
  /** Where to go on. */
  readonly position: string | undefined;
  /** Whether there is more. */
  readonly more: boolean;
  /** Whether nothing is missing between `since` and the first of it; `undefined` where no `since` was said. */
  readonly complete: boolean | undefined;
}

/** Figures of what runs through one gateway. */
export interface PubSubFigures {
  readonly topics: number;
  readonly subscriptions: number;
  /** Subscriptions of this gateway that are present under a name. */
  readonly members: number;
  readonly historyMessages: number;
  /** With what keeping them takes. */
  readonly historyBytes: number;
  readonly published: number;
  readonly delivered: number;
  /** Messages that came a second time from another gateway and were dropped. */
  readonly duplicates: number;
  /** Messages from other gateways that were refused: forged, malformed, too large, too many. */
  readonly refused: number;
  /** Idempotency keys, and messages that were published with one, that were forgotten within five minutes, since too many came. */
  readonly forgotten: Readonly<Record<"key" | "message", number>>;
  readonly gaps: Readonly<Record<Gap["reason"], number>>;
  readonly recovered: number;
  readonly unrecovered: Readonly<Record<Unrecovered, number>>;
}

/**
 * Live messages by topic within a namespace, across all gateways of the cluster. Each subscriber gets each message once, and
 * those that went through one gateway in the order in which that took them.
 */
export interface PubSub extends NamespacedService, Lifecycle {
  /**
   * Publishes, in this order. Resolves when every subscriber of this gateway was handed it and the other gateways were sent it; it
   * waits for none of them.
   * @throws GatewayError `BODY_TOO_LARGE` for a message beyond the namespace's rule, `RATE_LIMITED`, `INVALID_REQUEST` for a topic
   * that cannot be, `IDEMPOTENCY_KEY_REUSED`, `TOO_MANY_TOPICS` where as many others have subscribers, `UNAVAILABLE` when it stops.
   * `details.of` says whose limit it was: the `namespace`'s, or the share of one `credential`
   */
  publish(
    namespace: string,
    topic: string,
    messages: readonly Payload[],
    options: PublishOptions,
    request: RequestContext & PubSubCaller,
  ): Published | Promise<Published>;
  /**
   * Subscribes. Resolves when every gateway that can be reached knows of it.
   * @param request without a caller nobody's share is counted
   * @throws GatewayError `TOO_MANY_TOPICS`, `TOO_MANY_SUBSCRIPTIONS`, `INVALID_REQUEST` for a topic, position or member that cannot be,
   *   `NOT_FOUND` for a namespace that is deleted meanwhile, `UNAVAILABLE` when the gateway stops, and the signal's reason
   */
  subscribe(
    namespace: string,
    topic: string,
    subscriber: Subscriber,
    options: SubscribeOptions,
    request: RequestContext & Partial<PubSubCaller>,
  ): Promise<Subscription>;
  /** Topics of a namespace that have a subscriber on this gateway, in order. */
  topics(namespace: string): readonly string[];
  /**
   * Who is present in a topic, on all gateways that can be seen from here: those who came first in front, and of several at once by
   * `id`. Mostly the same list for as long as nothing changes.
   */
  members(namespace: string, topic: string): readonly Member[];
  /** What is kept of a topic, wherever it is. @throws GatewayError `INVALID_REQUEST` for no position */
  history(namespace: string, topic: string, query: HistoryQuery, request: RequestContext): Promise<HistoryPage>;
  /** What a gateway has counted since it began. */
  figures(): PubSubFigures;
}
