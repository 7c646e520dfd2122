import type { Gap, Unrecovered } from "../../../../src/contracts/pubsub.ts";

/** What one client saw of one topic, in order. */
export type Seen =
  /** It began anew: it stands at what had been published by then. */
  | { readonly type: "begin"; readonly heads: ReadonlyMap<number, number>; readonly why: Unrecovered | undefined }
  /** It came back, and was told that what follows is all that it missed. */
  | { readonly type: "recovered" }
  | { readonly type: "message"; readonly id: string }
  | { readonly type: "gap"; readonly reason: Gap["reason"]; readonly at: number }
  | { readonly type: "join" | "leave"; readonly member: string };

/** What one client saw of one topic. */
export interface History {
  readonly client: string;
  readonly topic: string;
  readonly seen: Seen[];
  /** Whether it is subscribed at the end, when everything has healed. */
  readonly isThere: boolean;
}

/** What really happened. */
export interface Truth {
  /** By topic and epoch, in the order in which its gateway took them. */
  readonly published: ReadonlyMap<string, ReadonlyMap<number, readonly string[]>>;
  /** When each message was published. */
  readonly times: ReadonlyMap<string, number>;
  /** Epochs of gateways that ended without a word. */
  readonly lost: ReadonlySet<number>;
  /** Those that are open at the end. */
  readonly open: ReadonlySet<number>;
  /** Who is present at the end, by topic, with how many connections. */
  readonly present: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

interface Place {
  readonly epoch: number;
  readonly index: number;
}

/** How far somebody is in one epoch. */
interface Follow {
  /** The number of the last message that it has, and whether it saw that one or only stands behind it. */
  last: number;
  saw: boolean;
  /** What was told since, and when last. */
  readonly gaps: Map<Gap["reason"], number>;
}

/** Holds what a client saw against what happened. @returns what is wrong; nothing if all is well */
export function check(history: History, truth: Truth): string[] {
  const wrong: string[] = [];
  const published = truth.published.get(history.topic) ?? new Map<number, readonly string[]>();
  const places = new Map<string, Place>();
  for (const [epoch, ids] of published) for (const [i, id] of ids.entries()) places.set(id, { epoch, index: i + 1 });
  const who = `${history.client} in ${history.topic}`;
  // What was told before a message was published does not speak of it.
  const explained = (epoch: number, last: number, { gaps }: Follow) => {
    const at = truth.times.get(published.get(epoch)![last - 1]!)!;
    return (gaps.get("expired") ?? -1) >= at || (truth.lost.has(epoch) && (gaps.get("gateway_lost") ?? -1) >= at);
  };
  let begun: ReadonlyMap<number, number> | undefined;
  let told = new Map<Gap["reason"], number>();
  let follows = new Map<number, Follow>();
  const followOf = (epoch: number) => {
    let follow = follows.get(epoch);
    if (follow === undefined) {
      follows.set(epoch, follow = { last: begun?.get(epoch) ?? 0, saw: false, gaps: new Map(told) });
    }
    return follow;
  };
  /** What was told of each member in this subscription: who comes back asks who is there. */
  let present = new Map<string, string>();
  for (const [number, seen] of history.seen.entries()) {
    const at = `${who}, ${number}`;
    switch (seen.type) {
      case "begin":
        begun = seen.heads;
        told = new Map();
        follows = new Map();
        present = new Map();
        break;
      case "recovered":
        if (begun === undefined) wrong.push(`${at}: recovered what never began`);
        present = new Map();
        break;
      case "gap":
        told.set(seen.reason, seen.at);
        for (const { gaps } of follows.values()) gaps.set(seen.reason, seen.at);
        break;
      case "message": {
        const place = places.get(seen.id);
        if (place === undefined) {
          wrong.push(`${at}: ${seen.id} was never published there`);
          break;
        }
        const follow = followOf(place.epoch);
        const { last, saw } = follow;
        // Whoever only stands somewhere may be handed older ones: they came late.
        if (saw && place.index <= last) wrong.push(`${at}: ${seen.id} (${place.epoch}:${place.index}) behind ${last}`);
        else if (place.index > last + 1 && !explained(place.epoch, place.index - 1, follow)) {
          wrong.push(`${at}: ${place.epoch}:${last + 1} is missing before ${place.index}, and nothing was told`);
        }
        follow.last = place.index;
        follow.saw = true;
        follow.gaps.clear();
        break;
      }
      default:
        if ((present.get(seen.member) ?? (seen.type === "join" ? "leave" : "join")) === seen.type) {
          wrong.push(`${at}: a second ${seen.type} of ${seen.member}`);
        }
        present.set(seen.member, seen.type);
    }
  }
  if (!history.isThere) return wrong;
  for (const [epoch, ids] of published) {
    const follow = followOf(epoch);
    // Whoever was handed older ones that came late is to have all behind them too.
    if (follow.last < ids.length && !explained(epoch, ids.length, follow)) {
      wrong.push(`${who}, at the end: ${epoch}:${follow.last + 1} to ${ids.length} is missing, and nothing was told`);
    }
  }
  const there = truth.present.get(history.topic);
  for (const [member, last] of present) {
    if ((last === "join") !== (there?.has(member) === true)) {
      wrong.push(`${who}, at the end: the last of ${member} is ${last}`);
    }
  }
  return wrong;
}
