import type { HistoryPage } from "../../src/contracts/pubsub.ts";
import type { Cluster, Heads, Range, View } from "./cluster/cluster.ts";
import { type Place, ViewPlace } from "./places.ts";
import { doubtOf, messagesOf } from "./recovery.ts";
import type { Space } from "./space.ts";

/** Of which topic something is looked up. */
export interface HistoryTopic {
  readonly key: string;
  readonly sum: number;
  readonly space: Space;
}

/** What of a topic is looked up. */
export interface HistorySearch {
  readonly topic: HistoryTopic;
  readonly cluster: Cluster;
  readonly limit: number;
  /** Heads of this gateway's copy. */
  readonly heads: Heads;
  /** Milliseconds that never run backwards. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** The oldest that anybody keeps. */
export async function oldestOf(search: HistorySearch): Promise<HistoryPage> {
  const { topic, cluster, signal } = search;
  const ranges = await cluster.kept(topic.key, signal);
  const { open, known } = cluster.view;
  const start = new Map<number, number>();
  for (const epoch of open) start.set(epoch, search.heads.get(epoch) ?? 0);
  for (const [epoch, { first }] of ends(ranges)) start.set(epoch, first - 1);
  return page(search, ranges, { heads: start, known }, undefined, undefined);
}

/** What came behind a view: all of it where that can be proved, else what anybody keeps. The topic has been joined. */
export async function behind(search: HistorySearch, since: View): Promise<HistoryPage> {
  const { topic, cluster, signal } = search;
  const limits = { bytes: topic.space.rules.maxHistoryBytes, messages: Number.MAX_SAFE_INTEGER };
  const missed = await cluster.missed(topic.key, since, limits, signal);
  if (missed.complete && doubtOf(missed, since, new Map()) === undefined) {
    return page(search, missed.ranges, since, missed.view, true);
  }
  return page(search, await cluster.kept(topic.key, signal), since, undefined, false);
}

/** @param end where one stands who has all of it; where nobody can say, behind the last of each epoch */
function page(
  { topic, limit, now }: HistorySearch,
  ranges: readonly Range[],
  start: View,
  end: View | undefined,
  complete: boolean | undefined,
): HistoryPage {
  const last = end ?? { heads: new Map([...start.heads, ...lastOf(ranges, start.heads)]), known: start.known };
  const had = complete === undefined ? undefined : start;
  const { messages } = messagesOf(topic, ranges, start, last, had, now);
  const shown = messages.slice(0, limit), more = messages.length > limit;
  const standing: Place = new ViewPlace(topic.sum, last);
  return { messages: shown, position: more ? shown.at(-1)?.position : standing.text, more, complete };
}

function ends(ranges: readonly Range[]): Map<number, { readonly first: number; readonly last: number }> {
  const ends = new Map<number, { readonly first: number; readonly last: number }>();
  for (const { epoch, from, entries } of ranges) {
    const { first, last } = ends.get(epoch) ?? { first: Infinity, last: 0 };
    ends.set(epoch, { first: Math.min(first, from), last: Math.max(last, from + entries.length - 1) });
  }
  return ends;
}

const lastOf = (ranges: readonly Range[], start: Heads) =>
  [...ends(ranges)].map(([epoch, { last }]) => [epoch, Math.max(last, start.get(epoch) ?? 0)] as const);
