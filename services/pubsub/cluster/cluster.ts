import type { Gap, Member, Payload, Unrecovered } from "../../../src/contracts/pubsub.ts";

/** Namespace and topic in one text, unambiguous: a namespace has no `/`. */
export type TopicKey = string;

/** One message as gateways keep it and send it to each other. */
export interface Entry extends Payload {
  /** Unix milliseconds at which its gateway took it. */
  readonly at: number;
  /** Names a message that may come a second time through another gateway: of its idempotency key and caller. */
  readonly id: string | undefined;
}

/** Consecutive entries of one epoch in one topic. The first entry of an epoch has the offset 1. */
export interface Range {
  readonly epoch: number;
  /** Offset of the first entry. */
  readonly from: number;
  readonly entries: readonly Entry[];
}

/** How far each epoch is that is open: the offset of the last entry; 0 for none. */
export type Heads = ReadonlyMap<number, number>;

/** What a position says. */
export interface View {
  /** Epochs that were open when it was made, and how far its holder is in each. */
  readonly heads: Heads;
  /** The highest number of an epoch that was known. Those up to it which are not in `heads` had ended, and their end was told. */
  readonly known: number;
}

/** What the cluster asks of the topics of this gateway. Everything here is done at once, and throws nothing. */
export interface LocalTopics {
  /**
   * What comes of an epoch goes on behind `after`, whatever was taken of it before: while a topic is being joined, for each epoch
   * whose head is another than this gateway's copy has; and before a gap is told. From then on `heads` says `after`, and nothing of
   * that epoch is kept. Not called for epochs of which nothing is known: they begin at 0.
   */
  begin(key: TopicKey, epoch: number, after: number): void;
  /** Takes the next entries of an epoch: they follow on what was taken before, without a gap. Never for an epoch of this gateway. */
  accept(key: TopicKey, range: Range): void;
  /** Something is missing, or may be: to be told to every subscriber. {@link begin} and the view already say where they stand behind it. */
  gap(key: TopicKey, reason: Gap["reason"]): void;
  /** Topics with subscribers or with entries that are kept, and those in which this gateway published in its epoch. */
  keys(): Iterable<TopicKey>;
  /**
   * How far this gateway's copy of a topic is, by epoch, at least for the epochs that are open. Of its own epochs always, whatever
   * is still kept: an offset is never given twice. 0 where an epoch is missing.
   */
  heads(key: TopicKey): Heads;
  /**
   * What is remembered of topics is bounded. No topic that {@link keys} does not name has a head of this gateway's epoch above this,
   * and `heads` says it of each; 0 while none was forgotten. A farewell has to say it: of a topic that is not in one no other head
   * is certain.
   */
  readonly forgotten: number;
  /** Offset of the oldest entry of an epoch that is kept; one more than its head where none is. */
  first(key: TopicKey, epoch: number): number;
  /** Entries that are kept behind an offset, one at least. @returns `undefined` where the one behind it is not kept any more, or not yet there */
  range(key: TopicKey, epoch: number, after: number, maxBytes: number): Range | undefined;
  /** Who is present changed: what it was before and what it is. */
  present(key: TopicKey, member: string, before: Member | undefined, after: Member | undefined): void;
  /** The namespace keeps at most so much of each of its topics. */
  keeps(key: TopicKey): boolean;
}

/** What was found of what somebody missed. */
export type Missed =
  /** Exactly what lies between the view and {@link view}. */
  | { readonly complete: true; readonly ranges: readonly Range[]; readonly view: View }
  | { readonly complete: false; readonly reason: Unrecovered };

/** What the topics of this gateway ask of the others. */
export interface Cluster {
  /** The epoch under which this gateway publishes. `undefined` until the control plane has given one: nothing can be recovered then. */
  readonly epoch: number | undefined;
  /**
   * Open epochs, this gateway's included, and the highest number that is known. Another object whenever a gateway comes or goes; one
   * that was given never changes, since positions are made of it later.
   */
  readonly view: { readonly open: ReadonlySet<number>; readonly known: number };
  /**
   * Makes the others send what is published in a topic. Resolves when those that can be reached have heard of it, within a second
   * at most; their heads are then those from which this gateway follows ({@link LocalTopics.begin}). The second time it waits for
   * the first. The topic exists by then.
   */
  join(key: TopicKey): Promise<void>;
  /** They need not send it any more. */
  leave(key: TopicKey): void;
  /** Whether another gateway has joined a topic: then its head here is not forgotten. */
  watched(key: TopicKey): boolean;
  /** Messages of other gateways that came a second time, and those that were refused, since the start. */
  readonly counts: { readonly duplicates: number; readonly refused: number };
  /** Sends entries of this gateway, of the epoch that is {@link epoch} now, to whoever has joined. They are in the log by then. */
  publish(key: TopicKey, range: Range): void;
  /**
   * Finds what came to a topic since a view, on whichever gateways it is. The topic has been joined, and the subscriber takes what
   * arrives from before the call: of each epoch in the answer's view what is behind its head there, of epochs above `known` all. When
   * it resolves, this gateway's own copy is as far as that view, so that no position made afterwards is behind it. Never rejects.
   */
  missed(
    key: TopicKey,
    since: View,
    limits: { readonly bytes: number; readonly messages: number },
    signal: AbortSignal,
  ): Promise<Missed>;
  /** Everything that anyone keeps of a topic. */
  kept(key: TopicKey, signal: AbortSignal): Promise<readonly Range[]>;
  /** A connection of this gateway is present in a topic, or no longer. */
  enter(key: TopicKey, member: LocalMember): void;
  exit(key: TopicKey, member: LocalMember): void;
  /** Who is present, on all gateways that can be seen. */
  members(key: TopicKey): readonly Member[];
}

/** One connection that is present. */
export interface LocalMember {
  /** Of the connection: unique on this gateway. */
  readonly connection: number;
  readonly id: string;
  readonly meta: Readonly<Record<string, unknown>> | undefined;
  /** Unix milliseconds. */
  readonly joinedAt: number;
}
