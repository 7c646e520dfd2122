import type { ClientClock } from "../clock.ts";
import { OramaError } from "../errors.ts";
import type {
  GapReason,
  SubscriptionEvents,
  SubscriptionState,
  TopicEvent,
  TopicMember,
  TopicMessage,
} from "./events.ts";
import type { Link } from "./link.ts";
import { Outlet } from "./outlet.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";
import { errorIn, memberIn, membersIn, messageIn, messagesIn, numberIn, textIn, type Told } from "./wire.ts";

/** What a topic needs of the connection. */
export interface TopicOwner {
  readonly clock: Pick<ClientClock, "after" | "random">;
  /** Milliseconds within which a gateway answers. */
  readonly answerTimeout: number;
  /** Milliseconds before another try, after so many that failed. */
  pause(failures: number, error: OramaError): number;
  /** It has ended. @param link by which the gateway is told; none where it knows */
  ended(link: Link | undefined): void;
}

const BUFFER = 1_000;

/** One topic, over one link after the other. */
export class Topic<T> implements Subscription<T> {
  readonly topic: string;
  readonly ready: Promise<void>;
  readonly #owner: TopicOwner;
  /** The command, but for where it begins. */
  readonly #command: string;
  readonly #hasPresence: boolean;
  readonly #outlet: Outlet<T>;
  readonly #members = new Map<string, TopicMember>();
  #state: SubscriptionState = "waiting";
  #position: string | undefined;
  #recovered: boolean | undefined;
  #error: OramaError | undefined;
  /** Whether the gateway has ever confirmed it: from then on, a break may lose something. */
  #wasLive = false;
  /** Who stands in the list that is asked for part by part, if one is. */
  #listing: Set<string> | undefined;
  #failures = 0;
  #link: Link | undefined;
  /** Whether the command has left over that link. */
  #isAsked = false;
  #stopTimer = () => {};
  #settleReady: { resolve(): void; reject(error: unknown): void } = { resolve() {}, reject() {} };

