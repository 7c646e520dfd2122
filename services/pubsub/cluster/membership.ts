import type { NodeId } from "../mesh/mesh.ts";
import { within } from "./deadline.ts";
import type { View } from "./cluster.ts";
import type { Epoch, EpochRegistry } from "./epochs.ts";
import { Rounds } from "./rounds.ts";
import type { Timers } from "./timers.ts";

/** What membership is made of. */
export interface MembershipOptions {
  readonly registry: EpochRegistry;
  readonly node: NodeId;
  readonly clock: Timers;
  /** From 0 to 1, without 1. */
  readonly random: () => number;
  /** Where this gateway can be reached. */
  readonly addresses: () => readonly string[];
  /** Whether this gateway, or one that it hears, hears that one over a link. */
  readonly seen: (node: NodeId) => boolean;
  /** Told once the state says so. Throws nothing. */
  readonly changed: (change: LivesChange) => void;
}

/** What a look at the control plane brought. */
export interface LivesChange {
  readonly opened: readonly Epoch[];
  /** Lives of others that ended, also those that nobody had seen open. */
  readonly ended: readonly Epoch[];
  /** The number under which this gateway lives now, where that changed. */
  readonly begun: number | undefined;
}

/** Every life that is open or above the number that was asked for, and all numbers up to {@link Look.known} together with before. */
interface Look {
  readonly listed: readonly Epoch[];
  readonly known: number;
}

/** Milliseconds between two renewals, two looks with and without others, and two looks at the renewals of others. */
const RENEW = 10_000, LOOK = 3_000, LOOK_ALONE = 10_000, WATCH = 10_000;
/** Milliseconds without a renewal after which a life is held for lost. */
const SILENCE = 60_000;
/** Milliseconds that the control plane has to answer, and after which a beginning that failed is tried again. */
const CALL = 5_000, AGAIN = 1_000;
/** Lives that ended and are remembered. */
const MAX_ENDED = 10_000;

