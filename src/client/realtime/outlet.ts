import { Emitter } from "./emitter.ts";
import type { SubscriptionEvents, TopicEvent, TopicGap } from "./events.ts";

/** Takes what happens in a topic to listeners and iterators. Before there are any, it keeps it for the first, within its bound. */
export class Outlet<T> {
  readonly #topic: string;
  readonly #bound: number;
  readonly #emitter = new Emitter<SubscriptionEvents<T>>();
  readonly #queues = new Set<EventQueue<T>>();
  /** `undefined` as soon as somebody takes events. */
  #held: EventQueue<T> | undefined;
  #end: { readonly error: Error | undefined } | undefined;

  /** @param bound events that wait for one reader, at most */
  constructor(topic: string, bound: number) {
    this.#topic = topic;
    this.#bound = bound;
    this.#held = new EventQueue(topic, bound);
  }

  /** @returns what takes the listener away */
  on<Name extends keyof SubscriptionEvents<T>>(
    name: Name,
    listener: (event: SubscriptionEvents<T>[Name]) => void,
  ): () => void {
    // Listeners that are added in the same turn get what is held as well.
    if (name !== "state" && this.#held !== undefined) queueMicrotask(() => this.#release());
    return this.#emitter.on(name, listener);
  }

  /** Everything from now on, and for the first reader also what was before. */
  iterate(): AsyncGenerator<TopicEvent<T>, void, void> {
    const queue = this.#held ?? new EventQueue<T>(this.#topic, this.#bound);
    this.#held = undefined;
    if (this.#end === undefined) this.#queues.add(queue);
    else queue.end(this.#end.error);
    return queue.read(() => this.#queues.delete(queue));
  }

  /** Hands an event to whoever takes events. */
  put(event: TopicEvent<T>): void {
    if (this.#held !== undefined) return this.#held.put(event);
    this.#tell(event);
    for (const queue of this.#queues) queue.put(event);
  }

  /** Tells of a change of state, which no iterator gives. */
  tellState(event: SubscriptionEvents<T>["state"]): void {
    this.#emitter.emit("state", event);
  }

  /** Nothing comes any more. @param error what iterators throw behind what waits; without one, what waits is dropped */
  end(error: Error | undefined): void {
    this.#end ??= { error };
    for (const queue of [this.#held, ...this.#queues]) queue?.end(error);
    this.#queues.clear();
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (let event = held?.take(); event !== undefined; event = held?.take()) {
      this.put(event);
      if (this.#end !== undefined && this.#end.error === undefined) return;
    }
  }

  #tell(event: TopicEvent<T>): void {
    switch (event.kind) {
      case "message":
        return this.#emitter.emit("message", event);
      case "join":
      case "leave":
        return this.#emitter.emit(event.kind, event);
      case "gap":
        return this.#emitter.emit("gap", event);
      case "recovered":
        return this.#emitter.emit("recovered", event);
    }
  }
}

/** Events that wait for a reader. Beyond the bound the oldest go, and a gap stands for them. */
class EventQueue<T> {
  readonly #topic: string;
  readonly #bound: number;
  #events: TopicEvent<T>[] = [];
  /** Where the next one lies: moving all for each would make a long queue slow. */
  #next = 0;
  #overflow: TopicGap | undefined;
  /** Of the message that was read last, and behind which a gap begins. */
  #read: string | undefined;
  #wake = () => {};
  #end: { readonly error: Error | undefined } | undefined;

  constructor(topic: string, bound: number) {
    this.#topic = topic;
    this.#bound = bound;
  }

  put(event: TopicEvent<T>): void {
    this.#events.push(event);
    if (this.#events.length - this.#next > this.#bound) {
      const gone = this.#shift();
      const position = gone !== undefined && "position" in gone ? gone.position : this.#overflow?.position;
      this.#overflow = { kind: "gap", topic: this.#topic, reason: "overflow", since: this.#read, position };
    }
    this.#wake();
  }

  end(error: Error | undefined): void {
    this.#end = { error };
    if (error === undefined) {
      this.#events = [];
      this.#next = 0;
      this.#overflow = undefined;
    }
    this.#wake();
  }

  take(): TopicEvent<T> | undefined {
    const event = this.#overflow ?? this.#shift();
    this.#overflow = undefined;
    if (event !== undefined && "position" in event) this.#read = event.position;
    return event;
  }

  async *read(left: () => void): AsyncGenerator<TopicEvent<T>, void, void> {
    try {
      for (;;) {
        for (let event = this.take(); event !== undefined; event = this.take()) yield event;
        if (this.#end?.error !== undefined) throw this.#end.error;
        if (this.#end !== undefined) return;
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      left();
    }
  }

  #shift(): TopicEvent<T> | undefined {
    if (this.#next === this.#events.length) return undefined;
    const event = this.#events[this.#next++];
    if (this.#next * 2 > this.#events.length && (this.#next > 64 || this.#next === this.#events.length)) {
      this.#events = this.#events.slice(this.#next);
      this.#next = 0;
    }
    return event;
  }
}
