import type { Principal } from "../../src/contracts/identity.ts";
import type { Message, PubSub, PubSubCaller, SubscribeOptions, Subscription } from "../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { mayUse } from "../../src/contracts/topic_rights.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { eventLines } from "../../src/http/live/encodings.ts";
import type { Piece } from "../../src/http/live/outbox.ts";
import { Replay, type Waiting } from "./replay.ts";

/** What the subscriptions of a socket need of it. */
export interface SubscriptionsOptions {
  readonly pubsub: PubSub;
  readonly put: (piece: Piece) => void;
  /** More waits behind what was missed than may: `true` where it is to be dropped, and counted. */
  readonly mayDrop: (deliveries: number) => boolean;
  /** Bytes that may wait for the socket. */
  readonly room: () => number;
  /** A subscription has ended that the client did not end. */
  readonly lost: (topic: string, reason: "ended" | "right_lost") => void;
}

interface Held {
  readonly options: SubscribeOptions;
  /** `undefined` while it is being made. */
  made: Subscription | undefined;
  /** What it still has to be told of what was missed. */
  replay: Replay | undefined;
}

/** The topics of one socket. */
export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  readonly #held = new Map<string, Held>();
  /** Those that are told what was missed, in turns. */
  readonly #replaying = new Set<Held>();
  readonly #waiting: Waiting = { missed: 0, live: 0 };
  #over = false;

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** How many there are, those included that are being made. */
  get size(): number {
    return this.#held.size;
  }

  /** Bytes of what was missed, and what waits behind it, that the socket has still to be told. */
  get waiting(): number {
    return this.#waiting.missed + this.#waiting.live;
  }

  /** From now on what was missed comes first, part by part. @param from which message on, one at least */
  replay(topic: string, missed: readonly Message[], from: number): void {
    const held = this.#held.get(topic);
    if (held === undefined) return;
    held.replay = new Replay(topic, missed, from, this.#waiting);
    this.#replaying.add(held);
  }

  /** Puts the next part of what was missed in one of the topics. */
  goOn(): void {
    const [held] = this.#replaying;
    if (held?.replay === undefined) return;
    const { put, room } = this.#options;
    // Behind the others: those that missed little need not wait for one that missed much.
    this.#replaying.delete(held);
    const pieces = held.replay.take(room());
    if (held.replay.isOver) held.replay = undefined;
    else this.#replaying.add(held);
    for (const piece of pieces) put(piece);
  }

  #deliver({ replay }: Held, piece: Piece): void {
    const { put, mayDrop, room } = this.#options;
    if (replay === undefined) return put(piece);
    replay.add(piece);
    if (this.#waiting.live > room() && mayDrop(replay.live)) replay.drop();
  }

  /**
   * Subscribes.
   * @returns `undefined` when the socket, or the right, was gone before it was made
   * @throws GatewayError `CONFLICT` for a topic that is subscribed; whatever the service throws
   */
  async add(
    namespace: string,
    topic: string,
    options: SubscribeOptions,
    request: RequestContext & PubSubCaller,
  ): Promise<Subscription | undefined> {
    if (this.#held.has(topic)) throw new GatewayError("CONFLICT", "this socket is subscribed to the topic already");
    const held: Held = { options, made: undefined, replay: undefined };
    this.#held.set(topic, held);
    try {
      const { pubsub } = this.#options;
      const made = await pubsub.subscribe(
        namespace,
        topic,
        {
          deliver: (delivery) => this.#deliver(held, delivery.as(eventLines)),
          ended: () => this.#lose(topic, held, "ended"),
        },
        options,
        request,
      );
      if (this.#over || this.#held.get(topic) !== held) {
        made.close();
        return undefined;
      }
      return held.made = made;
    } catch (error) {
      if (this.#held.get(topic) === held) this.#held.delete(topic);
      throw error;
    }
  }

  /** Ends one. @throws GatewayError `NOT_FOUND` */
  remove(topic: string): void {
    const held = this.#held.get(topic);
    if (held === undefined) throw new GatewayError("NOT_FOUND", "this socket is not subscribed to the topic");
    this.#forget(topic, held);
  }

  /** Ends those for which a principal has no right. */
  keep(principal: Principal): void {
    for (const [topic, held] of this.#held) {
      const { member, presence } = held.options;
      const mayBePresent = member === undefined || principal.memberId === undefined || principal.memberId === member.id;
      const needsPresence = presence === true || member !== undefined;
      const holds = mayUse(principal, "subscribe", topic) && mayBePresent &&
        (!needsPresence || mayUse(principal, "presence", topic));
      if (!holds) this.#lose(topic, held, "right_lost");
    }
  }

  /** Ends all of them. */
  close(): void {
    this.#over = true;
    for (const [topic, held] of this.#held) this.#forget(topic, held);
  }

  #lose(topic: string, held: Held, reason: "ended" | "right_lost"): void {
    if (this.#over || this.#held.get(topic) !== held) return;
    this.#forget(topic, held);
    this.#options.lost(topic, reason);
  }

  #forget(topic: string, held: Held): void {
    this.#held.delete(topic);
    this.#replaying.delete(held);
    held.replay?.close();
    held.replay = undefined;
    held.made?.close();
  }
}
