import { hasCode } from "../../../src/contracts/errors.ts";
import type {
  Delivery,
  Gap,
  Message,
  PubSub,
  Subscriber,
  Subscription,
  Unrecovered,
} from "../../../src/contracts/pubsub.ts";
import type { Fed } from "./fed.ts";
import type { Firing } from "./firing.ts";
import { MOST_MESSAGES, type QueueRoom } from "./queue.ts";

/** What following a topic needs. */
export interface TopicFeedParts {
  readonly pubsub: Pick<PubSub, "subscribe" | "history">;
  readonly room: QueueRoom;
  readonly firing: Firing;
  /** Told of messages that are lost for want of room: at the first, the tenth, the hundredth, and so on. @param many how many there were */
  readonly onDropped: (trigger: string, many: number) => void;
}

const UNRECOVERED: Readonly<Record<Unrecovered, string>> = {
  expired: "they were kept for too short",
  gateway_lost: "a gateway ended without a word",
  unreachable: "a gateway could not be asked",
  no_history: "the topic keeps none",
  too_much: "they were too many",
};
const GAPS: Readonly<Record<Gap["reason"], string>> = {
  gateway_lost: "a gateway ended without a word",
  expired: "they were kept for too short",
  slow: "they came faster than they could be taken",
};

/** Counts messages that are lost for want of room, and tells of them. */
class Losses {
  #dropped = 0;

  constructor(private readonly parts: TopicFeedParts, private readonly fed: Fed) {}

  add(many: number): void {
    const before = this.#dropped;
    this.#dropped += many;
    this.parts.firing.count("dropped", many);
    if (digits(this.#dropped) > digits(before)) this.parts.onDropped(this.fed.id, this.#dropped);
    this.fed.tell(`${this.#dropped} messages were dropped: they came faster than the function took them`);
  }
}

const digits = (many: number) => many === 0 ? 0 : Math.floor(Math.log10(many)) + 1;

/** What came and waits for its call. */
class Inbox implements Subscriber {
  readonly #waiting: Message[] = [];
  #wake: (() => void) | undefined;
  #hasEnded = false;
  #left = 0;

  readonly #stopped = () => this.#wake?.();

  constructor(private readonly parts: TopicFeedParts, private readonly fed: Fed, private readonly losses: Losses) {
    fed.signal.addEventListener("abort", this.#stopped, { once: true });
  }

  deliver({ events }: Delivery): void {
    for (const event of events) {
      if (event.kind === "gap") this.fed.tell(`messages may be missing: ${GAPS[event.reason]}`);
      if (event.kind === "message") this.#put(event);
    }
    this.#wake?.();
  }

  ended(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  /** Messages for which there was no room and that may be fetched, since the topic keeps them. From the first on nothing is taken. */
  get left(): number {
    return this.#left;
  }

  /** The next message; `undefined` when the subscription ended, or some are left. Waits for it. @throws NotOurs when it stops */
  async next(): Promise<Message | undefined> {
    for (;;) {
      this.fed.signal.throwIfAborted();
      const message = this.#waiting.shift();
      if (message !== undefined) {
        this.#give(message);
        return message;
      }
      if (this.#hasEnded || this.#left > 0) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Forgets what waits. */
  close(): void {
    this.#hasEnded = true;
    this.fed.signal.removeEventListener("abort", this.#stopped);
    for (const message of this.#waiting.splice(0)) this.#give(message);
  }

  #put(message: Message): void {
    if (this.#hasEnded) return;
    // A later one that is taken would move the position over those that are left.
    if (this.#left > 0) return void this.#left++;
    const { room } = this.parts;
    const hasRoom = this.#waiting.length < MOST_MESSAGES && room.take(this.fed.row.namespace, message.data.length);
    if (hasRoom) this.#waiting.push(message);
    else if (message.position !== undefined) this.#left = 1;
    else this.losses.add(1);
  }

  #give(message: Message): void {
    this.parts.room.give(this.fed.row.namespace, message.data.length);
  }
}

/**
 * Follows a topic for a trigger, until that is over. Where the topic keeps a history, it goes on behind the message that was handed
 * over last, whichever gateway did so, also where more came than may wait; else it begins with what comes now.
 * @returns when the subscription ended
 * @throws NotOurs; GatewayError as `PubSub.subscribe`
 */
export async function followTopic(parts: TopicFeedParts, fed: Fed, topic: string): Promise<void> {
  const losses = new Losses(parts, fed);
  for (let left: number | undefined = 0; left !== undefined;) left = await followOnce(parts, fed, topic, losses, left);
}

/**
 * @param left messages that the subscription before had no room for
 * @returns those that this one had no room for, when all others are handed over; `undefined` when it ended
 */
async function followOnce(
  parts: TopicFeedParts,
  fed: Fed,
  topic: string,
  losses: Losses,
  left: number,
): Promise<number | undefined> {
  const inbox = new Inbox(parts, fed, losses);
  let subscription: Subscription | undefined;
  try {
    subscription = await subscribe(parts, fed, topic, inbox);
    const { recovered, unrecovered } = subscription;
    let found = subscription.missed.length;
    for (const message of subscription.missed) await fed.call(message.data, message.position);
    // What cannot be proved to be all is told, and what there is of it handed over.
    const told = new Set<string | undefined>();
    if (recovered === false) {
      fed.tell(`messages may be missing: ${UNRECOVERED[unrecovered ?? "expired"]}`);
      for await (const message of kept(parts, fed, topic)) {
        await fed.call(message.data, message.position);
        told.add(message.position);
        found++;
      }
    }
    if (recovered !== true && left > found) losses.add(left - found);
    if (found === 0) fed.moveTo(subscription.position);
    for (;;) {
      const message = await inbox.next();
      if (message === undefined) return inbox.left > 0 ? inbox.left : undefined;
      // Deliveries begin before the history is read.
      if (!told.delete(message.position)) await fed.call(message.data, message.position);
    }
  } finally {
    subscription?.close();
    inbox.close();
  }
}

/** What anybody keeps behind the message that was handed over last. */
async function* kept({ pubsub }: TopicFeedParts, fed: Fed, topic: string): AsyncGenerator<Message, void> {
  let since = fed.position;
  for (let more = true; more && since !== undefined;) {
    const page = await pubsub.history(fed.row.namespace, topic, { since, limit: MOST_MESSAGES }, fed.context);
    yield* page.messages;
    more = page.more;
    since = page.position;
  }
}

async function subscribe({ pubsub }: TopicFeedParts, fed: Fed, topic: string, inbox: Inbox): Promise<Subscription> {
  const begin = (since: string | undefined) =>
    pubsub.subscribe(fed.row.namespace, topic, inbox, { since, presence: false }, fed.context);
  try {
    return await begin(fed.position);
  } catch (error) {
    // A position that this topic never gave, or not in this way.
    if (fed.position === undefined || !hasCode(error, "INVALID_REQUEST")) throw error;
    fed.tell("messages may be missing: it cannot be told which were handed over");
    return await begin(undefined);
  }
}
