import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type {
  HistoryPage,
  HistoryQuery,
  Member,
  Payload,
  Published,
  PublishOptions,
  PubSub,
  PubSubCaller,
  PubSubFigures,
  SubscribeOptions,
  Subscriber,
  Subscription,
} from "../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import { type Clock, SYSTEM_CLOCK } from "../clock/clock.ts";
import type { Cluster, LocalMember, LocalTopics, View } from "./cluster/cluster.ts";
import { deleted, invalid, stopping } from "./failures.ts";
import { Figures } from "./figures.ts";
import { behind, type HistorySearch, oldestOf } from "./history.ts";
import { checkName, keyOf } from "./names.ts";
import { readPosition, sumOf } from "./position.ts";
import { Publisher } from "./publisher.ts";
import type { Space } from "./space.ts";
import type { TopicSubscription } from "./subscription.ts";
import type { Topic } from "./topic.ts";
import { Topics } from "./topics.ts";

/** What the service is told. */
export interface PubSubServiceOptions {
  /** Makes what stands between this gateway's topics and the others. It asks nothing of the topics before it has returned. */
  readonly cluster: (topics: LocalTopics) => Cluster;
  /** What holds in a namespace. */
  readonly rulesOf: (namespace: string, request: Pick<RequestContext, "signal">) => PubSubRules | Promise<PubSubRules>;
  /** What the driver is called in `/v1/status`. */
  readonly driver: string;
  /** Bytes of history that all namespaces have together. Default 256 MiB. */
  readonly maxHistoryBytes?: number | undefined;
  /** Subscriptions that a namespace may have on this gateway. Default 250,000. */
  readonly maxSubscriptions?: number | undefined;
  /** Topics whose heads are remembered when nothing else of them is. Default 100,000. */
  readonly rememberedHeads?: number | undefined;
  /** Default: this machine's. */
  readonly clock?: Clock | undefined;
  /** Told of a subscriber that threw, and was therefore ended. */
  readonly onError: (namespace: string, error: unknown) => void;
}

const MAX_HISTORY_BYTES = 256 * 2 ** 20;
const MAX_SUBSCRIPTIONS = 250_000;

/** Live messages of this gateway's subscribers. What other gateways have to do with them is the cluster's. */
export class PubSubService implements PubSub {
  readonly #options: PubSubServiceOptions;
  readonly #clock: Clock;
  readonly #figures = new Figures();
  readonly #topics: Topics;
  readonly #publisher: Publisher;
  /** What is asked for outside of any request. */
  readonly #background = new AbortController();
  #connections = 0;
  #closed = false;

