import { createHash } from "node:crypto";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Payload } from "../../src/contracts/pubsub.ts";
import type { TopicKey } from "./cluster/cluster.ts";
import type { Figures } from "./figures.ts";
import { NOWHERE, type Place } from "./places.ts";
import { type Column, RecentNames } from "./recent.ts";

/** Milliseconds for which a key is remembered. */
export const KEY_LIFE = 5 * 60_000;
/**
 * Keys of a namespace that are remembered, and as many of its messages: those that came first go first. One takes some 200
 * bytes, so that each are 16 MiB.
 */
export const MOST_KEYS = 80_000;
/** Gateways through which one message may have come, as far as is noted. */
const MOST_PLACES = 8;
/** Bytes of a hash that names something, and of one that is compared where the name is the same. */
const NAME_BYTES = 16, CONTENT_BYTES = 6;
/** Bytes of each of the two hashes in what a message is called. */
const ID_BYTES = 9;

/** A publish with a key. */
export interface KeyedPublish {
  /** Whose key, and which. */
  readonly name: string;
  /** What it was used for. */
  readonly fingerprint: number;
  /** What its messages are called on all gateways, before their number. Other content is another message. */
  readonly id: string;
}

/** Where a message is. */
export interface MessagePlace {
  readonly epoch: number;
  readonly offset: number;
}

/** @param key of the caller */
export function keyedPublish(caller: string, key: string, topic: string, messages: readonly Payload[]): KeyedPublish {
  const content = createHash("sha256");
  const add = (bytes: string | Uint8Array) => content.update(`${Buffer.byteLength(bytes)} `).update(bytes);
  add(topic);
  for (const { data, json } of messages) add(json ? "json" : "bytes").update(`${data.byteLength} `).update(data);
  const used = content.digest();
  const name = createHash("sha256").update(`${caller.length} ${caller}${key}`).digest();
  return {
    name: name.toString("latin1", 0, NAME_BYTES),
    fingerprint: used.readUIntBE(0, CONTENT_BYTES),
    id: used.toString("base64url", 0, ID_BYTES) + name.toString("base64url", 0, ID_BYTES),
  };
}

/** What one message of a keyed publish is called. @param number from 0 on */
export const messageId = ({ id }: KeyedPublish, number: number): string => `${id}.${number}`;

/** What was published lately with a key, in one namespace. */
export class RecentPublishes {
  readonly #keys: RecentNames;
  readonly #fingerprints: Column<number>;
  readonly #answers: Column<Place>;
  readonly #ids: RecentNames;
  readonly #topics: Column<TopicKey>;
  readonly #epochs: Column<number>;
  readonly #offsets: Column<number>;
  /** Where it came again. */
  readonly #others: Column<MessagePlace[] | undefined>;

  /** @param forgotten counts what was forgotten before its time, since too many came */
  constructor(forgotten: Figures["forgotten"]) {
    const keys = this.#keys = new RecentNames(MOST_KEYS, KEY_LIFE, () => forgotten.key++);
    this.#fingerprints = keys.numbers();
    this.#answers = keys.column<Place>(NOWHERE);
    const ids = this.#ids = new RecentNames(MOST_KEYS, KEY_LIFE, () => forgotten.message++);
    this.#topics = ids.column<TopicKey>("");
    this.#epochs = ids.numbers();
    this.#offsets = ids.numbers();
    this.#others = ids.column<MessagePlace[] | undefined>(undefined);
  }

  /** Whether nothing of it matters any more. */
  isOver(now: number): boolean {
    return Math.max(this.#keys.until, this.#ids.until) <= now;
  }

  /** What a key was used for. @returns where its caller stood then @throws GatewayError `IDEMPOTENCY_KEY_REUSED` for other content */
  repeated({ name, fingerprint }: KeyedPublish, now: number): Place | undefined {
    const known = this.#keys.find(name, now);
    if (known === undefined) return undefined;
    if (this.#fingerprints.at(known) === fingerprint) return this.#answers.at(known);
    const sentence = "this idempotency key was used for another topic or content; nothing was published";
    throw new GatewayError("IDEMPOTENCY_KEY_REUSED", sentence);
  }

  /** Remembers what a key was used for, of which nothing is known. */
  remember({ name, fingerprint }: KeyedPublish, place: Place, now: number): void {
    const slot = this.#keys.add(name, now);
    this.#fingerprints.put(slot, fingerprint);
    this.#answers.put(slot, place);
  }

  /** Everywhere where a message came to a topic. */
  placesOf(key: TopicKey, id: string, now: number): readonly MessagePlace[] {
    const known = this.#ids.find(id, now);
    if (known === undefined || this.#topics.at(known) !== key) return [];
    const first = { epoch: this.#epochs.at(known), offset: this.#offsets.at(known) };
    return [first, ...this.#others.at(known) ?? []];
  }

  /** Notes where a message is. @returns whether it was somewhere else before */
  note(key: TopicKey, id: string, { epoch, offset }: MessagePlace, now: number): boolean {
    const known = this.#ids.find(id, now);
    if (known === undefined) {
      const slot = this.#ids.add(id, now);
      this.#topics.put(slot, key);
      this.#epochs.put(slot, epoch);
      this.#offsets.put(slot, offset);
      return false;
    }
    // The topic is part of what an id is made of: who uses it for two is no gateway, and is not helped.
    if (this.#topics.at(known) !== key) return false;
    const others = this.#others.at(known);
    if (others === undefined) this.#others.put(known, [{ epoch, offset }]);
    else if (others.length < MOST_PLACES - 1) others.push({ epoch, offset });
    return true;
  }
}
