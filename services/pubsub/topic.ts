import type { Gap, PresenceChange, Subscriber, TopicEvent, Unrecovered } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import type { Clock } from "../clock/clock.ts";
import { Arrival } from "./arrival.ts";
import type { Cluster, Heads, LocalMember, Range, TopicKey, View } from "./cluster/cluster.ts";
import { TopicDelivery } from "./delivery.ts";
import { TopicGap, TopicMessage } from "./events.ts";
import type { Figures } from "./figures.ts";
import { TopicLog } from "./log.ts";
import { keyOf } from "./names.ts";
import { LivePlace, NOWHERE, type Place } from "./places.ts";
import { sumOf } from "./position.ts";
import { Recovery } from "./recovery.ts";
import type { Retention } from "./retention.ts";
import type { Share } from "./share.ts";
import type { Space } from "./space.ts";
import { type Slot, Subscribers, type SubscribersHandler } from "./subscribers.ts";
import { type Subscribed, TopicSubscription } from "./subscription.ts";
import type { Turns } from "./turns.ts";

/** What all topics of a gateway share. */
export interface TopicParts {
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly turns: Turns;
  readonly figures: Figures;
  readonly cluster: Cluster;
  /** What is kept, and how much in all. */
  readonly retention: Retention;
  /** Nobody uses a topic any more. */
  readonly vacated: (topic: Topic) => void;
  /** Told of a subscriber that threw. */
  readonly onError: (namespace: string, error: unknown) => void;
}

/** One topic on this gateway: what is kept of it, and who hears of it. */
export class Topic implements Subscribed, SubscribersHandler {
  readonly key: TopicKey;
  /** What its positions are tied to it by. */
  readonly sum: number;
  readonly log = new TopicLog();
  /** Calls that need it, without being subscribed. */
  visits = 0;
  /** What of {@link log} is counted in the bounds. Belongs to whoever counts. */
  counted = { bytes: 0, messages: 0, at: 0 };
  /** Who published in it last, on this gateway. */
  publisher: Share | undefined;
  /** For whom what is kept of it counts. Belongs to whoever counts. */
  charged: Share | undefined;
  readonly #subscribers = new Subscribers(this);
  /** Subscriptions that are open, answered or not. */
  readonly #subscriptions = new Set<TopicSubscription>();
  readonly #parts: TopicParts;
  /** Those who came in this turn of the event loop. */
  #arrival: Arrival | undefined;
  readonly #recoveries = new Map<string, Recovery>();
  #joining: Promise<void> | undefined;
  #joined = false;
  /** Heads of all epochs but this one, for positions: they change when a message comes of another. */
  #heads: { readonly epoch: number; readonly heads: Heads } | undefined;
  #here: { readonly view: Cluster["view"]; readonly place: Place } | undefined;

