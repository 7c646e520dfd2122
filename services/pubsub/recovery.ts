import type { Message, Unrecovered } from "../../src/contracts/pubsub.ts";
import type { Arrival } from "./arrival.ts";
import type { Cluster, Heads, Missed, Range, View } from "./cluster/cluster.ts";
import { TopicMessage } from "./events.ts";
import { inOrder, type Placed } from "./order.ts";
import { covers, type Place, ViewPlace, Walk } from "./places.ts";
import type { TopicSubscription } from "./subscription.ts";
import type { Topic } from "./topic.ts";

/** Messages that one answer may hold where the topic keeps fewer: several gateways may have some. */
const MESSAGES = 1_000;

/** What came of looking for what was missed, and where one stands behind it. */
export interface Found {
  readonly place: Place;
  readonly missed: readonly Message[];
  readonly unrecovered: Unrecovered | undefined;
}

/** What a recovery is made of. */
export interface RecoveryParts {
  readonly topic: Topic;
  readonly cluster: Cluster;
  /** Where those stand who recover. */
  readonly since: View;
  /** What comes from now on waits here. */
  readonly arrival: Arrival;
  /** Milliseconds that never run backwards. */
  readonly now: () => number;
}

/**
 * What those missed who stood in one place. However many they are, it is looked for once for all who asked before that began: what
 * others have said by then need not be so any more for whoever asks later.
 */
export class Recovery {
  readonly found: Promise<Found>;
  readonly #arrival: Arrival;
  readonly #over = new AbortController();
  #hasBegun = false;
  #waiting = 0;

  /** @param before it begins when that one, of the same place, is over */
  constructor(parts: RecoveryParts, before: Recovery | undefined) {
    const { arrival, topic } = parts;
    this.#arrival = arrival;
    this.found = this.#find(parts, { heads: topic.log.heads(), place: topic.here }, before);
  }

  /** Whether who asks now is too late for it. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Fires when nobody waits for it any more. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** One more who waits. @param signal closes the subscription */
  async wait(subscription: TopicSubscription, signal: AbortSignal): Promise<Found> {
    this.#arrival.admitFromStart(subscription);
    this.#waiting++;
    const leave = () => {
      subscription.close();
      if (--this.#waiting === 0) this.#over.abort();
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      return await this.found;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  async #find(parts: RecoveryParts, begun: Parameters<typeof find>[1], before: Recovery | undefined): Promise<Found> {
    // Those who ask in the same turn are looked for together.
    await (before === undefined ? undefined : before.#settled());
    this.#hasBegun = true;
    return await find(parts, begun, this.#over.signal);
  }

  /** Resolves when it is over, or nobody waits for it any more. */
  #settled(): Promise<unknown> {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    if (this.signal.aborted) resolve();
    this.signal.addEventListener("abort", () => resolve(), { once: true });
    return Promise.race([left, this.found.catch(() => {})]);
  }
}

/** @param begun of this gateway's copy when things began to wait */
async function find(
  { topic, cluster, since, arrival, now }: RecoveryParts,
  begun: { readonly heads: Heads; readonly place: Place },
  signal: AbortSignal,
): Promise<Found> {
  const { maxQueueBytes: bytes, historySize } = topic.rules;
  const limits = { bytes, messages: Math.max(historySize, MESSAGES) };
  const missed = await cluster.missed(topic.key, since, limits, signal);
  if (arrival.overflowed) {
    arrival.restart();
    return { place: topic.here, missed: [], unrecovered: "too_much" };
  }
  const unrecovered = missed.complete ? doubtOf(missed, since, begun.heads) : missed.reason;
  if (!missed.complete || unrecovered !== undefined) return { place: begun.place, missed: [], unrecovered };
  const { messages, ids } = messagesOf(topic, missed.ranges, since, missed.view, since, now());
  arrival.goOnBehind(topic.sum, missed.view, ids);
  return { place: new ViewPlace(topic.sum, missed.view), missed: messages, unrecovered: undefined };
}

/**
 * Why an answer is no proof after all: something lies between a position and what was found, or between that and what waits. What
 * others answer is looked through before anybody is told that nothing is missing.
 * @param begun heads of this gateway's copy when things began to wait
 */
export function doubtOf(
  { ranges, view }: Extract<Missed, { readonly complete: true }>,
  since: View,
  begun: Heads,
): Unrecovered | undefined {
  for (const [epoch, head] of view.heads) {
    const after = since.heads.get(epoch) ?? (epoch > since.known ? 0 : head);
    let next = after + 1;
    for (const { from, entries } of ofEpoch(ranges, epoch)) {
      if (from > next) return "expired";
      next = Math.max(next, from + entries.length);
    }
    if (next !== head + 1) return "expired";
  }
  for (const [epoch, head] of begun) if (head > 0 && !covers(view, epoch, head)) return "unreachable";
  return undefined;
}

const ofEpoch = (ranges: readonly Range[], epoch: number) =>
  ranges.filter((range) => range.epoch === epoch).sort((a, b) => a.from - b.from);

/**
 * Messages of several epochs in the order in which they are handed over, and the names of those that have one. What came a second
 * time through another gateway is not among them, also where it came first before all of them.
 * @param start where their holder stands before them
 * @param end where their holder stands behind them
 * @param had what their holder had before them, if it had anything
 * @param now milliseconds that never run backwards
 */
export function messagesOf(
  topic: Pick<Topic, "key" | "sum" | "space">,
  ranges: readonly Range[],
  start: View,
  end: View,
  had: View | undefined,
  now: number,
): { readonly messages: readonly TopicMessage[]; readonly ids: ReadonlySet<string> } {
  const steps = inOrder(ranges).filter(({ epoch, offset }) => !covers(start, epoch, offset));
  const walk = new Walk(topic.sum, start, end, steps);
  const ids = new Set<string>();
  const isRepeated = ({ entry: { id } }: Placed) => {
    if (id === undefined) return false;
    const hadIt = had && topic.space.recent.placesOf(topic.key, id, now).some((at) => covers(had, at.epoch, at.offset));
    if (ids.has(id) || hadIt) return true;
    ids.add(id);
    return false;
  };
  const messages: TopicMessage[] = [];
  for (const [i, placed] of steps.entries()) {
    if (isRepeated(placed)) continue;
    messages.push(new TopicMessage(placed.entry, placed.epoch, placed.offset, walk.place(i)));
  }
  return { messages, ids };
}
