import type { Gap, Member } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import type { Clock } from "../clock/clock.ts";
import type { Cluster, Heads, LocalTopics, Range, TopicKey } from "./cluster/cluster.ts";
import type { Figures } from "./figures.ts";
import { ForgottenHeads } from "./forgotten.ts";
import { Retention } from "./retention.ts";
import { Room } from "./room.ts";
import type { Share } from "./share.ts";
import type { Space } from "./space.ts";
import { Spaces } from "./spaces.ts";
import { Topic, type TopicParts } from "./topic.ts";
import { Turns } from "./turns.ts";

/** Milliseconds between two looks at what is over. */
const SWEEP = 1_000;
/** Milliseconds for which the other gateways go on sending a topic that nobody is subscribed to any more: most come back. */
const LINGER = 5_000;

/** What the topics of a gateway are made of. */
export interface TopicsOptions {
  readonly cluster: (topics: LocalTopics) => Cluster;
  /** What holds in a namespace; `undefined` while that is being asked for. */
  readonly rulesOf: (namespace: string) => PubSubRules | undefined;
  readonly clock: Clock;
  readonly figures: Figures;
  /** Bytes of history of all namespaces together. */
  readonly maxHistoryBytes: number;
  /** Topics whose heads are remembered when nothing else of them is. */
  readonly rememberedHeads?: number | undefined;
  /** Told of a subscriber that threw. */
  readonly onError: (namespace: string, error: unknown) => void;
}

/** All topics of this gateway, by namespace, and what other gateways may ask of them. */
export class Topics implements LocalTopics {
  readonly cluster: Cluster;
  readonly turns: Turns;
  readonly retention: Retention;
  /** What there is of each namespace. */
  readonly spaces: Spaces;
  readonly #options: TopicsOptions;
  readonly #parts: TopicParts;
  readonly #topics = new Map<TopicKey, Topic>();
  /** Topics that are joined though nobody is subscribed, and until when. */
  readonly #lingering = new Map<Topic, number>();
  readonly #heads: ForgottenHeads;
  readonly #room: Room;
  #stopSweep: (() => void) | undefined;
  #closed = false;

