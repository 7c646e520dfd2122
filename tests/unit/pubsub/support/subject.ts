import type {
  Delivery,
  HistoryPage,
  Message,
  Payload,
  Published,
  PublishOptions,
  SubscribeOptions,
  Subscriber,
  Subscription,
  TopicEvent,
} from "../../../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../../../src/contracts/request.ts";
import type { PubSubRules } from "../../../../src/contracts/settings.ts";
import { Alone } from "../../../../services/pubsub/cluster/alone.ts";
import type {
  Cluster,
  LocalTopics,
  Missed,
  Range,
  TopicKey,
  View,
} from "../../../../services/pubsub/cluster/cluster.ts";
import { PubSubService, type PubSubServiceOptions } from "../../../../services/pubsub/service.ts";
import { FakeClock } from "../../cache/support/fake_clock.ts";

/** What a namespace may do in a test that says nothing else. */
export const RULES: PubSubRules = {
  maxMessageBytes: 2 ** 20,
  historySize: 100,
  historyTtl: 300_000,
  maxHistoryBytes: 16 * 2 ** 20,
  publishRate: 0,
  maxSockets: 100,
  maxTopics: 10_000,
  maxTopicsPerSocket: 100,
  credentialShare: 100,
  guestShare: 100,
  maxQueueBytes: 2 ** 20,
  slowPolicy: "drop",
  maxMetaBytes: 4_096,
  origins: undefined,
};

/** A request whose signal nobody may ask for: making it costs more than publishing. */
export const QUICK = {
  requestId: "test",
  clientAddress: "127.0.0.1",
  caller: "alice",
  get signal(): AbortSignal {
    throw new Error("the signal was asked for");
  },
};

/** A request of a caller. */
export const requestOf = (
  caller = "alice",
  signal = new AbortController().signal,
): RequestContext & { caller: string } => ({ requestId: "test", clientAddress: "127.0.0.1", caller, signal });

/** A message of a text. */
export const text = (content: string): Payload => ({ data: new TextEncoder().encode(content), json: false });

/** What a message says. */
export const said = ({ data }: Payload): string => new TextDecoder().decode(data);

/** Events in one line each. */
export const lines = (events: readonly TopicEvent[]): string[] =>
  events.map((event) => {
    switch (event.kind) {
      case "message":
        return said(event);
      case "gap":
        return `gap ${event.reason}`;
      default:
        return `${event.kind} ${event.member.id}`;
    }
  });

/** Takes everything down. */
export class Listener implements Subscriber {
  readonly deliveries: Delivery[] = [];
  ends = 0;
  /** What it does with each delivery. */
  does: (delivery: Delivery) => void = () => {};

  get events(): TopicEvent[] {
    return this.deliveries.flatMap(({ events }) => events);
  }

  get lines(): string[] {
    return lines(this.events);
  }

  get messages(): Message[] {
    return this.events.filter((event) => event.kind === "message");
  }

  deliver(delivery: Delivery): void {
    this.deliveries.push(delivery);
    this.does(delivery);
  }

  ended(): void {
    this.ends++;
  }
}

/** A cluster whose other gateways are the test. */
export class ScriptedCluster extends Alone {
  readonly local: LocalTopics;
  readonly joins: TopicKey[] = [];
  readonly leaves: TopicKey[] = [];
  readonly published: (readonly [TopicKey, Range])[] = [];
  readonly watchedKeys = new Set<TopicKey>();
  seen: Cluster["view"] | undefined;
  joining: () => Promise<void> = () => Promise.resolve();
  finding: ((...args: Parameters<Cluster["missed"]>) => Promise<Missed>) | undefined;
  keeping: ((key: TopicKey) => Promise<readonly Range[]>) | undefined;

  constructor(topics: LocalTopics, epoch: () => number | undefined) {
    super({ topics, epoch });
    this.local = topics;
  }

  override get view(): Cluster["view"] {
    return this.seen ?? super.view;
  }

  override join(key: TopicKey = ""): Promise<void> {
    this.joins.push(key);
    return this.joining();
  }

  override leave(key: TopicKey = ""): void {
    this.leaves.push(key);
  }

  override watched(key: TopicKey = ""): boolean {
    return this.watchedKeys.has(key);
  }

  override publish(key?: TopicKey, range?: Range): void {
    this.published.push([key!, range!]);
  }

  override missed(
    key: TopicKey,
    since: View,
    limits: { readonly bytes: number; readonly messages: number },
    signal = new AbortController().signal,
  ): Promise<Missed> {
    return this.finding?.(key, since, limits, signal) ?? super.missed(key, since, limits);
  }

  /** What it answers by itself. */
  findHere(key: TopicKey, since: View, limits: { bytes: number; messages: number }): Promise<Missed> {
    return super.missed(key, since, limits);
  }

  override kept(key: TopicKey): Promise<readonly Range[]> {
    return this.keeping?.(key) ?? super.kept(key);
  }
}

/** The service on a clock that stands still. */
export class Subject {
  readonly clock = new FakeClock();
  readonly errors: unknown[] = [];
  readonly service: PubSubService;
  cluster!: ScriptedCluster;
  epoch: number | undefined = 1;
  rules: PubSubRules;

  constructor(rules: Partial<PubSubRules> = {}, options: Partial<PubSubServiceOptions> = {}) {
    this.rules = { ...RULES, ...rules };
    this.service = new PubSubService({
      cluster: (topics) => this.cluster = new ScriptedCluster(topics, () => this.epoch),
      rulesOf: () => this.rules,
      driver: "test",
      clock: this.clock,
      onError: (_namespace, error) => this.errors.push(error),
      ...options,
    });
  }

  get local(): LocalTopics {
    return this.cluster.local;
  }

  /** Publishes texts in one call, at once. */
  publish(topic: string, texts: string | readonly string[], options: PublishOptions = {}, caller = "alice"): Published {
    const payloads = [texts].flat().map(text);
    const published = this.service.publish("n", topic, payloads, options, { ...requestOf(caller) });
    if (published instanceof Promise) throw new Error("it was waited for something");
    return published;
  }

  /** Subscribes somebody new, who hears of what comes from the next turn on. */
  async listen(
    topic: string,
    options: SubscribeOptions = {},
  ): Promise<{ listener: Listener; subscription: Subscription }> {
    const listener = new Listener();
    const subscription = await this.subscribe(topic, listener, options);
    await this.turn();
    return { listener, subscription };
  }

  subscribe(topic: string, subscriber: Subscriber, options: SubscribeOptions = {}): Promise<Subscription> {
    return this.service.subscribe("n", topic, subscriber, options, requestOf());
  }

  history(topic: string, since?: string, limit = 100): Promise<HistoryPage> {
    return this.service.history("n", topic, { since, limit }, requestOf());
  }

  /** The next turn of the event loop. */
  async turn(): Promise<void> {
    await this.clock.advance(0);
  }
}