  constructor(options: PubSubServiceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#topics = new Topics({
      cluster: options.cluster,
      rulesOf: (namespace) => this.#rulesAtHand(namespace),
      clock: this.#clock,
      figures: this.#figures,
      maxHistoryBytes: options.maxHistoryBytes ?? MAX_HISTORY_BYTES,
      rememberedHeads: options.rememberedHeads,
      onError: options.onError,
    });
    this.#publisher = new Publisher({ topics: this.#topics, clock: this.#clock, figures: this.#figures });
  }

  publish(
    namespace: string,
    topic: string,
    messages: readonly Payload[],
    options: PublishOptions,
    request: RequestContext & PubSubCaller,
  ): Published | Promise<Published> {
    const rules = this.#options.rulesOf(namespace, request);
    return rules instanceof Promise
      ? rules.then((rules) => this.#publisher.publish(this.#space(namespace, rules), topic, messages, options, request))
      : this.#publisher.publish(this.#space(namespace, rules), topic, messages, options, request);
  }

  async subscribe(
    namespace: string,
    topic: string,
    subscriber: Subscriber,
    options: SubscribeOptions,
    request: RequestContext & Partial<PubSubCaller>,
  ): Promise<Subscription> {
    checkName(topic, "topic");
    const { caller, isGuest } = request;
    const { since, member, presence = true } = options;
    const key = keyOf(namespace, topic);
    const from = since === undefined ? undefined : { text: since, view: readPosition(sumOf(key), since) };
    const ruling = this.#options.rulesOf(namespace, request);
    const rules = ruling instanceof Promise ? await ruling : ruling;
    if (member !== undefined) checkMember(member, rules);
    const space = this.#space(namespace, rules);
    const most = this.#options.maxSubscriptions ?? MAX_SUBSCRIPTIONS;
    if (space.subscriptions >= most) {
      const sentence = `this namespace has ${most} subscriptions on this gateway already, which is the most`;
      throw new GatewayError("TOO_MANY_SUBSCRIPTIONS", sentence, { retryAfter: 1 });
    }
    const share = caller === undefined ? undefined : space.shareOf({ caller, isGuest });
    const found = this.#topics.forReader(space, topic, share);
    const subscription = found.open(subscriber, presence, share);
    try {
      await this.#begin(found, subscription, from, request);
      if (!subscription.isOpen) throw this.#closed ? stopping() : deleted();
    } catch (error) {
      subscription.close();
      throw error;
    }
    if (member !== undefined) found.enter(subscription, this.#connectionOf(member));
    subscription.answered = true;
    return subscription;
  }

  topics(namespace: string): readonly string[] {
    const topics = this.#topics.spaces.known(namespace)?.topics.values() ?? [];
    return [...topics].filter(({ subscriptions }) => subscriptions > 0).map(({ name }) => name).sort();
  }

  members(namespace: string, topic: string): readonly Member[] {
    return this.#topics.cluster.members(keyOf(namespace, topic));
  }

  async history(
    namespace: string,
    topic: string,
    { since, limit }: HistoryQuery,
    request: RequestContext,
  ): Promise<HistoryPage> {
    checkName(topic, "topic");
    if (!Number.isSafeInteger(limit) || limit < 1) throw invalid("limit", "must be a positive integer");
    const key = keyOf(namespace, topic), sum = sumOf(key);
    const view = since === undefined ? undefined : readPosition(sum, since);
    const ruling = this.#options.rulesOf(namespace, request);
    const space = this.#space(namespace, ruling instanceof Promise ? await ruling : ruling);
    if (!space.keeps) {
      return { messages: [], position: undefined, more: false, complete: view === undefined ? undefined : false };
    }
    const { cluster } = this.#topics, { signal } = request;
    const heads = space.topics.get(topic)?.log.heads() ?? new Map<number, number>();
    const search = { topic: { key, sum, space }, cluster, limit, heads, now: this.#clock.monotonic(), signal };
    return view === undefined ? await oldestOf(search) : await this.#visit(topic, search, view);
  }

  figures(): PubSubFigures {
    const { published, delivered, duplicates, forgotten, recovered, gaps, unrecovered } = this.#figures;
    const { retention, cluster } = this.#topics;
    const all = [...this.#topics.spaces];
    return {
      topics: this.#topics.size,
      subscriptions: all.reduce((sum, { subscriptions }) => sum + subscriptions, 0),
      members: all.reduce((sum, { members }) => sum + members, 0),
      historyMessages: retention.messages,
      historyBytes: retention.bytes,
      published,
      delivered,
      duplicates: duplicates + cluster.counts.duplicates,
      refused: cluster.counts.refused,
      forgotten: { ...forgotten },
      gaps: { ...gaps },
      recovered,
      unrecovered: { ...unrecovered },
    };
  }

  purge(namespace: string): Promise<void> {
    this.#topics.purge(namespace);
    return Promise.resolve();
  }

  usage(namespace: string): Promise<Usage> {
    const { topics, subscriptions = 0, members = 0, messages = 0, bytes = 0 } = this.#topics.spaces.known(namespace) ??
      {};
    return Promise.resolve({
      topics: topics?.size ?? 0,
      subscriptions,
      members,
      history_messages: messages,
      history_bytes: bytes,
    });
  }

  health(): Promise<ServiceHealth> {
    const { driver } = this.#options;
    if (this.#closed) return Promise.resolve({ status: "down", driver, reason: "it was closed" });
    if (this.#topics.cluster.epoch !== undefined) return Promise.resolve({ status: "ok", driver });
    const reason = "the control plane has not numbered this gateway yet: messages pass, and nothing can be recovered";
    return Promise.resolve({ status: "degraded", driver, reason });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#background.abort();
    this.#topics.close();
    await new Promise<void>((resolve) => this.#topics.turns.next(resolve));
  }

  async #begin(
    topic: Topic,
    subscription: TopicSubscription,
    since: { readonly text: string; readonly view: View } | undefined,
    request: RequestContext,
  ): Promise<void> {
    const joining = topic.join();
    if (joining !== undefined) {
      await joining;
      request.signal.throwIfAborted();
      if (!subscription.isOpen) return;
    }
    if (since === undefined) return topic.admit(subscription);
    if (!topic.space.keeps) topic.admit(subscription, "no_history");
    else if (this.#topics.cluster.epoch === undefined) topic.admit(subscription, "unreachable");
    else await topic.recover(subscription, since, request.signal);
    request.signal.throwIfAborted();
    if (subscription.unrecovered === undefined) this.#figures.recovered++;
    else this.#figures.unrecovered[subscription.unrecovered]++;
  }

  async #visit(name: string, search: HistorySearch, view: View): Promise<HistoryPage> {
    const topic = this.#topics.forReader(search.topic.space, name);
    topic.visits++;
    try {
      await topic.join();
      return await behind(search, view);
    } finally {
      topic.visits--;
      this.#topics.release(topic);
    }
  }

  #space(namespace: string, rules: PubSubRules): Space {
    if (this.#closed) throw stopping();
    return this.#topics.spaces.of(namespace, rules);
  }

  #rulesAtHand(namespace: string): PubSubRules | undefined {
    const rules = this.#options.rulesOf(namespace, this.#background);
    return rules instanceof Promise ? undefined : rules;
  }

  #connectionOf({ id, meta }: NonNullable<SubscribeOptions["member"]>): LocalMember {
    return { connection: ++this.#connections, id, meta, joinedAt: this.#clock.now() };
  }
}

function checkMember({ id, meta }: NonNullable<SubscribeOptions["member"]>, { maxMetaBytes }: PubSubRules): void {
  checkName(id, "member_id");
  const bytes = meta === undefined ? 0 : Buffer.byteLength(JSON.stringify(meta));
  if (bytes > maxMetaBytes) throw invalid("member_meta", `has ${bytes} bytes as JSON; the most is ${maxMetaBytes}`);
}
