import type { Delivery, Subscription } from "../../../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../../../src/contracts/request.ts";
import type { Process } from "./gateway.ts";
import type { History, Seen } from "./history.ts";
import type { Time } from "./time.ts";

/** The namespace of all of them. */
export const NAMESPACE = "simulated";

/** What has been published, by topic and epoch. */
export type Published = Map<string, Map<number, string[]>>;

/** What a message says; some say it in many bytes. */
const textOf = (data: Uint8Array) => new TextDecoder().decode(data).trimEnd();

/** One connection of a client. */
interface Connection {
  readonly process: Process;
  readonly over: AbortController;
  readonly subscriptions: Map<string, Subscription>;
}

/** Somebody who listens, goes and comes back with what it was told last. */
export class Client {
  readonly histories: ReadonlyMap<string, History & { isThere: boolean }>;
  /** How often it came back, and what it was told then. */
  readonly outcomes = new Map<string, number>();
  #connection: Connection | undefined;
  readonly #positions = new Map<string, string | undefined>();
  #requests = 0;

  /** @param member under which it is present: others may be it too */
  constructor(
    readonly name: string,
    readonly topics: readonly string[],
    private readonly published: Published,
    private readonly time: Time,
    readonly member: string = name,
  ) {
    this.histories = new Map(topics.map((topic) => [topic, { client: name, topic, seen: [], isThere: false }]));
  }

  get process(): Process | undefined {
    return this.#connection?.process;
  }

  /** Topics that it is subscribed to. */
  get present(): readonly string[] {
    return [...this.#connection?.subscriptions.keys() ?? []];
  }

  connect(process: Process): void {
    if (this.#connection !== undefined || !process.isOpen) return;
    const connection: Connection = { process, over: new AbortController(), subscriptions: new Map() };
    this.#connection = connection;
    for (const topic of this.topics) void this.#subscribe(connection, topic);
  }

  /** @param gone whether the gateway is no more: then nothing can be closed */
  disconnect(gone = false): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    for (const history of this.histories.values()) history.isThere = false;
    if (gone) return;
    connection.over.abort();
    for (const subscription of connection.subscriptions.values()) subscription.close();
  }

  async #subscribe(connection: Connection, topic: string): Promise<void> {
    const { process, over } = connection;
    const history = this.histories.get(topic)!;
    const since = this.#positions.get(topic);
    const isCurrent = () => this.#connection === connection;
    const request: RequestContext = {
      requestId: `${this.name}/${++this.#requests}`,
      signal: over.signal,
      clientAddress: "",
    };
    const saw = (seen: Seen) => void history.seen.push(seen);
    const subscriber = {
      deliver: ({ events }: Delivery) => {
        if (!isCurrent()) return;
        for (const event of events) {
          if (event.kind === "message") saw({ type: "message", id: textOf(event.data) });
          else if (event.kind === "gap") saw({ type: "gap", reason: event.reason, at: this.time.now });
          else {
            saw({ type: event.kind, member: event.member.id });
            continue;
          }
          this.#positions.set(topic, event.position);
        }
      },
      ended: () => {},
    };
    try {
      const member = { id: this.member, meta: { name: this.name } };
      const subscription = await process.service.subscribe(NAMESPACE, topic, subscriber, { since, member }, request);
      if (!isCurrent()) return subscription.close();
      connection.subscriptions.set(topic, subscription);
      const { recovered, unrecovered, missed, position } = subscription;
      this.#count(recovered === undefined ? "fresh" : unrecovered ?? "recovered");
      if (recovered) {
        saw({ type: "recovered" });
        for (const { data } of missed) saw({ type: "message", id: textOf(data) });
      } else {
        const heads = new Map(Array.from(this.published.get(topic) ?? [], ([epoch, ids]) => [epoch, ids.length]));
        saw({ type: "begin", heads, why: unrecovered });
      }
      this.#positions.set(topic, position);
      history.isThere = true;
    } catch (error) {
      // It left while it waited; everything else is a defect.
      if (isCurrent() && process.isOpen) throw error;
    }
  }

  #count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }
}
