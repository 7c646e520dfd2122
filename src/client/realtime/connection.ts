import { OramaError } from "../errors.ts";
import type { CallOptions, Client } from "../http.ts";
import { Commands } from "./commands.ts";
import { Emitter } from "./emitter.ts";
import { Line } from "./line.ts";
import type { Link } from "./link.ts";
import {
  type AnyTopics,
  type CredentialSource,
  fullJitter,
  type HistoryOptions,
  type PublishOptions,
  type RealtimeOptions,
  RECONNECT,
  settled,
} from "./options.ts";
import type { TopicMember } from "./events.ts";
import { PLATFORM, platformSocket, type RealtimePlatform } from "./platform.ts";
import type {
  HistoryPage,
  PublishResult,
  Realtime,
  RealtimeEvents,
  RealtimeSession,
  RealtimeState,
  RealtimeStateChange,
  TopicPresence,
} from "./realtime.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";
import { Topic } from "./topic.ts";
import { dataMember, membersIn, messagesIn, numberIn, textIn, type Told } from "./wire.ts";

/** Messages of an answer to `history` where nobody says how many. */
const PAGE = 100;

/**
 * Connects to live messages, and stays so until it is closed.
 * @throws OramaError `NOT_SUPPORTED` where the platform has no `WebSocket` and none is given
 * @throws RangeError for options that cannot be
 */
export const createRealtime = <Topics extends object = AnyTopics>(
  client: Client,
  options: RealtimeOptions = {},
): Realtime<Topics> => new Connection<Topics>(client, options);

/** Live messages of one namespace, over a line. */
export class Connection<Topics extends object> implements Realtime<Topics> {
  readonly #line: Line;
  readonly #commands: Commands;
  readonly #emitter = new Emitter<RealtimeEvents>();
  readonly #topics = new Map<string, Topic<unknown>>();
  readonly #platform: RealtimePlatform;
  readonly #requestTimeout: number;
  /** Makes keys that nobody else makes. */
  readonly #keys = crypto.getRandomValues(new Uint32Array(4)).join("-");
  #key = 0;
  #link: Link | undefined;

