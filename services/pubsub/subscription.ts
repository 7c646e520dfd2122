import type { Message, Subscriber, Subscription, Unrecovered } from "../../src/contracts/pubsub.ts";
import type { LocalMember } from "./cluster/cluster.ts";
import type { TopicDelivery } from "./delivery.ts";
import { NOWHERE, type Place } from "./places.ts";
import type { Share } from "./share.ts";
import type { Slot } from "./subscribers.ts";

/** How a subscription began. */
export interface Beginning {
  readonly place: Place;
  /** Messages of before, where they were asked for and found. */
  readonly missed: readonly Message[];
  readonly recovered: boolean | undefined;
  readonly unrecovered: Unrecovered | undefined;
}

/** What a subscription is of: where it gives back what it has. */
export interface Subscribed {
  /** Takes out a subscription that is over. */
  left(subscription: TopicSubscription): void;
}

/** One subscriber of a topic. */
export class TopicSubscription implements Subscription, Slot {
  place = -1;
  /** Of what waits for those who arrive: the first that is for this one. */
  from = 0;
  /** Whether its subscriber was told that it holds. */
  answered = false;
  recovered: boolean | undefined;
  unrecovered: Unrecovered | undefined;
  missed: readonly Message[] = [];
  /** As which it is present, from when it was answered. */
  member: LocalMember | undefined;
  #open = true;
  #place: Place = NOWHERE;

  constructor(
    private readonly topic: Subscribed,
    private readonly subscriber: Subscriber,
    readonly presence: boolean,
    readonly share: Share | undefined,
  ) {}

  get isOpen(): boolean {
    return this.#open;
  }

  get position(): string | undefined {
    return this.#place.text;
  }

  /** It is about to be answered. */
  begin({ place, missed, recovered, unrecovered }: Beginning): void {
    this.#place = place;
    this.missed = missed;
    this.recovered = recovered;
    this.unrecovered = unrecovered;
  }

  deliver(delivery: TopicDelivery): boolean {
    this.subscriber.deliver(delivery);
    return true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.topic.left(this);
  }

  /** Tells the subscriber that it is over. @throws what the subscriber throws */
  tell(): void {
    this.subscriber.ended();
  }
}
