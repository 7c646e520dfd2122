import type { Delivery, TopicEvent } from "../../src/contracts/pubsub.ts";

type Encode = (delivery: Delivery) => unknown;

/** What happened in a topic at once, the same object for all its subscribers. */
export class TopicDelivery implements Delivery {
  #encode: Encode | undefined;
  #encoded: unknown;
  /** What further functions made of it: nearly always there is one. */
  #others: Map<Encode, unknown> | undefined;

  /**
   * @param events at least one
   * @param messages how many of them are messages
   * @param bytes of their data
   */
  constructor(
    readonly topic: string,
    readonly events: readonly TopicEvent[],
    readonly messages: number,
    readonly bytes: number,
  ) {}

  /** Whether it tells who came or left. Such a one tells nothing else. */
  get isPresence(): boolean {
    const { kind } = this.events[0]!;
    return kind === "join" || kind === "leave";
  }

  as<Encoded>(encode: (delivery: Delivery) => Encoded): Encoded {
    if (this.#encode === encode) return this.#encoded as Encoded;
    if (this.#others?.has(encode)) return this.#others.get(encode) as Encoded;
    const encoded = encode(this);
    if (this.#encode === undefined) {
      this.#encode = encode;
      this.#encoded = encoded;
    } else {
      (this.#others ??= new Map()).set(encode, encoded);
    }
    return encoded;
  }
}
