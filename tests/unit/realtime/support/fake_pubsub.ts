import { GatewayError } from "../../../../src/contracts/errors.ts";
import type {
  Delivery,
  Member,
  Message,
  Payload,
  PublishOptions,
  PubSub,
  SubscribeOptions,
  Subscriber,
  Subscription,
  TopicEvent,
} from "../../../../src/contracts/pubsub.ts";

/** Events of a topic as a delivery. */
export function deliveryOf(topic: string, ...events: TopicEvent[]): Delivery {
  const made = new Map<unknown, unknown>();
  const delivery: Delivery = {
    topic,
    events,
    as(encode) {
      if (!made.has(encode)) made.set(encode, encode(delivery));
      return made.get(encode) as ReturnType<typeof encode>;
    },
  };
  return delivery;
}

/** A message of a text: JSON where it is one. */
export const messageOf = (data: string, position?: string): Message => ({
  kind: "message",
  data: new TextEncoder().encode(data),
  json: true,
  at: 1_700_000_000_000,
  position,
});

interface Held {
  readonly subscriber: Subscriber;
  readonly options: SubscribeOptions;
}

/** Topics in memory, without history. */
export class FakePubSub {
  /** What was published, as text. */
  readonly published: { topic: string; messages: string[]; options: PublishOptions; caller: string }[] = [];
  readonly topics = new Map<string, Set<Held>>();
  present: Member[] = [];
  /** Thrown by the next publication. */
  refusal: GatewayError | undefined;
  /** Publications and subscriptions wait for it. */
  gate: Promise<void> | undefined;
  /** What the next subscriptions begin with. */
  beginning: Partial<Subscription> = {};

  /** As a service. */
  get service(): PubSub {
    return this as unknown as PubSub;
  }

  publish(
    namespace: string,
    topic: string,
    messages: readonly Payload[],
    options: PublishOptions,
    { caller }: { readonly caller: string },
  ) {
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal) throw refusal;
    const work = () => {
      const texts = messages.map(({ data }) => new TextDecoder().decode(data));
      this.published.push({ topic, messages: texts, options, caller });
      const events = messages.map(({ data, json }) => ({ ...messageOf("", `p${this.published.length}`), data, json }));
      this.deliver(namespace, deliveryOf(topic, ...events));
      return { position: `p${this.published.length}`, repeated: false };
    };
    return this.gate ? this.gate.then(work) : work();
  }

  async subscribe(
    namespace: string,
    topic: string,
    subscriber: Subscriber,
    options: SubscribeOptions,
  ): Promise<Subscription> {
    await this.gate;
    const held = { subscriber, options };
    const key = `${namespace}/${topic}`;
    this.topics.set(key, (this.topics.get(key) ?? new Set()).add(held));
    return {
      position: undefined,
      recovered: undefined,
      unrecovered: undefined,
      missed: [],
      close: () => void this.topics.get(key)?.delete(held),
      ...this.beginning,
    };
  }

  /** Hands something to all subscribers of its topic. */
  deliver(namespace: string, delivery: Delivery): void {
    for (const { subscriber } of this.topics.get(`${namespace}/${delivery.topic}`) ?? []) subscriber.deliver(delivery);
  }

  /** How many subscriptions there are to a topic. */
  count(namespace: string, topic: string): number {
    return this.topics.get(`${namespace}/${topic}`)?.size ?? 0;
  }

  /** Ends all of a topic, as when its namespace is deleted. */
  end(namespace: string, topic: string): void {
    for (const { subscriber } of this.topics.get(`${namespace}/${topic}`) ?? []) subscriber.ended();
  }

  members(): readonly Member[] {
    return this.present;
  }

  history() {
    return Promise.resolve({ messages: [messageOf("1", "p1")], position: "p1", more: false, complete: undefined });
  }
}
