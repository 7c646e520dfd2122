import type { TopicDelivery } from "./delivery.ts";

/** Whoever has a place among the subscribers of a topic. */
export interface Slot {
  /** Whether it wants to hear of those who come and leave. */
  readonly presence: boolean;
  /** Its place; below 0 while it has none. Belongs to {@link Subscribers}. */
  place: number;
  /** @returns whether a subscriber has it, and not only waits for it */
  deliver(delivery: TopicDelivery): boolean;
}

/** What is told of handing things over. None of it may throw. */
export interface SubscribersHandler {
  /** So many were handed a delivery. */
  handed(delivery: TopicDelivery, subscribers: number): void;
  /** One threw: it is to be taken out. */
  failed(slot: Slot, error: unknown): void;
}

/** A delivery that waits for the one before it, and how many places there were when it came. */
interface Waiting {
  readonly delivery: TopicDelivery;
  readonly places: number;
}

/**
 * The subscribers of a topic. Each delivery is handed to those who were there when it came, in the order in which deliveries came,
 * whatever subscribers do meanwhile: come, leave, make others leave, or publish.
 */
export class Subscribers {
  readonly #slots: (Slot | undefined)[] = [];
  readonly #waiting: Waiting[] = [];
  #size = 0;
  /** While things are handed over nobody changes places: those who leave leave a hole, and those who come are behind all others. */
  #busy = false;

  constructor(private readonly handler: SubscribersHandler) {}

  get size(): number {
    return this.#size;
  }

  /** Takes in somebody who has no place. */
  add(slot: Slot): void {
    slot.place = this.#slots.push(slot) - 1;
    this.#size++;
  }

  /** Takes out whoever has a place. */
  remove(slot: Slot): void {
    const { place } = slot;
    if (place < 0) return;
    slot.place = -1;
    this.#size--;
    if (this.#busy) {
      this.#slots[place] = undefined;
      return;
    }
    const last = this.#slots.pop()!;
    if (last === slot) return;
    this.#slots[place] = last;
    last.place = place;
  }

  /** Takes out everyone. */
  clear(): void {
    for (let i = 0; i < this.#slots.length; i++) {
      if (this.#slots[i] !== undefined) this.#slots[i]!.place = -1;
      this.#slots[i] = undefined;
    }
    this.#size = 0;
    if (!this.#busy) this.#slots.length = 0;
  }

  /** Hands something to everyone; from within a delivery, behind it. */
  deliver(delivery: TopicDelivery): void {
    if (this.#busy) {
      this.#waiting.push({ delivery, places: this.#slots.length });
      return;
    }
    this.#busy = true;
    this.#hand(delivery, this.#slots.length);
    if (this.#waiting.length > 0) {
      for (let i = 0; i < this.#waiting.length; i++) this.#hand(this.#waiting[i]!.delivery, this.#waiting[i]!.places);
      this.#waiting.length = 0;
    }
    this.#busy = false;
    if (this.#size < this.#slots.length) this.#close();
  }

  #hand(delivery: TopicDelivery, places: number): void {
    const { isPresence } = delivery;
    let handed = 0;
    for (let i = 0; i < places; i++) {
      const slot = this.#slots[i];
      if (slot === undefined || isPresence && !slot.presence) continue;
      try {
        if (slot.deliver(delivery)) handed++;
      } catch (error) {
        this.handler.failed(slot, error);
      }
    }
    this.handler.handed(delivery, handed);
  }

  /** Closes the holes. */
  #close(): void {
    let place = 0;
    for (const slot of this.#slots) {
      if (slot === undefined) continue;
      slot.place = place;
      this.#slots[place++] = slot;
    }
    this.#slots.length = place;
  }
}
