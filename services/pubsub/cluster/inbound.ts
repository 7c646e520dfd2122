import type { Clock } from "../../clock/clock.ts";
import type { NodeId } from "../mesh/mesh.ts";
import type { Entry, Heads, LocalTopics, Range, TopicKey } from "./cluster.ts";
import { weight } from "./fields.ts";
import type { ClusterGap } from "./figures.ts";
import type { RangeAnswer } from "./questions.ts";
import { Stream } from "./stream.ts";

/** What takes in what other gateways published. */
export interface InboundOptions {
  readonly local: LocalTopics;
  readonly clock: Clock;
  /** Whether an epoch is one of another gateway whose entries are taken. */
  readonly isOpen: (epoch: number) => boolean;
  /** Whom to ask for what is missing of an epoch: its own gateway first, where there is a link to it. */
  readonly sources: (epoch: number) => { readonly owner: NodeId | undefined; readonly others: readonly NodeId[] };
  /** Entries of an epoch behind an offset. @returns `undefined` where there is no answer. Never rejects */
  readonly range: (node: NodeId, key: TopicKey, epoch: number, after: number) => Promise<RangeAnswer | undefined>;
  /** Something was taken. */
  readonly accepted: (key: TopicKey) => void;
  /** Something is missing. */
  readonly gap: (key: TopicKey, reason: ClusterGap) => void;
}

/** Milliseconds for which what is missing may still come by itself. */
const PATIENCE = 25;
/** Milliseconds after which what came too early waits no longer for what nobody has. */
const STUCK = 10_000;
/** Ranges that wait for a topic to be joined. What is dropped is asked for later. */
const MAX_EARLY = 100;
/** Bytes of what waits for what is before it. */
const MAX_WAITING = 32 * 2 ** 20;

interface Followed {
  /** Whether the heads that were asked for are here. */
  joined: boolean;
  /** How far others said that epochs are while the topic was being joined: it is followed from there. */
  readonly starts: Map<number, number>;
  readonly streams: Map<number, Stream>;
  early: Range[];
}

/**
 * What other gateways publish in the topics that were joined here: of each epoch in order and without a hole, whatever way it comes;
 * what is missing is asked for, and where nobody has it any more, that is told.
 */
export class Inbound {
  /** Entries that came a second time. */
  duplicates = 0;
  readonly #options: InboundOptions;
  readonly #topics = new Map<TopicKey, Followed>();
  readonly #behind = new Set<Stream>();
  readonly #room = { left: MAX_WAITING };

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** Topics that are followed, or will be once they are joined. */
  keys(): TopicKey[] {
    return [...this.#topics.keys()];
  }

  /** Those of them of which whoever subscribed was answered. */
  answered(): TopicKey[] {
    return this.keys().filter((key) => this.#topics.get(key)!.joined);
  }

  has(key: TopicKey): boolean {
    return this.#topics.has(key);
  }

  /** Begins to follow a topic: what comes is put aside until {@link joined}. */
  follow(key: TopicKey): void {
    this.#topics.set(key, { joined: false, starts: new Map(), streams: new Map(), early: [] });
  }

  /** Everyone who could be asked has said how far epochs are. */
  joined(key: TopicKey): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    topic.joined = true;
    for (const epoch of topic.starts.keys()) if (this.#options.isOpen(epoch)) this.#stream(key, topic, epoch);
    for (const range of this.#early(topic)) this.offer(key, range);
  }

  leave(key: TopicKey): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    this.#topics.delete(key);
    this.#early(topic);
    for (const stream of topic.streams.values()) this.#end(stream);
  }

  /** Nothing is followed any more. */
  close(): void {
    for (const key of this.keys()) this.leave(key);
  }

  /** An epoch is followed from now on. */
  opened(epoch: number): void {
    for (const [key, topic] of this.#topics) {
      if (topic.joined && topic.starts.has(epoch)) this.#stream(key, topic, epoch);
    }
  }

  /** Nothing of an epoch is taken any more. */
  ended(epoch: number): void {
    for (const topic of this.#topics.values()) {
      const stream = topic.streams.get(epoch);
      topic.streams.delete(epoch);
      topic.starts.delete(epoch);
      if (stream !== undefined) this.#end(stream);
    }
  }

  /** Somebody has so much of a topic. */
  heard(key: TopicKey, heads: Heads): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    for (const [epoch, head] of heads) {
      if (!topic.joined) topic.starts.set(epoch, Math.max(head, topic.starts.get(epoch) ?? 0));
      else if (head > 0 && this.#options.isOpen(epoch)) {
        const stream = this.#stream(key, topic, epoch);
        stream.target = Math.max(stream.target, head);
        this.#seek(stream, PATIENCE);
      }
    }
  }

  /** Takes entries of an epoch that is open. */
  offer(key: TopicKey, range: Range): void {
    const topic = this.#topics.get(key);
    if (topic === undefined || !this.#options.isOpen(range.epoch)) return;
    if (!topic.joined) {
      if (topic.early.length < MAX_EARLY && this.#room.left > 0) {
        topic.early.push(range);
        this.#room.left -= weightOf(range);
      }
      return;
    }
    const stream = this.#stream(key, topic, range.epoch);
    const { from, entries } = range;
    if (from > stream.next) {
      for (const [i, entry] of entries.entries()) stream.putAside(from + i, entry);
      return this.#seek(stream, PATIENCE);
    }
    this.duplicates += Math.min(stream.next - from, entries.length);
    this.#take(stream, from, entries);
  }

  /** How far a topic is that is followed. */
  head(key: TopicKey, epoch: number): number {
    const stream = this.#topics.get(key)?.streams.get(epoch);
    return stream === undefined ? this.#options.local.heads(key).get(epoch) ?? 0 : stream.next - 1;
  }

  /** Resolves once a topic is as far as a head, was given up as far, or is not followed any more. */
  reach(key: TopicKey, epoch: number, head: number): Promise<void> {
    const topic = this.#topics.get(key);
    if (topic === undefined || !topic.joined || !this.#options.isOpen(epoch) || this.head(key, epoch) >= head) {
      return Promise.resolve();
    }
    const stream = this.#stream(key, topic, epoch);
    const reached = stream.reach(head);
    this.#seek(stream, 0);
    return reached;
  }

  /** Asks again for what is missing; every second, and when somebody new can be asked. */
  retry(): void {
    const now = this.#options.clock.monotonic();
    for (const stream of this.#behind) {
      const { earliest, stuckSince } = stream;
      if (stuckSince !== undefined && now - stuckSince >= STUCK && earliest !== undefined) {
        this.#skip(stream, earliest - 1);
      } else this.#seek(stream, 0);
    }
  }

  #stream(key: TopicKey, topic: Followed, epoch: number): Stream {
    let stream = topic.streams.get(epoch);
    if (stream !== undefined) return stream;
    const { local } = this.#options;
    const head = local.heads(key).get(epoch) ?? 0;
    const start = topic.starts.get(epoch) ?? 0;
    if (start > head) local.begin(key, epoch, start);
    stream = new Stream(key, epoch, Math.max(start, head), this.#room);
    topic.streams.set(epoch, stream);
    return stream;
  }

  /** Takes out what waits for the topic to be joined. */
  #early(topic: Followed): Range[] {
    const { early } = topic;
    topic.early = [];
    for (const range of early) this.#room.left += weightOf(range);
    return early;
  }

  #isFollowed(stream: Stream): boolean {
    return this.#topics.get(stream.key)?.streams.get(stream.epoch) === stream;
  }

