import { GatewayError } from "../../src/contracts/errors.ts";
import type { Share } from "./share.ts";
import type { Space } from "./space.ts";
import type { Topic } from "./topic.ts";

/** What makes room. */
export interface RoomOptions {
  /** Gives up a topic that nobody uses, with what is kept of it. */
  readonly discard: (topic: Topic) => void;
  /** Milliseconds that never run backwards. */
  readonly now: () => number;
}

/** Topics that nobody uses which are looked at, at most, for one that may go. They stand about in the order in which they may. */
const LOOKED_AT = 64;

/**
 * Room for topics in a namespace, and in each caller's share of it. Of a topic without subscribers what is kept counts for who last
 * published in it: otherwise whoever publishes, or comes and goes, in ever new topics would use up what all have together.
 */
export class Room {
  readonly #options: RoomOptions;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Room in a caller's share for another topic to which it subscribes. @throws GatewayError `TOO_MANY_TOPICS` */
  inShare(share: Share, topic: Topic | undefined): void {
    if (topic !== undefined && share.has(topic)) return;
    const { mostTopics } = share;
    this.#withdraw(share, mostTopics - 1);
    if (share.topics >= mostTopics) throw tooMany(`this credential has ${mostTopics} topics`, mostTopics, "credential");
  }

  /** Room for a topic that somebody wants to hear of, or asks for: for that nobody loses what may still be missed. @throws GatewayError `TOO_MANY_TOPICS` */
  forReader(space: Space, share: Share | undefined): void {
    this.#make(space, () => this.#spare(space) ?? first(share?.kept));
  }

  /** Room for a topic in which somebody publishes. @throws GatewayError `TOO_MANY_TOPICS` */
  forPublisher(space: Space, share: Share): void {
    this.#withdraw(share, share.mostTopics - 1);
    this.#make(space, () => first(space.vacant));
  }

  /** Nobody is subscribed to a topic of which something is kept: that counts for its publisher from now on. */
  charge(topic: Topic): void {
    const { space, publisher } = topic;
    if (publisher === undefined) return;
    const share = space.sharing(publisher);
    this.release(topic);
    topic.charged = share;
    share.kept.add(topic);
    this.#withdraw(share, share.mostTopics, 1);
  }

  /** It counts no more. */
  release(topic: Topic): void {
    topic.charged?.kept.delete(topic);
    topic.charged = undefined;
  }

  /** Gives up what a caller has kept, the oldest first, until it has no more topics than so many. @param least to leave */
  #withdraw(share: Share, most: number, least = 0): void {
    while (share.topics > most && share.kept.size > least) this.#discard(first(share.kept)!);
  }

  #make({ topics, rules: { maxTopics } }: Space, next: () => Topic | undefined): void {
    while (topics.size >= maxTopics) {
      const topic = next();
      if (topic === undefined) {
        throw tooMany(`${maxTopics} topics of this namespace are in use`, maxTopics, "namespace");
      }
      this.#discard(topic);
    }
  }

  /** A topic that nobody uses, of which nothing is kept, or only what will soon be gone. */
  #spare({ vacant, rules: { historyTtl } }: Space): Topic | undefined {
    const before = this.#options.now() - historyTtl / 2;
    let looked = 0, old: Topic | undefined;
    for (const topic of vacant) {
      if (topic.log.messages === 0) return topic;
      if (topic.counted.at <= before) old ??= topic;
      if (++looked >= LOOKED_AT) break;
    }
    return old;
  }

  #discard(topic: Topic): void {
    this.release(topic);
    this.#options.discard(topic);
  }
}

const first = <Value>(values: Iterable<Value> = []): Value | undefined => values[Symbol.iterator]().next().value;

const tooMany = (because: string, limit: number, of: "credential" | "namespace") =>
  new GatewayError("TOO_MANY_TOPICS", `${because} already, which is the most`, {
    retryAfter: 1,
    details: { of, limit },
  });
