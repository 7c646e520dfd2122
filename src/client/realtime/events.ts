/** A message of a topic. */
export interface TopicMessage<T> {
  readonly kind: "message";
  readonly topic: string;
  /** JSON as the publisher gave it, integers beyond ±(2^53 − 1) as `bigint`; bytes as `Uint8Array`. */
  readonly data: T;
  /** Unix milliseconds at which a gateway took it. */
  readonly at: number;
  /**
   * Where somebody stands who has this message and all before it: `since` of another subscription, also in another process.
   * `undefined` where the topic keeps no history.
   */
  readonly position: string | undefined;
}

/** Somebody in a topic. */
export interface TopicMember {
  /** As the client named it. */
  readonly id: string;
  /** As the first of its connections said. */
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  /** Unix milliseconds of the first of its connections. */
  readonly joinedAt: number | undefined;
  /** How many it has, on all gateways. */
  readonly connections: number;
}

/** Somebody came or left. After a reconnection, changes in between are told like any other. */
export interface PresenceChange {
  readonly kind: "join" | "leave";
  readonly topic: string;
  readonly member: TopicMember;
  /** Unix milliseconds; `undefined` where it happened while there was no connection. */
  readonly at: number | undefined;
}

/**
 * Something is missing before what follows, or may be. `gateway_lost`: a gateway ended without a word, and may have had messages
 * that nobody else has. `expired`: it was not kept for long enough. `slow`: the gateway dropped what this client did not take in
 * time. `overflow`: the reader of an iterator was slower than its buffer. `unreachable`, `no_history`, `too_much`: why what came
 * while there was no connection cannot be told. `unknown`: the gateway did not say.
 */
export type GapReason =
  | "gateway_lost"
  | "expired"
  | "slow"
  | "overflow"
  | "unreachable"
  | "no_history"
  | "too_much"
  | "unknown"
  | (string & Record<never, never>);

/** Every loss is told so, whatever it comes of. */
export interface TopicGap {
  readonly kind: "gap";
  readonly topic: string;
  readonly reason: GapReason;
  /** Where the subscription stood before it; `history` may have some of what is missing. */
  readonly since: string | undefined;
  /** Where it stands behind it. */
  readonly position: string | undefined;
}

/** What became of a subscription that went on where it had been. It is told before what was missed. */
export interface TopicRecovery {
  readonly kind: "recovered";
  readonly topic: string;
  /** Whether everything that came in between follows. If not, a `gap` follows. */
  readonly recovered: boolean;
  /** Why not. */
  readonly reason: GapReason | undefined;
  /** Messages that follow from in between; `undefined` where that is not known, as with server-sent events. */
  readonly missed: number | undefined;
}

/** What happens in a topic, in the order in which it is told. */
export type TopicEvent<T> = TopicMessage<T> | PresenceChange | TopicGap | TopicRecovery;

/**
 * `waiting`: until the gateway has confirmed it, at first and after each break. `live`: messages come. `ended`: closed, or refused by
 * the gateway; nothing comes any more.
 */
export type SubscriptionState = "waiting" | "live" | "ended";

/** A change of state. */
export interface SubscriptionStateChange {
  readonly kind: "state";
  readonly topic: string;
  readonly state: SubscriptionState;
  /** Why it ended, an `OramaError`; `undefined` where it was closed here. */
  readonly error: Error | undefined;
}

/** What a subscription tells, by name. */
export interface SubscriptionEvents<T> {
  readonly message: TopicMessage<T>;
  readonly join: PresenceChange;
  readonly leave: PresenceChange;
  readonly gap: TopicGap;
  readonly recovered: TopicRecovery;
  readonly state: SubscriptionStateChange;
}
