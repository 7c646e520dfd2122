import { GatewayError } from "../../src/contracts/errors.ts";
import type { Payload, Published, PublishOptions, PubSubCaller } from "../../src/contracts/pubsub.ts";
import type { PubSubRules } from "../../src/contracts/settings.ts";
import type { Clock } from "../clock/clock.ts";
import type { Entry } from "./cluster/cluster.ts";
import { invalid } from "./failures.ts";
import type { Figures } from "./figures.ts";
import { type KeyedPublish, keyedPublish, messageId } from "./idempotency.ts";
import { checkName } from "./names.ts";
import type { Place } from "./places.ts";
import type { Share } from "./share.ts";
import type { Space } from "./space.ts";
import type { Topics } from "./topics.ts";

/** What a publisher is made of. */
export interface PublisherParts {
  readonly topics: Topics;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly figures: Figures;
}

/** What belongs to one publish. */
interface Publishing {
  readonly keyed: KeyedPublish | undefined;
  readonly share: Share;
  /** Milliseconds that never run backwards. */
  readonly now: number;
}

/** Gives messages their place in a topic, and hands them on. All of it is done at once: nothing is waited for. */
export class Publisher {
  readonly #parts: PublisherParts;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /**
   * Publishes messages.
   * @param caller whose idempotency key it is, and in whose share it counts
   * @throws GatewayError `BODY_TOO_LARGE`, `RATE_LIMITED`, `INVALID_REQUEST`, `IDEMPOTENCY_KEY_REUSED`, `TOO_MANY_TOPICS`
   */
  publish(
    space: Space,
    name: string,
    messages: readonly Payload[],
    { idempotencyKey }: PublishOptions,
    caller: PubSubCaller,
  ): Published {
    const { clock, figures } = this.#parts, { rules } = space, now = clock.monotonic();
    // A name that is known was looked at.
    if (!space.topics.has(name)) checkName(name, "topic");
    checkMessages(messages, rules);
    const keyed = idempotencyKey === undefined
      ? undefined
      : keyedPublish(caller.caller, idempotencyKey, name, messages);
    const before = keyed && placeBefore(space, name, keyed, now);
    if (before !== undefined) return new PublishedMessages(before, true);
    const share = space.shareOf(caller);
    pay(space, share, messages.length, now);
    const place = this.#send(space, name, messages, { keyed, share, now });
    figures.published += messages.length;
    if (keyed !== undefined) space.recent.remember(keyed, place, now);
    return new PublishedMessages(place, false);
  }

  #send(space: Space, name: string, messages: readonly Payload[], { keyed, share, now }: Publishing): Place {
    const { topics, clock } = this.#parts, { epoch, cluster } = topics;
    const topic = topics.forPublisher(space, name, share);
    const at = clock.now(), from = topic.log.head(epoch) + 1;
    const entries: Entry[] = [];
    for (let i = 0; i < messages.length; i++) {
      const { data, json } = messages[i]!;
      entries.push({ data: owned(data), json, at, id: keyed && messageId(keyed, i) });
    }
    const range = { epoch, from, entries };
    topic.take(range, now);
    // Without an epoch nobody else could put them in order.
    if (epoch > 0) cluster.publish(topic.key, range);
    const place = topic.placeAt(epoch, from + entries.length - 1);
    topics.published(topic, share);
    return place;
  }
}

/** Counts messages in the rate of whoever publishes them, and in that of all together. @throws GatewayError `RATE_LIMITED` */
function pay({ rate, rules: { publishRate } }: Space, share: Share, messages: number, now: number): void {
  const own = share.rate.wait(share.publishRate, now);
  if (own > 0) throw tooFast("credential", share.publishRate, own);
  const wait = rate.take(messages, publishRate, now);
  if (wait > 0) throw tooFast("namespace", publishRate, wait);
  share.rate.take(messages, share.publishRate, now);
}

function tooFast(of: "credential" | "namespace", limit: number, wait: number): GatewayError {
  const sentence = `this ${of} publishes more than ${limit} messages per second; nothing was published`;
  return new GatewayError("RATE_LIMITED", sentence, { retryAfter: Math.ceil(wait), details: { of, limit } });
}

class PublishedMessages implements Published {
  constructor(private readonly place: Place, readonly repeated: boolean) {}

  get position(): string | undefined {
    return this.place.text;
  }
}

/** Where one stood who published the same before: here, or through another gateway that was heard of. */
function placeBefore(space: Space, name: string, keyed: KeyedPublish, now: number): Place | undefined {
  const place = space.recent.repeated(keyed, now);
  const topic = space.topics.get(name);
  if (place !== undefined || topic === undefined) return place;
  if (space.recent.placesOf(topic.key, messageId(keyed, 0), now).length === 0) return undefined;
  space.recent.remember(keyed, topic.here, now);
  return topic.here;
}

function checkMessages(messages: readonly Payload[], { maxMessageBytes: limit }: PubSubRules): void {
  if (messages.length === 0) throw invalid("messages", "is empty; publish at least one");
  for (let i = 0; i < messages.length; i++) {
    const { byteLength: bytes } = messages[i]!.data;
    if (bytes <= limit) continue;
    const sentence = `a message has ${bytes} bytes; the most is ${limit}`;
    throw new GatewayError("BODY_TOO_LARGE", sentence, { details: { message: i, bytes, limit } });
  }
}

/** The bytes alone: a view would keep the whole buffer that they came in. */
function owned(data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return data.byteLength === data.buffer.byteLength ? data : data.slice();
}
