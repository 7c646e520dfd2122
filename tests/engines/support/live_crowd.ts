import { createClient } from "../../../src/client/index.ts";
import type { Realtime } from "../../../src/client/realtime/realtime.ts";
import { createRealtime } from "../../../src/client/realtime/connection.ts";
import type { Subscription } from "../../../src/client/realtime/subscription.ts";
import type { Chance } from "../../unit/pubsub_cluster/support/random.ts";
import type { Told, View } from "./live_judge.ts";
import { type Door, type Ledger, roaming, type RoamingSocket } from "./live_ledger.ts";

/** What a crowd has in common. */
export interface CrowdOptions {
  readonly apiKey: string;
  readonly ledger: Ledger;
  /** Where somebody goes who connects now. @throws where no gateway runs */
  readonly door: (chance: Chance) => Door;
}

/** What was told of losses and recoveries, each reason with how often. */
export type Tally = Map<string, number>;

/** A view that goes on. */
export interface GrowingView extends View {
  readonly told: Told[];
}

/** Somebody who listens to some topics, publishes in them, and is cut off now and then. */
export interface Participant {
  readonly views: readonly View[];
  readonly tally: Tally;
  /** Publishes, and waits until it is known what became of it, or nobody knows it any more. */
  publish(topic: string): Promise<void>;
  /** Its connection breaks, without its doing. */
  breakOff(): void;
  /** Leaves, as an application that ends, and keeps where it was. */
  leave(): void;
  /** Comes back after {@link leave}, to where it was. */
  comeBack(): void;
  /** Whether it is connected, and subscribed to everything. */
  readonly isThere: boolean;
  /** As whom it is present, and where; nowhere: `undefined`. */
  readonly member: { readonly topic: string; readonly id: string } | undefined;
}

/** Counts one more. */
export const count = (tally: Tally, what: string) => void tally.set(what, (tally.get(what) ?? 0) + 1);

interface Mine {
  readonly view: GrowingView;
  subscription: Subscription<unknown> | undefined;
  position: string | undefined;
}

/** One with the project's own client. */
export class ClientParticipant implements Participant {
  readonly tally: Tally = new Map();
  readonly member: Participant["member"];
  readonly #mine: readonly Mine[];
  #realtime: Realtime | undefined;
  #socket: RoamingSocket | undefined;

  constructor(
    readonly name: string,
    topics: readonly string[],
    isPresent: boolean,
    private readonly chance: Chance,
    private readonly options: CrowdOptions,
  ) {
    this.#mine = topics.map((topic) => ({
      view: { client: name, topic, told: [] },
      subscription: undefined,
      position: undefined,
    }));
    this.member = isPresent ? { topic: topics[0]!, id: name } : undefined;
    this.comeBack();
  }

  get views(): readonly View[] {
    return this.#mine.map(({ view }) => view);
  }

  get isThere(): boolean {
    return this.#realtime?.state === "connected" &&
      this.#mine.every(({ subscription }) => subscription?.state === "live");
  }

  async publish(topic: string): Promise<void> {
    const { ledger } = this.options, id = ledger.make(topic);
    if (this.#realtime === undefined) return;
    try {
      await this.#realtime.publish(topic, { m: id });
      ledger.acknowledge(id);
    } catch (error) {
      // Nobody knows what became of it.
      count(this.tally, `not published: ${codeOf(error)}`);
    }
  }

  breakOff(): void {
    this.#socket?.breakOff();
  }

  leave(): void {
    for (const mine of this.#mine) mine.position = mine.subscription?.position;
    this.#realtime?.close();
    this.#realtime = undefined;
  }

  /** Does nothing where it did not leave. */
  comeBack(): void {
    if (this.#realtime !== undefined) return;
    const { apiKey, ledger, door } = this.options;
    const webSocket = roaming(ledger, () => door(this.chance), (socket) => this.#socket = socket);
    const client = createClient({ url: "http://gateway.invalid", apiKey });
    const retry = { firstPause: 200, longestPause: 2_000 };
    const realtime = this.#realtime = createRealtime(client, {
      webSocket,
      retry,
      requestTimeout: 20_000,
      connectTimeout: 5_000,
      pingTimeout: 4_000,
    });
    for (const mine of this.#mine) this.#listen(realtime, mine);
  }

  #listen(realtime: Realtime, mine: Mine): void {
    const { told, topic } = mine.view, since = mine.position;
    const isMember = this.member?.topic === topic;
    const subscription = mine.subscription = realtime.subscribe(topic, {
      since,
      ...(isMember && { member: { id: this.name } }),
    });
    let begins = since === undefined, isGapDue = false;
    subscription.on("state", ({ state }) => {
      if (state !== "live" || !begins) return;
      begins = false;
      count(this.tally, "begun");
      told.push({ kind: "begin", at: performance.now() });
    });
    subscription.on("message", ({ data }) => {
      told.push({ kind: "message", at: performance.now(), id: Number((data as { m: number }).m) });
    });
    subscription.on("recovered", ({ recovered, reason }) => {
      count(this.tally, recovered ? "recovered" : `not recovered: ${reason}`);
      isGapDue = !recovered;
      const asked = this.#socket!.openedAt;
      told.push({ kind: "recovered", at: performance.now(), recovered, asked });
    });
    subscription.on("gap", ({ reason }) => {
      // Behind what was not recovered comes one as well.
      if (!isGapDue) count(this.tally, `gap: ${reason}`);
      isGapDue = false;
      told.push({ kind: "gap", at: performance.now() });
    });
  }
}

const codeOf = (error: unknown) => (error as { readonly code?: unknown }).code ?? String(error);