/** Which gateways live, as the control plane says; and this one's own life. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #open = new Map<number, Epoch>();
  /** All that ended with a number above {@link #floor}. */
  readonly #ended = new Map<number, Epoch>();
  readonly #own = new Set<number>();
  readonly #looks: Rounds<number, Look>;
  /** How often each life had been renewed, and for how long that was seen not to rise. */
  readonly #watched = new Map<number, { count: number; silence: number }>();
  #watchedAt: number | undefined;
  #floor = 0;
  #known = 0;
  #epoch: number | undefined;
  #beginning = false;
  #closed = false;
  #published = 0;
  /** What {@link #published} was when the last renewal that succeeded was sent. */
  #publishedAtRenewal = 0;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#looks = new Rounds((after) => this.#look(after), Math.min);
  }

  /** Under which this gateway lives. `undefined` before it and the others are known. */
  get epoch(): number | undefined {
    return this.#epoch;
  }

  /** Lives that go on, as far as is known, by number. */
  get open(): ReadonlyMap<number, Epoch> {
    return this.#open;
  }

  /** The highest number that is known, of those that were looked at all together. */
  get known(): number {
    return this.#known;
  }

  /** Whose life one is or was, as far as that is remembered. */
  nodeOf(epoch: number): NodeId | undefined {
    return (this.#open.get(epoch) ?? this.#ended.get(epoch))?.node;
  }

  /** Whether a life is or was one of this very process. */
  isOwn(epoch: number): boolean {
    return this.#own.has(epoch);
  }

  /** Begins, as soon as the control plane lets it. */
  start(): void {
    void this.#begin();
    this.#every(() => RENEW, () => this.#renew());
    this.#every(
      () => this.#open.size > 1 ? LOOK : LOOK_ALONE,
      () => this.#epoch === undefined ? undefined : this.look(),
    );
    this.#every(() => WATCH, () => this.#watch());
  }

  /** How much was published in this gateway's epochs. */
  get publishes(): number {
    return this.#published;
  }

  /** Something was published in this gateway's epoch. */
  published(): void {
    this.#published++;
  }

  /** Looks at what there is now. @throws when the control plane cannot be asked */
  async look(): Promise<void> {
    if (!this.#closed) await this.#looks.put(this.#known);
  }

  /**
   * Every life that is open, that a view names, or that is newer than it knows, as it is now; one that nobody remembers is absent.
   * @returns them, and the number up to which these are all
   * @throws when the control plane cannot be asked
   */
  async lives(since: View): Promise<{ readonly lives: ReadonlyMap<number, Epoch>; readonly known: number }> {
    let after = since.known >= this.#floor ? this.#known : since.known;
    for (const number of since.heads.keys()) {
      if (!this.#open.has(number) && !this.#ended.has(number)) after = Math.min(after, number - 1);
    }
    const { listed, known } = await this.#looks.put(after);
    const lives = new Map<number, Epoch>();
    for (const epoch of [...this.#ended.values(), ...this.#open.values(), ...listed]) {
      const { number } = epoch;
      if (number > since.known || since.heads.has(number) || epoch.state === "open") lives.set(number, epoch);
    }
    return { lives, known };
  }

  /** Ends. @param told how much had been published when the others were told how far it came: with more than that it is no clean end */
  async close(told: number): Promise<void> {
    this.#closed = true;
    const epoch = this.#epoch;
    if (epoch === undefined || this.#published > told) return;
    const { registry, clock } = this.#options;
    // Where it cannot be said, the others bury it.
    await within(clock, 2_000, (signal) => registry.end(epoch, signal)).catch(() => {});
  }

  /** Does something again and again, a little earlier or later each time, so that gateways do not keep step. */
  #every(ms: () => number, run: () => Promise<unknown> | undefined): void {
    const { clock, random } = this.#options;
    const next = () => {
      clock.after(ms() * (0.9 + random() * 0.2), () => {
        // What fails is tried at the next time.
        if (!this.#closed) Promise.resolve(run()).catch(() => {}).then(next);
      });
    };
    next();
  }

  async #begin(): Promise<void> {
    if (this.#beginning) return;
    this.#beginning = true;
    try {
      while (!this.#closed && !await this.#tryToBegin().catch(() => false)) await this.#pause();
    } finally {
      this.#beginning = false;
    }
  }

  /** @returns whether it lives now */
  async #tryToBegin(): Promise<boolean> {
    const { registry, clock, node, addresses } = this.#options;
    const before = this.#epoch;
    const published = this.#published;
    const silent = before !== undefined && published === this.#publishedAtRenewal ? before : undefined;
    const { number } = await within(clock, CALL, (signal) => registry.begin(node, addresses(), signal, silent));
    this.#own.add(number);
    // It is said to have been silent, and was not: the next beginning makes this one lost, which tells everyone.
    if (silent !== undefined && this.#published !== published) return false;
    if (before === undefined) {
      this.#floor = number - 1;
      this.#known = number - 1;
      // Positions made before the others are known would say that they have ended.
      await this.#looks.put(number - 1);
      // Another life of this node began meanwhile, or it was held for lost: as if it had not begun.
      if (!this.#open.has(number)) return false;
    } else {
      this.#open.delete(before);
      this.#ended.set(before, { number: before, node, state: "lost", addresses: [] });
      this.#open.set(number, { number, node, state: "open", addresses: addresses() });
    }
    this.#epoch = number;
    this.#publishedAtRenewal = this.#published;
    this.#options.changed({ opened: [], ended: [], begun: number });
    return true;
  }

  #pause(): Promise<void> {
    const { clock, random } = this.#options;
    return new Promise((resolve) => void clock.after(AGAIN * (0.5 + random()), resolve));
  }

  async #renew(): Promise<void> {
    const { registry, clock } = this.#options;
    const epoch = this.#epoch;
    if (epoch === undefined) return;
    const published = this.#published;
    const lives = await within(clock, CALL, (signal) => registry.renew(epoch, signal));
    if (this.#closed || this.#epoch !== epoch) return;
    if (lives) this.#publishedAtRenewal = published;
    else await this.#begin();
  }

  async #look(after: number): Promise<Look> {
    const { registry, clock } = this.#options;
    const list = (from: number) => within(clock, CALL, (signal) => registry.list(from, signal));
    const from = Math.min(after, this.#known);
    let listed = await list(from);
    const numbers = new Set(listed.map(({ number }) => number));
    const missing = [...this.#open.keys()].filter((number) => !numbers.has(number));
    // How they ended stands only in a list that reaches back to them.
    if (missing.length > 0) listed = await list(Math.min(from, ...missing.map((number) => number - 1)));
    if (!this.#closed) this.#apply(listed);
    return { listed, known: this.#known };
  }

  #apply(listed: readonly Epoch[]): void {
    const opened: Epoch[] = [];
    const ended: Epoch[] = [];
    const found = new Map(listed.map((epoch) => [epoch.number, epoch]));
    const end = (epoch: Epoch) => {
      this.#ended.set(epoch.number, epoch);
      if (!this.#open.delete(epoch.number) && epoch.number <= this.#known) return;
      if (!this.#own.has(epoch.number)) ended.push(epoch);
    };
    for (const epoch of this.#open.values()) {
      if (!found.has(epoch.number)) found.set(epoch.number, { ...epoch, state: "lost" });
    }
    let buried = false;
    for (const epoch of [...found.values()].sort((a, b) => a.number - b.number)) {
      if (epoch.number === this.#epoch && epoch.state !== "open") buried = true;
      else if (epoch.state !== "open") end(epoch);
      else if (!this.#open.has(epoch.number) && !this.#ended.has(epoch.number)) {
        this.#open.set(epoch.number, epoch);
        if (!this.#own.has(epoch.number)) opened.push(epoch);
      }
    }
    const before = this.#known;
    this.#known = Math.max(before, ...found.keys());
    for (const number of this.#ended.keys()) {
      if (this.#ended.size <= MAX_ENDED) break;
      this.#ended.delete(number);
      this.#floor = Math.max(this.#floor, number);
    }
    if (opened.length + ended.length > 0 || this.#known > before) {
      this.#options.changed({ opened, ended, begun: undefined });
    }
    if (buried) void this.#begin();
  }

  /**
   * Holds for lost what was not renewed. Only time between two looks that both succeeded counts: while the control plane cannot be
   * asked from here, the others may not reach it either.
   */
  async #watch(): Promise<void> {
    const { registry, clock, seen } = this.#options;
    if (this.#epoch === undefined || this.#open.size < 2) return;
    const renewals = await within(clock, CALL, (signal) => registry.renewals(signal));
    const now = clock.monotonic();
    const passed = this.#watchedAt === undefined ? 0 : now - this.#watchedAt;
    this.#watchedAt = now;
    for (const number of this.#watched.keys()) if (!renewals.has(number)) this.#watched.delete(number);
    const silent = new Map<number, number>();
    for (const [number, count] of renewals) {
      const before = this.#watched.get(number);
      if (before?.count !== count) {
        this.#watched.set(number, { count, silence: 0 });
        continue;
      }
      if (passed < 2 * WATCH) before.silence += passed;
      const node = this.#open.get(number)?.node;
      if (before.silence >= SILENCE && node !== undefined && number !== this.#epoch && !seen(node)) {
        silent.set(number, count);
      }
    }
    if (silent.size === 0) return;
    await within(clock, CALL, (signal) => registry.bury(silent, signal));
    await this.look();
  }
}