  constructor(options: TopicsOptions) {
    const { clock, figures, maxHistoryBytes, rememberedHeads, onError } = this.#options = options;
    this.turns = new Turns(clock);
    this.#room = new Room({ discard: (topic) => this.#discard(topic), now: () => clock.monotonic() });
    this.#heads = new ForgottenHeads({
      epoch: () => this.epoch,
      isWatched: (key) => this.cluster.watched(key),
      most: rememberedHeads,
    });
    const retention = this.retention = new Retention({
      maxBytes: maxHistoryBytes,
      now: () => clock.monotonic(),
      emptied: (topic) => this.#tidy(topic),
    });
    this.spaces = new Spaces(figures, retention, () => this.#sweepLater());
    const cluster = this.cluster = options.cluster(this);
    this.#parts = {
      clock,
      turns: this.turns,
      figures,
      cluster,
      retention,
      vacated: (topic) => this.#vacate(topic),
      onError,
    };
  }

  get forgotten(): number {
    return this.#heads.floor;
  }

  /** The epoch under which this gateway publishes now; 0 while it has none, and nobody else hears of it. */
  get epoch(): number {
    return this.cluster.epoch ?? 0;
  }

  /** Topics that are subscribed to, or of which something is kept. */
  get size(): number {
    return this.#topics.size;
  }

  /** A topic that somebody reads, which is in use from now on. @param share of whoever subscribes @throws GatewayError `TOO_MANY_TOPICS` */
  forReader(space: Space, name: string, share?: Share): Topic {
    let topic = space.topics.get(name);
    if (share !== undefined) this.#room.inShare(share, topic);
    if (topic === undefined) {
      this.#room.forReader(space, share);
      topic = this.#open(space, name);
    }
    this.#occupy(topic);
    return topic;
  }

  /** A topic in which somebody publishes, who then says that it was published. @throws GatewayError `TOO_MANY_TOPICS` */
  forPublisher(space: Space, name: string, share: Share): Topic {
    const known = space.topics.get(name);
    if (known !== undefined) {
      // Of those that nobody is subscribed to it is the last to be given up.
      if (space.vacant.delete(known)) space.vacant.add(known);
      return known;
    }
    this.#room.forPublisher(space, share);
    return this.#open(space, name);
  }

  /** Something was published in a topic. */
  published(topic: Topic, share: Share): void {
    topic.publisher = share;
    this.#settle(topic);
  }

  #open(space: Space, name: string): Topic {
    const topic = new Topic(space, name, this.#parts);
    const head = this.#heads.take(topic.key);
    if (head > 0) topic.log.begin(this.epoch, head);
    space.topics.set(name, topic);
    space.vacant.add(topic);
    this.#topics.set(topic.key, topic);
    return topic;
  }

  #occupy(topic: Topic): void {
    topic.space.vacant.delete(topic);
    this.#lingering.delete(topic);
    this.#room.release(topic);
  }

  /** Whoever looked something up in a topic is done. */
  release(topic: Topic): void {
    if (topic.isVacant) this.#vacate(topic);
  }

  /** Gives up a topic of which there is nothing any more but its head. */
  #tidy(topic: Topic): void {
    if (!topic.isVacant || topic.log.messages > 0) return;
    this.#room.release(topic);
    if (!topic.isJoined) this.#remove(topic);
  }

  #settle(topic: Topic): void {
    if (!topic.isVacant || topic.log.messages === 0) this.#tidy(topic);
    else if (!this.#closed) this.#room.charge(topic);
  }

  /** Gives up everything of a namespace. Its subscriptions end. */
  purge(namespace: string): void {
    const space = this.spaces.known(namespace);
    if (space === undefined) return;
    this.spaces.delete(space);
    for (const topic of [...space.topics.values()]) {
      topic.end();
      this.#discard(topic);
      // Also where somebody looks something up in it just now.
      this.#remove(topic);
    }
  }

  /** Ends all subscriptions. What is kept stays: other gateways may want it for as long as this one says farewell. */
  close(): void {
    this.#closed = true;
    for (const topic of [...this.#topics.values()]) topic.end();
    this.#stopSweep?.();
  }

  begin(key: TopicKey, epoch: number, after: number): void {
    this.#topics.get(key)?.begin(epoch, after);
  }

  accept(key: TopicKey, { epoch, from, entries }: Range): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    this.#refresh(topic.space);
    const next = topic.log.head(epoch) + 1;
    if (from > next) topic.begin(epoch, from - 1);
    const fresh = from < next ? entries.slice(next - from) : entries;
    if (fresh.length > 0) {
      topic.take({ epoch, from: Math.max(from, next), entries: fresh }, this.#options.clock.monotonic());
    }
  }

  gap(key: TopicKey, reason: Gap["reason"]): void {
    this.#topics.get(key)?.gap(reason);
  }

  *keys(): Generator<TopicKey> {
    yield* this.#topics.keys();
    yield* this.#heads.keys();
  }

  heads(key: TopicKey): Heads {
    const topic = this.#topics.get(key);
    if (topic === undefined) return new Map(this.epoch > 0 ? [[this.epoch, this.#heads.told(key)]] : []);
    const heads = topic.log.heads();
    heads.delete(0);
    return heads;
  }

  first(key: TopicKey, epoch: number): number {
    const topic = this.#topics.get(key);
    if (topic === undefined) return this.#headOfUnknown(key, epoch) + 1;
    this.retention.trim(topic);
    return topic.log.first(epoch);
  }

  range(key: TopicKey, epoch: number, after: number, maxBytes: number): Range | undefined {
    const topic = this.#topics.get(key);
    if (topic === undefined) {
      return after === this.#headOfUnknown(key, epoch) ? { epoch, from: after + 1, entries: [] } : undefined;
    }
    this.retention.trim(topic);
    return topic.log.range(epoch, after, maxBytes);
  }

  present(key: TopicKey, _member: string, before: Member | undefined, after: Member | undefined): void {
    if ((before === undefined) === (after === undefined)) return;
    const at = this.#options.clock.now();
    const kind = after === undefined ? "leave" : "join";
    this.#topics.get(key)?.changed({ kind, member: (after ?? before)!, at });
  }

  keeps(key: TopicKey): boolean {
    const rules = this.#options.rulesOf(key.slice(0, key.indexOf("/")));
    return rules === undefined || rules.historySize > 0 && rules.historyTtl > 0;
  }

  #headOfUnknown(key: TopicKey, epoch: number): number {
    return epoch > 0 && epoch === this.epoch ? this.#heads.get(key) : 0;
  }

  #discard(topic: Topic): void {
    this.#lingering.delete(topic);
    topic.leave();
    this.retention.clear(topic);
    this.#tidy(topic);
  }

  #remove(topic: Topic): void {
    const { space, name, key, log } = topic;
    if (this.#topics.get(key) !== topic) return;
    this.#topics.delete(key);
    space.topics.delete(name);
    space.vacant.delete(topic);
    this.#room.release(topic);
    this.#heads.put(key, log.head(this.epoch));
  }

  #vacate(topic: Topic): void {
    topic.space.vacant.add(topic);
    if (topic.isJoined) this.#lingering.set(topic, this.#options.clock.monotonic() + LINGER);
    this.#settle(topic);
  }

  #refresh(space: Space): void {
    const rules = this.#options.rulesOf(space.namespace);
    if (rules !== undefined && rules !== space.rules) this.spaces.of(space.namespace, rules);
  }

  #sweepLater(): void {
    this.#stopSweep ??= this.#options.clock.after(SWEEP, () => this.#sweep(), true);
  }

  /** Nothing has a timer of its own: what is over goes with the next look. */
  #sweep(): void {
    this.#stopSweep = undefined;
    const now = this.#options.clock.monotonic();
    for (const [topic, until] of this.#lingering) {
      if (until > now) break;
      this.#lingering.delete(topic);
      topic.leave();
      this.#tidy(topic);
    }
    for (const space of this.spaces) {
      this.#refresh(space);
      this.retention.expire(space);
      space.tidy(now);
      if (space.isOver(now)) this.spaces.delete(space);
    }
    this.#heads.prune(this.cluster.view, this.#topics.values());
    if (this.spaces.size > 0) this.#sweepLater();
  }
}