  /** @param platform time, chance, and the page around */
  constructor(client: Client, options: RealtimeOptions, platform: RealtimePlatform = PLATFORM) {
    const all = settled(options);
    const webSocket = options.webSocket ?? platformSocket();
    this.#platform = platform;
    this.#requestTimeout = all.requestTimeout;
    this.#commands = new Commands(platform.clock, all.maxWaiting);
    const url = `${client.url.replace(/^http/, "ws")}/v1/realtime`;
    this.#line = new Line(options.token ?? (() => client.credential()), { ...all, url, webSocket }, platform, {
      attached: (link) => this.#attached(link),
      detached: () => this.#detached(),
      told: (told) => this.#topics.get(textIn(told.topic) ?? "")?.take(told),
      changed: (change) => this.#changed(change),
      expiring: (event) => this.#emitter.emit("expiring", event),
    });
    this.#line.connect();
  }

  get state(): RealtimeState {
    return this.#line.state;
  }

  get session(): RealtimeSession | undefined {
    return this.#line.session;
  }

  on<Name extends keyof RealtimeEvents>(name: Name, listener: (event: RealtimeEvents[Name]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  subscribe<Name extends keyof Topics & string>(
    topic: Name,
    options: SubscribeOptions = {},
  ): Subscription<Topics[Name]> {
    if (this.state === "closed") throw closed();
    if (this.#topics.has(topic)) {
      const problem = "this connection has a subscription of this topic: use it, or close it before";
      throw new OramaError(problem, { code: "ALREADY_SUBSCRIBED" });
    }
    const made = new Topic<Topics[Name]>(topic, options, {
      clock: this.#platform.clock,
      answerTimeout: this.#requestTimeout,
      pause: (failures, { retryAfter }) =>
        fullJitter(RECONNECT, failures, retryAfter, this.#platform.clock.random()) ?? RECONNECT.longestPause,
      ended: (link) => {
        this.#topics.delete(topic);
        link?.ask(JSON.stringify({ type: "unsubscribe", topic }), () => {});
      },
    });
    this.#topics.set(topic, made as Topic<unknown>);
    if (this.#link !== undefined) made.begin(this.#link);
    return made;
  }

  subscription<Name extends keyof Topics & string>(topic: Name): Subscription<Topics[Name]> | undefined {
    return this.#topics.get(topic) as Topic<Topics[Name]> | undefined;
  }

  async publish<Name extends keyof Topics & string>(
    topic: Name,
    data: Topics[Name],
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    return await this.#publish(topic, dataMember(data, "data"), options);
  }

  async publishMany<Name extends keyof Topics & string>(
    topic: Name,
    messages: readonly Topics[Name][],
    options: PublishOptions = {},
  ): Promise<PublishResult> {
    if (messages.length === 0) throw new RangeError("messages must hold at least one");
    const all = messages.map((data, at) => `{${dataMember(data, `messages[${at}]`)}}`);
    return await this.#publish(topic, `"messages":[${all.join(",")}]`, options);
  }

  async presence(topic: keyof Topics & string, options: CallOptions = {}): Promise<TopicPresence> {
    // Somebody who moves while it is read may stand in two parts.
    const members = new Map<string, TopicMember>();
    const left = this.#timeLeft(options);
    let count: number | undefined, after: string | undefined;
    do {
      const told = await this.#read({ type: "presence", topic, after }, left());
      const part = membersIn(told.members);
      for (const member of part) members.set(member.id, member);
      count = numberIn(told.count);
      after = part.length > 0 ? textIn(told.next) : undefined;
    } while (after !== undefined);
    return { members: [...members.values()], count: count ?? members.size };
  }

  async history<Name extends keyof Topics & string>(
    topic: Name,
    { since, limit, ...options }: HistoryOptions = {},
  ): Promise<HistoryPage<Topics[Name]>> {
    const left = this.#timeLeft(options);
    const read = async (since: string | undefined, limit: number | undefined) => {
      const told = await this.#read({ type: "history", topic, since, limit }, left());
      const messages = messagesIn<Topics[Name]>(topic, told.messages);
      // Only what the gateway says is complete is so.
      return { messages, position: textIn(told.position), more: told.more === true, complete: told.complete === true };
    };
    const first = await read(since, limit);
    const { messages } = first, complete = since === undefined ? undefined : first.complete;
    let { position, more } = first;
    // An answer holds no more than a slow line carries in a while.
    for (let rest = (limit ?? PAGE) - messages.length; more && position !== undefined && rest > 0;) {
      const next = await read(position, rest);
      // Something is missing in between: whoever goes on from here is told.
      if (!next.complete || next.messages.length === 0) break;
      messages.push(...next.messages);
      rest -= next.messages.length;
      ({ position, more } = next);
    }
    return { messages, position, more, complete };
  }

  async authenticate(token: CredentialSource): Promise<void> {
    if (this.state === "closed") throw closed();
    await this.#line.authenticate(token);
  }

  connect(): void {
    this.#line.connect();
  }

  close(): void {
    this.#line.close();
  }

  async #publish(topic: string, data: string, options: PublishOptions): Promise<PublishResult> {
    const { idempotencyKey: given = true, requestTimeout, signal } = options;
    const key = given === true ? `${this.#keys}-${++this.#key}` : given;
    const keyMember = key === false ? "" : `,"idempotency_key":${JSON.stringify(key)}`;
    const members = `{"type":"publish","topic":${JSON.stringify(topic)},${data}${keyMember}}`;
    const { position, repeated } = await this.#commands.run(members, {
      effect: "write",
      hasKey: key !== false,
      topic,
      timeout: requestTimeout ?? this.#requestTimeout,
      signal,
    });
    return { position: textIn(position), repeated: repeated === true };
  }

  async #read(members: Readonly<Record<string, unknown>>, { requestTimeout, signal }: CallOptions): Promise<Told> {
    const timeout = requestTimeout ?? this.#requestTimeout;
    return await this.#commands.run(JSON.stringify(members), {
      effect: "read",
      hasKey: false,
      topic: undefined,
      timeout,
      signal,
    });
  }

  /** For several commands that are one to whoever calls. */
  #timeLeft({ requestTimeout = this.#requestTimeout, signal }: CallOptions): () => CallOptions {
    const { clock } = this.#platform, begun = clock.monotonic();
    return () => {
      const passed = clock.monotonic() - begun;
      // What cannot be is refused where it is asked for.
      return { requestTimeout: passed > 0 ? Math.max(requestTimeout - passed, 1) : requestTimeout, signal };
    };
  }

  #attached(link: Link): void {
    this.#link = link;
    for (const topic of [...this.#topics.values()]) topic.begin(link);
    this.#commands.attach(link);
  }

  #detached(): void {
    this.#link = undefined;
    this.#commands.detach();
    for (const topic of [...this.#topics.values()]) topic.broke();
  }

  #changed(change: RealtimeStateChange): void {
    const error = change.error instanceof OramaError ? change.error : closed();
    if (change.state === "connecting") this.#commands.allow();
    if (change.state === "stopped" || change.state === "closed") this.#commands.refuse(error);
    for (const topic of [...this.#topics.values()]) {
      if (change.state === "stopped") topic.stopped(error);
      if (change.state === "closed") topic.close();
    }
    this.#emitter.emit("state", change);
  }
}

const closed = () => new OramaError("the connection was closed", { code: "CLOSED" });
