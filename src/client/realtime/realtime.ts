import type { CallOptions } from "../http.ts";
import type { TopicMember, TopicMessage } from "./events.ts";
import type { AnyTopics, CredentialSource, HistoryOptions, PublishOptions } from "./options.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

/**
 * `connecting`: a gateway is asked. `connected`. `waiting`: for the next try. `stopped`: no try is made any more, because the
 * credential was refused, the gateway does not understand this client, or `attempts` are over; `connect` and `authenticate` begin
 * again. `closed`: for good.
 */
export type RealtimeState = "connecting" | "connected" | "waiting" | "stopped" | "closed";

/** A change of state. */
export interface RealtimeStateChange {
  readonly state: RealtimeState;
  /** Why there is no connection, an `OramaError`. */
  readonly error: Error | undefined;
  /** Milliseconds until the next try, in `waiting`; `undefined` there: when the page is seen again. */
  readonly retryIn: number | undefined;
}

/** What a connection tells. */
export interface RealtimeEvents {
  readonly state: RealtimeStateChange;
  /** The credential expires soon. Where `token` is a function, the client asks it for another by itself. */
  readonly expiring: { readonly expiresAt: number | undefined };
}

/** As whom a connection is there. */
export interface RealtimeSession {
  /** Under which the gateway knows the connection. */
  readonly client: string | undefined;
  readonly namespace: string | undefined;
  /** Unix milliseconds at which the credential dies; `undefined`: not by itself. */
  readonly expiresAt: number | undefined;
}

/** What became of what was published. */
export interface PublishResult {
  /** Where somebody stands who has it; `undefined` where the topic keeps no history. */
  readonly position: string | undefined;
  /** Whether it was published before, with the same key: by an earlier try whose answer was lost, for example. */
  readonly repeated: boolean;
}

/** Some of what is kept of a topic. */
export interface HistoryPage<T> {
  /** Oldest first. */
  readonly messages: readonly TopicMessage<T>[];
  /** Where to go on. */
  readonly position: string | undefined;
  /** Whether there is more. */
  readonly more: boolean;
  /** Whether nothing is missing between `since` and the first of it; `undefined` where no `since` was said. */
  readonly complete: boolean | undefined;
}

/** Who is in a topic. */
export interface TopicPresence {
  readonly members: readonly TopicMember[];
  readonly count: number;
}

/**
 * Live messages over one connection that is made again whenever it ends. `Topics` says what the messages of each topic hold:
 * `{ "news": News; [room: `room:${string}`]: Chat }`. Nobody checks it.
 */
export interface Realtime<Topics extends object = AnyTopics> {
  readonly state: RealtimeState;
  /** While it is connected. */
  readonly session: RealtimeSession | undefined;
  /** @returns what takes the listener away */
  on<Name extends keyof RealtimeEvents>(name: Name, listener: (event: RealtimeEvents[Name]) => void): () => void;
  /**
   * Listens to a topic, from this turn on: who adds listeners in it misses nothing.
   * @throws OramaError `CLOSED`, `ALREADY_SUBSCRIBED`: one connection has one subscription of a topic, see {@link subscription}
   */
  subscribe<Topic extends keyof Topics & string>(topic: Topic, options?: SubscribeOptions): Subscription<Topics[Topic]>;
  /** That of a topic, until it is ended. */
  subscription<Topic extends keyof Topics & string>(topic: Topic): Subscription<Topics[Topic]> | undefined;
  /**
   * Publishes, behind everything that was published there before. Waits for a connection, and again after it broke off, and for as
   * long as the gateway takes no more.
   * @throws OramaError `OUTCOME_UNKNOWN` for what was sent, and of which no answer tells; `TIMEOUT` and others for what was not;
   * `RATE_LIMITED` where the gateway took no more for all of its time
   */
  publish<Topic extends keyof Topics & string>(
    topic: Topic,
    data: Topics[Topic],
    options?: PublishOptions,
  ): Promise<PublishResult>;
  /** Publishes several messages in this order, all or none. @throws OramaError as {@link publish} */
  publishMany<Topic extends keyof Topics & string>(
    topic: Topic,
    messages: readonly Topics[Topic][],
    options?: PublishOptions,
  ): Promise<PublishResult>;
  /** Who is in a topic now, on all gateways. @throws OramaError */
  presence(topic: keyof Topics & string, options?: CallOptions): Promise<TopicPresence>;
  /** What is kept of a topic. @throws OramaError */
  history<Topic extends keyof Topics & string>(
    topic: Topic,
    options?: HistoryOptions,
  ): Promise<HistoryPage<Topics[Topic]>>;
  /**
   * Goes on with another credential: over the connection that is there, or over the next one, which is tried at once.
   * @throws OramaError where the gateway does not take it over this connection
   */
  authenticate(token: CredentialSource): Promise<void>;
  /** Tries to connect now, whatever it waits for. Does nothing where it is connected. */
  connect(): void;
  /** Ends connection and subscriptions for good. What was sent and not answered is `OUTCOME_UNKNOWN`, the rest `CLOSED`. */
  close(): void;
}