  /** @throws RangeError for a buffer that cannot be; TypeError for what JSON has no form for */
  constructor(topic: string, options: SubscribeOptions, owner: TopicOwner) {
    const { buffer = BUFFER, since, presence, member } = options;
    if (!(Number.isSafeInteger(buffer) && buffer > 0)) throw new RangeError(`buffer must be at least 1, not ${buffer}`);
    this.topic = topic;
    this.#owner = owner;
    this.#command = JSON.stringify({ type: "subscribe", topic, presence, member }).slice(0, -1);
    this.#hasPresence = presence === true;
    this.#position = since;
    this.#outlet = new Outlet(topic, buffer);
    this.ready = new Promise((resolve, reject) => this.#settleReady = { resolve, reject });
    // Whoever waits for it hears of it; the others are told by the state.
    this.ready.catch(() => {});
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  get position(): string | undefined {
    return this.#position;
  }

  get recovered(): boolean | undefined {
    return this.#recovered;
  }

  get members(): readonly TopicMember[] {
    return [...this.#members.values()];
  }

  get error(): Error | undefined {
    return this.#error;
  }

  on<Name extends keyof SubscriptionEvents<T>>(
    name: Name,
    listener: (event: SubscriptionEvents<T>[Name]) => void,
  ): () => void {
    return this.#outlet.on(name, listener);
  }

  [Symbol.asyncIterator](): AsyncGenerator<TopicEvent<T>, void, void> {
    return this.#outlet.iterate();
  }

  close(): void {
    this.#end(undefined, this.#link);
  }

  /** Asks for it over a link. */
  begin(link: Link): void {
    if (this.#state === "ended") return;
    this.#stopTimer();
    const since = this.#position;
    const members = `${this.#command}${since === undefined ? "" : `,"since":${JSON.stringify(since)}`}}`;
    if (!link.fits(members)) {
      const problem = "topic and member are larger than a frame that the gateway takes";
      return this.#end(new OramaError(problem, { code: "BODY_TOO_LARGE" }), undefined);
    }
    this.#link = link;
    const { clock, answerTimeout } = this.#owner;
    this.#isAsked = false;
    const sent = () => {
      this.#isAsked = true;
      this.#stopTimer = clock.after(answerTimeout, () => {
        link.fail(new OramaError("a subscription was not answered in time", { code: "TIMEOUT" }));
      });
    };
    const answered = (told: Told) => {
      if (this.#link !== link) return;
      this.#stopTimer();
      if (told.type === "ok") this.#goOn(told, since);
      else this.#refused(errorIn(told), link);
    };
    this.#stopTimer = link.ask(members, answered, { sent });
  }

  /** The link has ended. */
  broke(): void {
    this.#stopTimer();
    this.#link = undefined;
    if (this.#state === "live") this.#become("waiting");
  }

  /** Something that the gateway tells of it. What it tells before it has confirmed it belongs to an earlier subscription. */
  take(told: Told): void {
    if (this.#state !== "live") return;
    const { topic } = this;
    switch (told.type) {
      case "message":
        return this.#deliver(messageIn(topic, told));
      case "join":
      case "leave":
        return this.#change(told.type, memberIn(told.member), typeof told.at === "number" ? told.at : undefined);
      case "gap":
        this.#gap(textIn(told.reason) ?? "unknown", textIn(told.position));
        return this.#lookWhoIsThere();
      case "unsubscribed":
        return this.#unsubscribed(textIn(told.reason));
    }
  }

  /** No connection will come, unless somebody does something for it. */
  stopped(error: OramaError): void {
    this.#settleReady.reject(error);
  }

  #goOn(told: Told, since: string | undefined): void {
    const missed = told.missed === undefined ? [] : messagesIn<T>(this.topic, told.missed);
    const members = told.members === undefined ? undefined : membersIn(told.members);
    const wasLive = this.#wasLive, position = textIn(told.position);
    this.#wasLive = true;
    this.#failures = 0;
    const mayMiss = since !== undefined || wasLive;
    if (mayMiss) this.#recovered = since !== undefined && told.recovered === true;
    this.#become("live");
    this.#settleReady.resolve();
    if (members !== undefined) this.#compare(members, textIn(told.members_next), this.#listing = new Set(), wasLive);
    if (mayMiss) {
      const recovered = this.#recovered === true;
      const reason = recovered
        ? undefined
        : textIn(told.unrecovered) ?? (since === undefined ? "no_history" : "unknown");
      // The rest comes as it would have come.
      const count = Math.max(numberIn(told.missed_count) ?? 0, missed.length);
      this.#put({ kind: "recovered", topic: this.topic, recovered, reason, missed: count });
      if (reason !== undefined) this.#gap(reason, position);
    }
    for (const message of missed) this.#deliver(message);
    if (this.#state === "live") this.#position = position;
  }

  #refused(error: OramaError, link: Link): void {
    this.#link = undefined;
    if (error.retryAfter === undefined && !PASSING.includes(error.code)) return this.#end(error, undefined);
    this.#again(link, error);
  }

  /** A gateway that stops says it too: only a right that was lost does not come back with the next one. */
  #unsubscribed(reason: string | undefined): void {
    const link = this.#link;
    if (reason === "right_lost" || link === undefined) return this.#end(unsubscribed(reason), undefined);
    this.#link = undefined;
    this.#become("waiting");
    this.#again(link, unsubscribed(reason));
  }

  #again(link: Link, error: OramaError): void {
    // A listener may have closed it.
    if (this.#state !== "waiting") return;
    this.#stopTimer = this.#owner.clock.after(this.#owner.pause(++this.#failures, error), () => this.begin(link));
  }

  #deliver(message: TopicMessage<T>): void {
    if (this.#state !== "live") return;
    this.#position = message.position;
    this.#put(message);
  }

  #gap(reason: GapReason, position: string | undefined): void {
    const since = this.#position;
    this.#position = position;
    this.#put({ kind: "gap", topic: this.topic, reason, since, position });
  }

  /** A gap may have swallowed who came and left. */
  #lookWhoIsThere(): void {
    if (!this.#hasPresence || this.#state !== "live") return;
    this.#askWhoIsThere(undefined, this.#listing = new Set());
  }

  #askWhoIsThere(after: string | undefined, listing: Set<string>): void {
    const link = this.#link;
    link?.ask(JSON.stringify({ type: "presence", topic: this.topic, after }), (told) => {
      const isWanted = this.#link === link && this.#state === "live" && this.#listing === listing;
      if (told.type === "ok" && isWanted) this.#compare(membersIn(told.members), textIn(told.next), listing, true);
    });
  }

  /**
   * What changed while nobody told of it.
   * @param next where the list goes on, of which this is a part
   * @param listing who stood in it so far, or came meanwhile
   */
  #compare(members: readonly TopicMember[], next: string | undefined, listing: Set<string>, tell: boolean): void {
    for (const { id } of members) listing.add(id);
    const isWhole = next === undefined || members.length === 0;
    if (isWhole) {
      this.#listing = undefined;
      for (const member of [...this.#members.values()]) {
        if (!listing.has(member.id)) this.#change("leave", member, undefined, tell);
      }
    }
    for (const member of members) this.#change("join", member, undefined, tell);
    if (!isWhole && this.#listing === listing) this.#askWhoIsThere(next, listing);
  }

  #change(kind: "join" | "leave", member: TopicMember, at: number | undefined, tell = true): void {
    const isKnown = this.#members.has(member.id);
    if (kind === "join") {
      this.#members.set(member.id, member);
      this.#listing?.add(member.id);
    } else this.#members.delete(member.id);
    // The gateway's list may be younger than the first changes that it tells behind it.
    if (tell && isKnown === (kind === "leave")) this.#put({ kind, topic: this.topic, member, at });
  }

  #put(event: TopicEvent<T>): void {
    if (this.#state === "live") this.#outlet.put(event);
  }

  #become(state: SubscriptionState): void {
    this.#state = state;
    this.#outlet.tellState({ kind: "state", topic: this.topic, state, error: this.#error });
  }

  #end(error: OramaError | undefined, link: Link | undefined): void {
    if (this.#state === "ended") return;
    this.#stopTimer();
    this.#link = undefined;
    this.#error = error;
    this.#outlet.end(error);
    this.#settleReady.reject(error ?? closed());
    this.#owner.ended(this.#isAsked ? link : undefined);
    this.#become("ended");
  }
}

/** Refusals that pass. */
const PASSING = ["UNAVAILABLE", "RATE_LIMITED", "INTERNAL", "NO_CAPACITY", "REQUEST_TIMEOUT"];

const closed = () => new OramaError("it was closed before", { code: "CLOSED" });

const unsubscribed = (reason: string | undefined) =>
  new OramaError("the gateway ended the subscription", { code: "UNSUBSCRIBED", details: { reason } });
