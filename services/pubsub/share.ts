import type { PubSubCaller } from "../../src/contracts/pubsub.ts";
import { shareOf } from "../../src/contracts/settings.ts";
import { PublishRate } from "./publish_rate.ts";
import type { Space } from "./space.ts";
import type { Topic } from "./topic.ts";

/** What one caller has of a namespace on this gateway. */
export class Share {
  /** What it is called; see {@link PubSubCaller}. */
  readonly name: string;
  readonly rate = new PublishRate();
  /** Topics without subscribers of which something is kept that it published last, the one of longest ago first. */
  readonly kept = new Set<Topic>();
  readonly #isGuest: boolean;
  /** Its subscriptions, by topic. */
  readonly #subscribed = new Map<Topic, number>();

  constructor(private readonly space: Space, { caller, isGuest = false }: PubSubCaller) {
    this.name = caller;
    this.#isGuest = isGuest;
  }

  /** Topics that it has. */
  get topics(): number {
    return this.#subscribed.size + this.kept.size;
  }

  /** Topics that it may have. */
  get mostTopics(): number {
    return this.#of(this.space.rules.maxTopics);
  }

  /** Messages that it may publish per second; 0: any number. */
  get publishRate(): number {
    const { publishRate } = this.space.rules;
    return publishRate > 0 ? this.#of(publishRate) : 0;
  }

  /** Whether a topic is one of them. */
  has(topic: Topic): boolean {
    return this.#subscribed.has(topic) || this.kept.has(topic);
  }

  subscribed(topic: Topic): void {
    this.#subscribed.set(topic, (this.#subscribed.get(topic) ?? 0) + 1);
  }

  unsubscribed(topic: Topic): void {
    const left = (this.#subscribed.get(topic) ?? 0) - 1;
    if (left > 0) this.#subscribed.set(topic, left);
    else this.#subscribed.delete(topic);
  }

  /** Whether it may be forgotten without being kinder for it. */
  isIdle(now: number): boolean {
    return this.topics === 0 && this.rate.isIdle(now);
  }

  #of(all: number): number {
    return shareOf(all, this.space.rules, this.#isGuest);
  }
}