  constructor(readonly space: Space, readonly name: string, parts: TopicParts) {
    this.key = keyOf(space.namespace, name);
    this.sum = sumOf(this.key);
    this.#parts = parts;
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** Whether nobody needs it but for what is kept. */
  get isVacant(): boolean {
    return this.#subscriptions.size === 0 && this.visits === 0;
  }

  /** Whether other gateways were asked to send what comes. */
  get isJoined(): boolean {
    return this.#joined || this.#joining !== undefined;
  }

  get rules(): PubSubRules {
    return this.space.rules;
  }

  /** Where somebody stands now who missed nothing. */
  get here(): Place {
    if (!this.#hasPlaces) return NOWHERE;
    const { view } = this.#parts.cluster;
    if (this.#here?.view !== view) {
      this.#here = { view, place: new LivePlace(this.sum, view, this.log.heads(), 0, 0) };
    }
    return this.#here.place;
  }

  /** Where somebody stands who has a message of an epoch and all before it. */
  placeAt(epoch: number, offset: number): Place {
    if (!this.#hasPlaces) return NOWHERE;
    if (this.#heads?.epoch !== epoch) this.#heads = { epoch, heads: this.log.heads() };
    return new LivePlace(this.sum, this.#parts.cluster.view, this.#heads.heads, epoch, offset);
  }

  /** Takes the next entries of an epoch: keeps them, and hands them to the subscribers. @param now milliseconds that never run backwards */
  take({ epoch, from, entries }: Range, now: number): void {
    const { retention } = this.#parts;
    if (this.#heads?.epoch !== epoch) this.#heads = undefined;
    const events = this.#subscribers.size === 0 ? undefined : [] as TopicEvent[];
    let bytes = 0;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      if (entry.id !== undefined && this.#isRepeated(entry.id, epoch, from + i, now)) continue;
      if (events === undefined) continue;
      events.push(new TopicMessage(entry, epoch, from + i, this.placeAt(epoch, from + i)));
      bytes += entry.data.byteLength;
    }
    this.log.append({ epoch, entries }, now);
    this.#here = undefined;
    retention.kept(this, now);
    if (events !== undefined && events.length > 0) this.#deliver(events, events.length, bytes);
  }

  /** What comes of an epoch goes on behind an offset. */
  begin(epoch: number, after: number): void {
    this.log.begin(epoch, after);
    this.#heads = this.#here = undefined;
    this.#parts.retention.trim(this);
  }

  /** Something is missing. */
  gap(reason: Gap["reason"]): void {
    if (reason !== "slow") this.#parts.figures.gaps[reason]++;
    if (this.#subscribers.size > 0) this.#deliver([new TopicGap(reason, this.here)], 0, 0);
  }

  /** Somebody came or left. */
  changed(change: PresenceChange): void {
    if (this.#subscribers.size > 0) this.#deliver([change], 0, 0);
  }

  /** Makes other gateways send what comes. Resolves when they know. */
  join(): Promise<void> | undefined {
    if (this.#joined) return undefined;
    if (this.#joining !== undefined) return this.#joining;
    const joining = this.#parts.cluster.join(this.key).then(() => {
      // It may have been left meanwhile, and joined again.
      if (this.#joining !== joining) return;
      this.#joining = undefined;
      this.#joined = true;
    });
    return this.#joining = joining;
  }

  /** Other gateways need not send it any more. */
  leave(): void {
    if (!this.isJoined) return;
    this.#joined = false;
    this.#joining = undefined;
    this.#parts.cluster.leave(this.key);
  }

  /** A subscription that hears of nothing yet. @param share of whoever subscribes */
  open(subscriber: Subscriber, presence: boolean, share?: Share): TopicSubscription {
    const subscription = new TopicSubscription(this, subscriber, presence, share);
    share?.subscribed(this);
    this.#subscriptions.add(subscription);
    this.space.subscriptions++;
    return subscription;
  }

  /** It stands here, and is handed what comes from now on, in the next turn of the event loop at the earliest. */
  admit(subscription: TopicSubscription, unrecovered?: Unrecovered): void {
    if (this.#arrival === undefined) this.#settleNext(this.#arrival = this.#arrive());
    this.#arrival.admit(subscription);
    const recovered = unrecovered === undefined ? undefined : false;
    subscription.begin({ place: this.here, missed: [], recovered, unrecovered });
  }

  /** The same for one who stood somewhere before. Resolves when it is known what it missed, or that nobody knows. */
  async recover(
    subscription: TopicSubscription,
    { text, view }: { readonly text: string; readonly view: View },
    signal: AbortSignal,
  ): Promise<void> {
    let recovery = this.#recoveries.get(text);
    if (recovery === undefined || recovery.hasBegun) {
      const made = recovery = this.#recoveryFrom(view, recovery);
      this.#recoveries.set(text, made);
      const over = () => this.#recoveries.get(text) === made && this.#recoveries.delete(text);
      made.signal.addEventListener("abort", over, { once: true });
      made.found.then(over, over);
    }
    const found = await recovery.wait(subscription, signal);
    subscription.begin({ ...found, recovered: found.unrecovered === undefined });
  }

  /** A subscription is present under a name from now on. */
  enter(subscription: TopicSubscription, member: LocalMember): void {
    subscription.member = member;
    this.space.members++;
    this.#parts.cluster.enter(this.key, member);
  }

  left(subscription: TopicSubscription): void {
    this.#subscribers.remove(subscription);
    this.#subscriptions.delete(subscription);
    this.space.subscriptions--;
    subscription.share?.unsubscribed(this);
    if (subscription.member !== undefined) {
      this.space.members--;
      this.#parts.cluster.exit(this.key, subscription.member);
    }
    if (this.isVacant) this.#parts.vacated(this);
  }

  /** Ends all subscriptions, and tells those who had been answered. */
  end(): void {
    const all = [...this.#subscriptions];
    // Nobody of them is to hear of all the others leaving.
    this.#subscribers.clear();
    for (const subscription of all) subscription.close();
    for (const subscription of all) this.#tell(subscription);
  }

  handed({ messages, events }: TopicDelivery, subscribers: number): void {
    const { figures } = this.#parts;
    figures.delivered += messages * subscribers;
    const [event] = events;
    if (event?.kind === "gap" && event.reason === "slow") figures.gaps.slow += subscribers;
  }

  failed(slot: Slot, error: unknown): void {
    this.#parts.onError(this.space.namespace, error);
    if (!(slot instanceof TopicSubscription)) return;
    // It may not have what it threw over: it is to come back, and to say where it stood.
    slot.close();
    this.#tell(slot);
  }

  get #hasPlaces(): boolean {
    return this.space.keeps && this.#parts.cluster.epoch !== undefined;
  }

  #isRepeated(id: string, epoch: number, offset: number, now: number): boolean {
    if (!this.space.recent.note(this.key, id, { epoch, offset }, now)) return false;
    this.#parts.figures.duplicates++;
    return true;
  }

  #deliver(events: readonly TopicEvent[], messages: number, bytes: number): void {
    this.#subscribers.deliver(new TopicDelivery(this.name, events, messages, bytes));
  }

  #arrive(): Arrival {
    const gap = () => new TopicDelivery(this.name, [new TopicGap("slow", this.here)], 0, 0);
    const arrival = new Arrival({ maxBytes: this.rules.maxQueueBytes, gap, handler: this });
    this.#subscribers.add(arrival);
    return arrival;
  }

  #settleNext(arrival: Arrival): void {
    this.#parts.turns.next(() => {
      if (this.#arrival === arrival) this.#arrival = undefined;
      const subscriptions = arrival.settle();
      this.#subscribers.remove(arrival);
      for (const subscription of subscriptions) this.#subscribers.add(subscription);
    });
  }

  #recoveryFrom(since: View, before: Recovery | undefined): Recovery {
    const { cluster, clock } = this.#parts;
    const arrival = this.#arrive();
    const recovery = new Recovery({ topic: this, cluster, since, arrival, now: () => clock.monotonic() }, before);
    const settle = () => this.#settleNext(arrival);
    recovery.found.then(settle, settle);
    return recovery;
  }

  #tell(subscription: TopicSubscription): void {
    if (!subscription.answered) return;
    this.#parts.turns.next(() => {
      try {
        subscription.tell();
      } catch (error) {
        this.#parts.onError(this.space.namespace, error);
      }
    });
  }
}