  #take(stream: Stream, from: number, entries: readonly Entry[]): void {
    const { local, accepted } = this.#options;
    const { key, epoch } = stream;
    const last = from + entries.length - 1;
    if (last < stream.next) return;
    const begin = stream.next;
    const fresh = entries.slice(begin - from);
    // What was put aside meanwhile goes with it: one delivery.
    const all = [...fresh, ...stream.following(last + 1)];
    stream.next = begin + all.length;
    stream.forget();
    local.accept(key, { epoch, from: begin, entries: all });
    accepted(key);
    stream.moved();
    this.#behind[stream.behind ? "add" : "delete"](stream);
  }

  /** Gives up what is missing up to an offset. */
  #skip(stream: Stream, after: number): void {
    const { local, gap } = this.#options;
    stream.begin(after);
    local.begin(stream.key, stream.epoch, after);
    gap(stream.key, "expired");
    const waited = stream.following(stream.next);
    if (waited.length > 0) this.#take(stream, stream.next, waited);
    this.#behind[stream.behind ? "add" : "delete"](stream);
    if (stream.behind) this.#seek(stream, 0);
  }

  /** Asks for what is missing, unless it comes by itself before. */
  #seek(stream: Stream, patience: number): void {
    if (!stream.behind) return;
    this.#behind.add(stream);
    if (stream.fetching) return;
    stream.fetching = true;
    const fetch = async () => {
      while (this.#isFollowed(stream) && stream.behind && await this.#fetch(stream));
      stream.fetching = false;
      // A link that is about to be there may bring what nothing waits for yet.
      if (stream.behind && stream.earliest !== undefined) stream.stuckSince ??= this.#options.clock.monotonic();
    };
    if (patience === 0) void fetch();
    else this.#options.clock.after(patience, () => void fetch());
  }

  /** @returns whether it went on */
  async #fetch(stream: Stream): Promise<boolean> {
    const { sources, range } = this.#options;
    const { owner, others } = sources(stream.epoch);
    let ofOwner: RangeAnswer | undefined;
    const { target } = stream;
    for (const node of owner === undefined ? others : [owner, ...others]) {
      const after = stream.next - 1;
      const answer = await range(node, stream.key, stream.epoch, after);
      if (!this.#isFollowed(stream)) return false;
      // It came by itself meanwhile.
      if (stream.next > after + 1) return true;
      if (answer === undefined) continue;
      if (answer.entries.length > 0) {
        this.#take(stream, answer.from, answer.entries);
        return true;
      }
      if (node !== owner) continue;
      ofOwner = answer;
      // Nobody knows better how much there is.
      if (answer.head <= after) break;
    }
    if (ofOwner === undefined) return false;
    const after = stream.next - 1;
    if (ofOwner.head <= after) {
      // What was heard while it was asked may be newer than its answer.
      if (stream.target === target && stream.earliest === undefined) {
        stream.target = after;
        this.#behind.delete(stream);
      }
      return false;
    }
    // Neither its own gateway nor anyone else keeps it.
    const limit = Math.min(stream.target, (stream.earliest ?? Infinity) - 1, ofOwner.first - 1);
    this.#skip(stream, Math.max(limit, stream.next));
    return true;
  }

  #end(stream: Stream): void {
    this.#behind.delete(stream);
    stream.end();
  }
}

const weightOf = ({ entries }: Range) => entries.reduce((sum, entry) => sum + weight(entry), 0);
