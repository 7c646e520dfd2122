import type { Place } from "../../src/contracts/live_connections.ts";
import type {
  Delivery,
  PubSub,
  PubSubCaller,
  SubscribeOptions,
  Subscription,
  TopicEvent,
} from "../../src/contracts/pubsub.ts";
import type { EventStream } from "../../src/http/event_stream.ts";
import type { LiveContext } from "../../src/http/live/context.ts";
import { eventText } from "../../src/http/live/encodings.ts";

/** Deliveries that may come before somebody reads. */
const MAX_EARLY = 1_000;
/** Stands in an id for a topic in which its reader was, without a position: whoever comes back with it may have missed anything. */
export const NOWHERE = "-";

/** Where nothing was kept, nothing can be recovered. */
const LOST = { recovered: false, unrecovered: "no_history" } as const;

/** One event of a topic, made once for all streams. */
interface Told {
  readonly event: TopicEvent["kind"];
  readonly data: string;
  /** `false`: the reader stands where it stood. */
  readonly position: string | undefined | false;
}

const tellable = ({ topic, events }: Delivery): readonly Told[] =>
  events.map((event) => ({
    event: event.kind,
    data: eventText(topic, event),
    position: event.kind === "message" || event.kind === "gap" ? event.position : false,
  }));

/** The topics of one stream of server-sent events. */
export class TopicStream {
  readonly #topics: readonly string[];
  readonly #context: LiveContext;
  readonly #place: Place;
  #positions: readonly (string | undefined)[] = [];
  /** By topic; `undefined` where nothing comes of it any more. */
  readonly #subscriptions: (Subscription | undefined)[];
  /** What to tell first, and then what came before somebody read. */
  #early: (() => void)[] = [];
  #events: EventStream | undefined;
  #over = false;

  constructor(topics: readonly string[], context: LiveContext, place: Place) {
    this.#topics = topics;
    this.#subscriptions = topics.map(() => undefined);
    this.#context = context;
    this.#place = place;
  }

  /** Where the reader stands, in the order of the topics. */
  get position(): string {
    return this.#positions.map((position) => position ?? NOWHERE).join(",");
  }

  /**
   * Subscribes to all topics.
   * @param since where the reader stood in each: a position, {@link NOWHERE}, or nothing where it was not
   * @throws GatewayError as the service; the stream is to be closed then
   */
  async subscribe(
    pubsub: PubSub,
    namespace: string,
    since: readonly (string | undefined)[],
    options: Omit<SubscribeOptions, "since">,
    caller: PubSubCaller,
  ): Promise<void> {
    const request = this.#context.as(caller);
    const stood = since.map((position) => position === NOWHERE ? undefined : position);
    await Promise.all(this.#topics.map(async (topic, i) => {
      const subscriber = {
        deliver: (delivery: Delivery) => this.#whenRead(() => this.#deliver(i, delivery)),
        ended: () => this.#whenRead(() => this.#lose(i, "ended")),
      };
      const made = await pubsub.subscribe(namespace, topic, subscriber, { ...options, since: stood[i] }, request);
      if (this.#over) return made.close();
      this.#subscriptions[i] = made;
      this.#whenRead(() => this.#begin(i, made, since[i] === NOWHERE));
    }));
    // Whoever breaks off before all topics have begun comes back with what is said first, and must lose none of the others.
    this.#positions = this.#subscriptions.map((made, i) => since[i] === undefined ? made?.position : stood[i]);
  }

  /** Tells all that happens until the stream is over. */
  async tell(events: EventStream): Promise<void> {
    try {
      this.#events = events;
      if (this.#over) return events.end();
      const early = this.#early;
      this.#early = [];
      for (const tell of early) tell();
      if (events.signal.aborted) return;
      await new Promise((resolve) => events.signal.addEventListener("abort", resolve, { once: true }));
    } finally {
      this.close();
    }
  }

  /** Ends those topics that an assertion refuses. @throws what that threw, once no topic is left */
  keep(assert: (topic: string) => void): void {
    let refusal: unknown;
    for (const [i, topic] of this.#topics.entries()) {
      if (this.#subscriptions[i] === undefined) continue;
      try {
        assert(topic);
      } catch (error) {
        refusal = error;
        this.#lose(i, "right_lost");
      }
    }
    if (refusal !== undefined && this.#subscriptions.every((made) => made === undefined)) throw refusal;
  }

  /** Ends it. Does nothing the second time. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    for (const subscription of this.#subscriptions) subscription?.close();
    this.#early = [];
    this.#context.end();
    this.#place.release();
    this.#events?.end();
  }

  #whenRead(tell: () => void): void {
    if (this.#over) return;
    if (this.#events) tell();
    else if (this.#early.push(tell) > MAX_EARLY) this.close();
  }

  /** @param lost whether its reader was there before, and nobody can say what it missed */
  #begin(i: number, made: Subscription, lost: boolean): void {
    // It may have ended before anybody read.
    if (this.#subscriptions[i] !== made) return;
    const { position, missed } = made;
    const { recovered, unrecovered } = lost ? LOST : made;
    const topic = this.#topics[i]!;
    if (recovered !== undefined) {
      if (!recovered) this.#stands(i, position);
      this.#send("recovered", { type: "recovered", topic, recovered, unrecovered });
    }
    for (const message of missed) {
      this.#stands(i, message.position);
      this.#events!.send({ event: "message", id: this.position, data: eventText(topic, message) });
    }
    this.#stands(i, position);
    this.#events!.send({ event: "subscribed", id: this.position, data: JSON.stringify({ type: "subscribed", topic }) });
  }

  #lose(i: number, reason: "ended" | "right_lost"): void {
    const made = this.#subscriptions[i];
    if (made === undefined) return;
    this.#subscriptions[i] = undefined;
    made.close();
    this.#send("unsubscribed", { type: "unsubscribed", topic: this.#topics[i], reason });
  }

  #deliver(i: number, delivery: Delivery): void {
    for (const { event, data, position } of delivery.as(tellable)) {
      if (position !== false) this.#stands(i, position);
      this.#events!.send({ event, id: this.position, data });
    }
  }

  #stands(i: number, position: string | undefined): void {
    this.#positions = this.#positions.with(i, position);
  }

  #send(event: string, data: Readonly<Record<string, unknown>>): void {
    this.#events?.send({ event, id: this.position, data: JSON.stringify(data) });
  }
}
