import { atMost } from "../../clock/waiting.ts";
import type { DatabaseChanges } from "../../../src/contracts/database_changes.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { followTable } from "./database_feed.ts";
import { sentenceOf } from "./failures.ts";
import { Fed, type FedParts, NotOurs } from "./fed.ts";
import { LEASE } from "./lease_rows.ts";
import { followTopic, type TopicFeedParts } from "./topic_feed.ts";

/** What following needs. */
export interface FeedsParts extends FedParts, Omit<TopicFeedParts, "firing"> {
  readonly databaseChanges: Pick<DatabaseChanges, "listen">;
}

/** Milliseconds between two looks for triggers that nobody follows for. With {@link LEASE}, how long after a death others take over. */
const LOOK = 5_000;
/** Milliseconds after a look to the next one where something changed meanwhile. */
const AGAIN = 250;
/** Milliseconds between two renewals of the leases. */
const RENEW = LEASE / 3;
/** Triggers that one look takes at most: where many are free, other gateways take some as well. */
const TAKEN = 32;
/** Milliseconds between two tries to follow, at first and at most. */
const RETRY = { first: 1_000, most: 30_000 };
/** Milliseconds that following must go well for the tries to begin anew. */
const WELL = 60_000;
/** Milliseconds that calls have to end by themselves, and then to be broken off, when the gateway stops. */
const GRACE = 3_000, BREAKING = 2_000;

/** Follows topics and tables for the triggers of which this gateway has the lease. */
export class Feeds {
  readonly #held = new Map<string, { readonly fed: Fed; readonly done: Promise<void> }>();
  #looking: Promise<void> | undefined;
  #again = false;
  #cancel: (() => void) | undefined;
  #renewedAt = -Infinity;
  #failing = false;
  #closed = false;

  constructor(private readonly parts: FeedsParts) {}

  /** Triggers that this gateway follows for. */
  get held(): number {
    return this.#held.size;
  }

  /** Looks for triggers to follow for, now, and whether those that it has may go on. Goes on to look by itself. */
  look(): void {
    if (this.#closed) return;
    if (this.#looking !== undefined) return void (this.#again = true);
    this.#cancel?.();
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
      if (this.#closed) return;
      this.#cancel = this.parts.clock.after(this.#again ? AGAIN : LOOK, () => this.look(), true);
      this.#again = false;
    });
  }

  /** Something changed in a namespace: looks whether what it has may go on. */
  changed(): void {
    this.#renewedAt = -Infinity;
    this.look();
  }

  /** Ends what it has of a namespace. */
  drop(namespace: string): void {
    for (const { fed } of this.#held.values()) if (fed.row.namespace === namespace) fed.breakOff();
  }

  /** Ends; calls that run have a few seconds to end by themselves. Others may take over at once. */
  async close(): Promise<void> {
    const { clock, leases, onError } = this.parts;
    this.#closed = true;
    this.#cancel?.();
    await atMost(clock, BREAKING, this.#looking ?? Promise.resolve());
    const all = [...this.#held.values()];
    const over = Promise.all(all.map(({ done }) => done));
    for (const { fed } of all) fed.stop();
    await atMost(clock, GRACE, over);
    for (const { fed } of all) fed.breakOff();
    await atMost(clock, BREAKING, over);
    await atMost(clock, BREAKING, leases.release(all.map(({ fed }) => fed.id)).catch(onError));
  }

  async #look(): Promise<void> {
    try {
      await this.#renew();
      await this.#take();
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.parts.onError(error);
      this.#failing = true;
    }
  }

  async #renew(): Promise<void> {
    const { leases, clock } = this.parts;
    if (this.#held.size === 0 || clock.monotonic() - this.#renewedAt < RENEW) return;
    const before = [...this.#held.values()].filter(({ fed }) => !fed.signal.aborted), at = clock.monotonic();
    const kept = await leases.renew(before.map(({ fed }) => fed.id), clock.now());
    this.#renewedAt = at;
    for (const { fed } of before) if (!kept.has(fed.id)) fed.breakOff();
  }

  async #take(): Promise<void> {
    const { leases, clock } = this.parts;
    const taken = await leases.take([...this.#held.keys()], clock.now(), TAKEN);
    if (this.#closed) return await leases.release(taken.map(({ id }) => id));
    for (const row of taken) {
      const fed = new Fed(this.parts, row);
      const done = this.#follow(fed).catch((error) => this.parts.onError(error)).finally(() =>
        this.#held.delete(row.id)
      );
      this.#held.set(row.id, { fed, done });
    }
    if (taken.length === TAKEN) this.#again = true;
  }

  async #follow(fed: Fed): Promise<void> {
    const { clock, leases, onError } = this.parts;
    for (let tries = 0; !fed.signal.aborted; tries++) {
      const begun = clock.monotonic();
      try {
        await fed.check();
        await this.#once(fed);
      } catch (error) {
        if (error instanceof NotOurs || fed.signal.aborted) break;
        if (!(error instanceof GatewayError)) onError(error);
        fed.tell(sentenceOf(error));
      }
      if (clock.monotonic() - begun > WELL) tries = 0;
      await fed.rest(tries, RETRY).catch(() => {});
    }
    // As far as it is still its own.
    await fed.save();
    if (!this.#closed) await leases.release([fed.id]);
  }

  async #once(fed: Fed): Promise<void> {
    const { source } = fed;
    if (source.kind === "topic") await followTopic(this.parts, fed, source.topic);
    if (source.kind === "database") await followTable(this.parts.databaseChanges, fed, source.table, source.operations);
  }
}
