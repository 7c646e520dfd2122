import type { TopicEvent } from "../../src/contracts/pubsub.ts";
import type { View } from "./cluster/cluster.ts";
import { TopicDelivery } from "./delivery.ts";
import { TopicGap, TopicMessage } from "./events.ts";
import { covers, JointPlace, LivePlace, type Place } from "./places.ts";
import type { Slot, SubscribersHandler } from "./subscribers.ts";
import type { TopicSubscription } from "./subscription.ts";

/** What an event that waits takes beside its data, in bytes. */
const EVENT_COST = 64;

/** What an arrival is made of. */
export interface ArrivalParts {
  /** Bytes that may wait. */
  readonly maxBytes: number;
  /** What is told in place of what could not wait. */
  readonly gap: () => TopicDelivery;
  readonly handler: SubscribersHandler;
}

/**
 * Subscribers who are about to have a place of their own: what comes meanwhile waits here, once for all of them. They wait for what
 * they missed, if for anything, and then for the next turn of the event loop, in which they know that they are subscribed.
 */
export class Arrival implements Slot {
  readonly presence = true;
  place = -1;
  readonly #members: TopicSubscription[] = [];
  readonly #parts: ArrivalParts;
  #held: TopicDelivery[] = [];
  #bytes = 0;
  #overflowed = false;

  constructor(parts: ArrivalParts) {
    this.#parts = parts;
  }

  /** Whether more came than may wait, so that it was dropped. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** One more, for whom what comes from now on is to wait. */
  admit(subscription: TopicSubscription): void {
    subscription.from = this.#held.length;
    this.#members.push(subscription);
  }

  /** One more, for whom all is that waits. */
  admitFromStart(subscription: TopicSubscription): void {
    this.#members.push(subscription);
  }

  deliver(delivery: TopicDelivery): boolean {
    this.#bytes += delivery.bytes + EVENT_COST * delivery.events.length;
    if (this.#bytes <= this.#parts.maxBytes) {
      this.#held.push(delivery);
      return false;
    }
    this.restart();
    this.#overflowed = true;
    this.#held.push(this.#parts.gap());
    return false;
  }

  /** Drops all that waits. */
  restart(): void {
    this.#held = [];
    this.#bytes = 0;
    this.#overflowed = false;
    for (const member of this.#members) member.from = 0;
  }

  /**
   * What waits is handed over behind what was missed: what of it was among that goes, and who has the rest has both.
   * @param end where those stand who have what they missed
   * @param ids what named messages they have
   */
  goOnBehind(sum: number, end: View, ids: ReadonlySet<string>): void {
    this.#held = this.#held.flatMap((delivery) => {
      if (delivery.isPresence) return [delivery];
      const events: TopicEvent[] = [];
      let messages = 0, bytes = 0;
      const behind = (place: Place) => place instanceof LivePlace ? new JointPlace(sum, end, place) : place;
      for (const event of delivery.events) {
        if (event instanceof TopicMessage) {
          if (covers(end, event.epoch, event.offset) || event.id !== undefined && ids.has(event.id)) continue;
          events.push(new TopicMessage(event, event.epoch, event.offset, behind(event.place)));
          messages++;
          bytes += event.data.byteLength;
        } else if (event instanceof TopicGap) {
          events.push(new TopicGap(event.reason, behind(event.place)));
        }
      }
      return events.length === 0 ? [] : [new TopicDelivery(delivery.topic, events, messages, bytes)];
    });
  }

  /** Hands over what waits, with all that comes of it. @returns those who are still there */
  settle(): TopicSubscription[] {
    const { handler } = this.#parts;
    let held = this.#held;
    for (let i = 0; i < held.length; i++) {
      const delivery = held[i]!;
      handler.handed(delivery, this.#hand(delivery, i));
      if (held === this.#held) continue;
      // What comes of it is more than may wait, too.
      held = this.#held;
      i = -1;
    }
    return this.#members.filter(({ isOpen }) => isOpen);
  }

  #hand(delivery: TopicDelivery, number: number): number {
    const { isPresence } = delivery;
    let handed = 0;
    for (const member of this.#members) {
      if (!member.isOpen || number < member.from || isPresence && !member.presence) continue;
      try {
        member.deliver(delivery);
        handed++;
      } catch (error) {
        this.#parts.handler.failed(member, error);
      }
    }
    return handed;
  }
}
