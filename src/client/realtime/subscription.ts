import type { SubscriptionEvents, SubscriptionState, TopicEvent, TopicMember } from "./events.ts";

/** A topic that is listened to, across all connections. `for await` gives its events in their order. */
export interface Subscription<T> extends AsyncIterable<TopicEvent<T>> {
  readonly topic: string;
  readonly state: SubscriptionState;
  /**
   * Resolves when the gateway has confirmed it for the first time. Rejects with an `OramaError` when it ends before, or the
   * connection is `stopped`.
   */
  readonly ready: Promise<void>;
  /** Where it stands: behind the last message that was told. Whoever reads an iterator keeps the position of the message instead. */
  readonly position: string | undefined;
  /** Whether nothing is missing where it went on last; `undefined` as long as it never had to. */
  readonly recovered: boolean | undefined;
  /** Who is there, with `presence`: as of now, those who were first in front. */
  readonly members: readonly TopicMember[];
  /** Why the gateway ended it, an `OramaError`. */
  readonly error: Error | undefined;
  /**
   * Calls back for each event of a kind. What came before the first listener, or iterator, is kept for it.
   * @returns what takes the listener away
   */
  on<Name extends keyof SubscriptionEvents<T>>(
    name: Name,
    listener: (event: SubscriptionEvents<T>[Name]) => void,
  ): () => void;
  /**
   * The events from now on, and for the first reader what came before. It ends when the subscription is closed, and throws an
   * `OramaError` when the gateway ends it. Leaving the loop does not close the subscription.
   */
  [Symbol.asyncIterator](): AsyncGenerator<TopicEvent<T>, void, void>;
  /** Ends it: nothing is told afterwards. Does nothing the second time. */
  close(): void;
}

/** How a topic is listened to. */
export interface SubscribeOptions {
  /** Where it was when it was last listened to: what came since comes first, or a `gap`. */
  readonly since?: string | undefined;
  /** Whether to be told who comes and leaves. Default false. */
  readonly presence?: boolean | undefined;
  /** As whom to be present, for as long as it lasts. Default: as nobody. */
  readonly member?: { readonly id: string; readonly meta?: Readonly<Record<string, unknown>> | undefined } | undefined;
  /** Events that wait for the reader of an iterator, at most; beyond, the oldest go for a `gap` (`overflow`). Default 1,000. */
  readonly buffer?: number | undefined;
}
