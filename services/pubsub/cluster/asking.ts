import type { Mesh, NodeId } from "../mesh/mesh.ts";
import { within } from "./deadline.ts";
import type { LocalTopics, TopicKey } from "./cluster.ts";
import { type Bytes, parts } from "./fields.ts";
import type { Membership } from "./membership.ts";
import {
  decodeFarewellAnswer,
  decodeHeadsAnswer,
  decodeQuestion,
  decodeRangeAnswer,
  encodeFarewellAnswer,
  encodeHeadsAnswer,
  encodeQuestion,
  encodeRangeAnswer,
  type Extent,
  type FarewellAnswer,
  type Question,
  type RangeAnswer,
} from "./questions.ts";
import { Rounds } from "./rounds.ts";
import type { Timers } from "./timers.ts";

/** What asking and answering are made of. */
export interface AskingOptions {
  readonly mesh: Mesh;
  readonly clock: Timers;
  readonly local: LocalTopics;
  readonly membership: Membership;
  /** Whether positions may name an epoch, or it is or was this gateway's. */
  readonly isTold: (epoch: number) => boolean;
  /** Heads of topics when an epoch said farewell, if it was heard. */
  readonly farewell: (epoch: number, keys: readonly TopicKey[]) => FarewellAnswer;
}

/** What another gateway has of topics, and under which life it says so. */
export interface Heads {
  readonly epoch: number | undefined;
  readonly topics: ReadonlyMap<TopicKey, readonly Extent[]>;
}

/** Heads of topics when an epoch said farewell; `undefined` for one that cannot be told. */
export type FarewellHeads = ReadonlyMap<TopicKey, number | undefined>;

/** Milliseconds that an answer may take. */
const ANSWER = 2_000;
/** Bytes of an answer that are not entries, at most. */
const MARGIN = 1_024;

/** Asks other gateways, and answers them. */
export class Asking {
  readonly #options: AskingOptions;
  readonly #heads = new Map<NodeId, Rounds<ReadonlySet<TopicKey>, Heads>>();

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  /** What a gateway has of a topic, as of after this call. @returns `undefined` where there is no answer */
  async heads(
    node: NodeId,
    key: TopicKey,
  ): Promise<{ epoch: number | undefined; extents: readonly Extent[] } | undefined> {
    let rounds = this.#heads.get(node);
    if (rounds === undefined) {
      rounds = new Rounds((keys) => this.#askHeads(node, [...keys]), (one, other) => one.union(other));
      this.#heads.set(node, rounds);
    }
    try {
      const { epoch, topics } = await rounds.put(new Set([key]));
      return { epoch, extents: topics.get(key)! };
    } catch {
      return undefined;
    }
  }

  /** Entries of an epoch behind an offset. @returns `undefined` where there is no answer */
  range(node: NodeId, key: TopicKey, epoch: number, after: number): Promise<RangeAnswer | undefined> {
    const { maxBytes } = this.#options.mesh;
    return this.#ask(
      node,
      { type: "range", key, epoch, after, maxBytes: maxBytes - MARGIN },
      (bytes) => decodeRangeAnswer(bytes, maxBytes, after),
    );
  }

  /** Heads of topics when an epoch said farewell. @returns `undefined` where that was not heard, or there is no answer */
  async farewell(node: NodeId, epoch: number, keys: readonly TopicKey[]): Promise<FarewellHeads | undefined> {
    const { maxBytes } = this.#options.mesh;
    const found = new Map<TopicKey, number | undefined>();
    for (const part of this.#parts(keys)) {
      const answer = await this.#ask(
        node,
        { type: "farewell", epoch, keys: part },
        (bytes) => decodeFarewellAnswer(bytes, maxBytes, part.length),
      );
      if (answer === undefined) return undefined;
      for (const [i, key] of part.entries()) found.set(key, answer[i]);
    }
    return found;
  }

  /** A gateway will not be asked again. */
  forget(node: NodeId): void {
    this.#heads.delete(node);
  }

  /** Answers another gateway. @returns `undefined` for what is no question */
  answer(bytes: Uint8Array): Bytes | undefined {
    const { mesh, local, membership, isTold, farewell } = this.#options;
    const question = decodeQuestion(bytes, mesh.maxBytes);
    switch (question?.type) {
      case undefined:
        return undefined;
      case "heads":
        return encodeHeadsAnswer({
          epoch: membership.epoch,
          topics: question.keys.map((key) =>
            Array.from(local.heads(key), ([epoch, head]) => ({ epoch, first: local.first(key, epoch), head }))
              .filter(({ epoch, head }) => head > 0 && isTold(epoch))
          ),
        });
      case "range": {
        const { key, epoch, after, maxBytes } = question;
        const head = local.heads(key).get(epoch) ?? 0;
        const first = local.first(key, epoch);
        const range = after < head
          ? local.range(key, epoch, after, Math.min(maxBytes, mesh.maxBytes - MARGIN))
          : undefined;
        const none = { first, head, from: after + 1, entries: [] };
        if (range === undefined) return encodeRangeAnswer(none);
        const answer = encodeRangeAnswer({ ...none, from: range.from, entries: range.entries });
        // One entry that is too long for the network is as good as one that is not kept.
        return answer.byteLength <= mesh.maxBytes ? answer : encodeRangeAnswer({ ...none, first: after + 2 });
      }
      case "farewell":
        return encodeFarewellAnswer(farewell(question.epoch, question.keys));
    }
  }

  async #askHeads(node: NodeId, keys: readonly TopicKey[]): Promise<Heads> {
    const { maxBytes } = this.#options.mesh;
    const topics = new Map<TopicKey, readonly Extent[]>();
    let epoch: number | undefined;
    for (const part of this.#parts(keys)) {
      const answer = await this.#ask(
        node,
        { type: "heads", keys: part },
        (bytes) => decodeHeadsAnswer(bytes, maxBytes, part.length),
      );
      if (answer === undefined || (topics.size > 0 && answer.epoch !== epoch)) throw new Error("no answer");
      epoch = answer.epoch;
      for (const [i, key] of part.entries()) topics.set(key, answer.topics[i]!);
    }
    return { epoch, topics };
  }

  /** So few topics at once that the answers fit too. */
  #parts(keys: readonly TopicKey[]): Generator<TopicKey[]> {
    const { mesh: { maxBytes }, membership } = this.#options;
    return parts(keys, ({ length }) => 3 * length + 32 * (membership.open.size + 4), maxBytes / 2);
  }

  async #ask<Answer>(
    node: NodeId,
    question: Question,
    decode: (bytes: Uint8Array) => Answer | undefined,
  ): Promise<Answer | undefined> {
    const { mesh, clock } = this.#options;
    try {
      return decode(await within(clock, ANSWER, (signal) => mesh.ask(node, encodeQuestion(question), signal)));
    } catch {
      return undefined;
    }
  }
}
