import { setImmediate } from "node:timers/promises";
import { hasCode } from "../../../src/contracts/errors.ts";
import type { Clock } from "../../clock/clock.ts";
import { atMost } from "../../clock/waiting.ts";
import { callForTick } from "./cron_call.ts";
import { type Claim, type CronRows, RUN_LEASE, type Tick } from "./cron_rows.ts";
import type { CronTimes } from "./cron_times.ts";
import type { Firing } from "./firing.ts";
import type { LastNotes } from "./notes.ts";
import { sourceOf, type TriggerRow } from "./rows.ts";

/** What ticking needs. */
export interface CronParts {
  readonly rows: CronRows;
  readonly times: CronTimes;
  readonly firing: Firing;
  readonly notes: LastNotes;
  readonly clock: Clock;
  readonly random: (n: number) => Uint8Array;
  readonly onError: (error: unknown) => void;
}

/** Milliseconds between two looks for what is due soon, and how far they look ahead. */
const LOOK = 4_000, AHEAD = 6_000;
/** Milliseconds after a look to the next one where something changed meanwhile. */
const AGAIN = 250;
/** Triggers that are known to be due soon. What comes behind them is looked for when they are done. */
const SOON = 500;
/** Ticks that are claimed in one transaction, and triggers whose times are checked at once: the control plane may be in this process. */
const PAGE = 50;
/** Milliseconds between two checks of all times. */
const CHECK = 10 * 60_000;
/** Milliseconds by which the clock goes back so that times are checked at once: less is a clock that is kept right. */
const BACK = 1_500;
/** Milliseconds that a tick which was run may lie ahead of now, so that it is not run again. One further ahead was no real one. */
const TRUSTED = 60 * 60_000;
/** Milliseconds that calls have to end by themselves, and then to be broken off, when the gateway stops. */
const GRACE = 3_000, BREAKING = 2_000;

/**
 * Runs cron triggers: whichever gateway claims a tick first runs it, and a tick that was missed is run once, however many they were.
 * Ticks that come while the call of an earlier one runs are skipped.
 */
export class Cron {
  readonly #due = new Map<string, TriggerRow & { readonly next_at: number }>();
  /** Calls that run here, by trigger. */
  readonly #running = new Map<string, { readonly run: string; readonly done: Promise<void>; skipped: number }>();
  /** Calls that ended and are not said to have. */
  #over = new Map<string, string>();
  #telling: Promise<void> | undefined;
  readonly #stopping = new AbortController();
  readonly #breakOff = new AbortController();
  #closed = false;
  #failing = false;
  /** Whether more is due soon than is known. */
  #more = false;
  /** Whether something changed during a look. */
  #again = false;
  #looking: Promise<void> | undefined;
  #ticking: Promise<void> | undefined;
  readonly #timers: Record<"look" | "tick" | "renew", (() => void) | undefined> = {
    look: undefined,
    tick: undefined,
    renew: undefined,
  };
  /** By how much the time of day is ahead of time that passes, at the last look. */
  #offset: number | undefined;
  #checkAt = -Infinity;

  constructor(private readonly parts: CronParts) {}

  /** Begins. */
  start(): void {
    this.#offset = this.parts.clock.now() - this.parts.clock.monotonic();
    this.look();
    this.#every("renew", RUN_LEASE / 3, () => this.#renew());
  }

  /** Looks for what is due soon, now: some may have been made or changed. */
  look(): void {
    if (this.#closed) return;
    if (this.#looking !== undefined) return void (this.#again = true);
    this.#timers.look?.();
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined;
      this.#after("look", this.#again ? AGAIN : LOOK, () => this.look());
      this.#again = false;
    });
  }

  /** Ends; calls that run have a few seconds to end by themselves. */
  async close(): Promise<void> {
    const { clock } = this.parts;
    this.#closed = true;
    this.#stopping.abort();
    this.#timers.look?.();
    this.#timers.tick?.();
    await atMost(clock, BREAKING, Promise.all([this.#looking, this.#ticking]));
    const running = () => Promise.all([...this.#running.values()].map(({ done }) => done));
    await atMost(clock, GRACE, running());
    this.#breakOff.abort(new DOMException("the gateway is stopping", "AbortError"));
    await atMost(clock, BREAKING, running());
    this.#timers.renew?.();
    await atMost(clock, BREAKING, this.#tell());
  }

  async #look(): Promise<void> {
    const { rows, clock } = this.parts;
    try {
      await this.#checkTimes();
      const until = clock.now() + AHEAD;
      const found = await rows.due(until, SOON);
      this.#more = found.length === SOON;
      this.#due.clear();
      for (const row of found) this.#expect(row);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.parts.onError(error);
      this.#failing = true;
    }
    this.#arm();
  }

  /**
   * A gateway whose clock was wrong may have set times that are far away. What ticked already is not run again, unless its tick lies
   * so far ahead that it never came.
   */
  async #checkTimes(): Promise<void> {
    const { rows, clock } = this.parts;
    const offset = clock.now() - clock.monotonic();
    const wentBack = offset < (this.#offset ?? offset) - BACK;
    this.#offset = offset;
    if (!wentBack && clock.monotonic() < this.#checkAt) return;
    this.#checkAt = clock.monotonic() + CHECK;
    for (let after = ""; !this.#closed;) {
      const page = await rows.page(after, PAGE);
      const late = page.flatMap((row) => {
        const next = this.#nextOf(row, clock.now());
        return next !== undefined && next < row.next_at! ? [{ row, next }] : [];
      });
      if (late.length > 0) await rows.hasten(late);
      if (page.length < PAGE) return;
      after = page.at(-1)!.id;
      await setImmediate();
    }
  }

  #nextOf(row: TriggerRow, now: number): number | undefined {
    const isRecent = row.ticked_at !== null && row.ticked_at - now <= TRUSTED;
    return this.#dueAfter(row, Math.max(now, isRecent ? row.ticked_at! : now));
  }

  #dueAfter(row: TriggerRow, moment: number): number | undefined {
    const source = sourceOf(row);
    return source.kind === "cron" ? this.parts.times.next(source.expression, source.timezone, moment) : undefined;
  }

  #expect(row: TriggerRow): void {
    const { next_at } = row;
    if (next_at !== null) this.#due.set(row.id, { ...row, next_at });
  }

  #arm(): void {
    if (this.#closed || this.#ticking !== undefined) return;
    this.#timers.tick?.();
    let first = Infinity;
    for (const { next_at } of this.#due.values()) first = Math.min(first, next_at);
    if (first === Infinity) return;
    this.#after("tick", Math.max(0, first - this.parts.clock.now()), () => {
      this.#ticking = this.#tick().catch((error) => this.parts.onError(error)).finally(() => {
        this.#ticking = undefined;
        this.#arm();
      });
    });
  }

  async #tick(): Promise<void> {
    const { clock, random } = this.parts;
    const now = clock.now();
    const due = [...this.#due.values()].filter(({ next_at }) => next_at <= now)
      .sort((a, b) => a.next_at - b.next_at).slice(0, PAGE);
    const ticks = due.map((row): Tick => {
      this.#due.delete(row.id);
      const run = this.#running.get(row.id)?.run ?? random(16).toHex();
      return { row, at: row.next_at, next: this.#dueAfter(row, Math.max(now, row.next_at)), run };
    });
    if (ticks.length === 0) return;
    const claims = await this.#claim(ticks, now);
    ticks.forEach((tick, at) => {
      if (claims[at] === "lost") return;
      const { next } = tick;
      if (next !== undefined && next <= clock.now() + AHEAD) this.#expect({ ...tick.row, next_at: next });
      const running = this.#running.get(tick.row.id);
      if (claims[at] === "won" && running === undefined) this.#begin(tick);
      else this.#skip(tick, running);
    });
    if (this.#due.size === 0 && this.#more) this.look();
    await setImmediate();
  }

  async #claim(ticks: readonly Tick[], now: number): Promise<readonly Claim[]> {
    const { rows } = this.parts;
    try {
      return await rows.claim(ticks, now);
    } catch (error) {
      if (!hasCode(error, "OUTCOME_UNKNOWN")) throw error;
      return await rows.owned(ticks);
    }
  }

  #skip({ row, at }: Tick, running: { skipped: number } | undefined): void {
    if (running !== undefined) running.skipped++;
    this.parts.firing.count("skipped");
    const moment = new Date(at).toISOString();
    this.parts.notes.note(row.id, `the tick of ${moment} was skipped: the call of an earlier one was still running`);
  }

  #begin(tick: Tick): void {
    const { row, run } = tick;
    const running = { run, done: Promise.resolve(), skipped: 0 };
    this.#running.set(row.id, running);
    running.done = this.#run(tick, running).finally(() => {
      this.#running.delete(row.id);
      this.#over.set(row.id, run);
      void this.#tell();
    });
  }

  async #run(tick: Tick, running: { readonly skipped: number }): Promise<void> {
    const stops = { stopping: this.#stopping.signal, breakOff: this.#breakOff.signal };
    const fired = await callForTick({ ...this.parts, ...stops }, tick);
    if (fired === undefined) return;
    const { kind, error } = fired;
    const skipped = running.skipped === 0
      ? undefined
      : `${running.skipped} ticks were skipped while this call was running`;
    const stopped = kind === "broken_off" ? "the call was broken off: the gateway stopped" : skipped;
    this.parts.notes.note(tick.row.id, error ?? stopped);
  }

  /** Says that calls have ended: at once, and together those that end while it is being said. */
  #tell(): Promise<void> {
    if (this.#over.size === 0) return this.#telling ?? Promise.resolve();
    return this.#telling ??= this.#tellAll();
  }

  async #tellAll(): Promise<void> {
    while (this.#over.size > 0) {
      const over = this.#over;
      this.#over = new Map();
      // Where this fails, the lease of the call ends by itself.
      await this.parts.rows.ended(over).catch((error) => this.parts.onError(error));
    }
    this.#telling = undefined;
  }

  async #renew(): Promise<void> {
    const { rows, clock, onError } = this.parts;
    if (this.#running.size === 0) return;
    const runs = new Map([...this.#running].map(([id, { run }]) => [id, run]));
    await rows.renew(runs, clock.now() + RUN_LEASE).catch(onError);
  }

  #every(timer: "renew", ms: number, work: () => Promise<void>): void {
    this.#after(timer, ms, () => void work().finally(() => this.#every(timer, ms, work)));
  }

  #after(timer: "look" | "tick" | "renew", ms: number, run: () => void): void {
    if (this.#closed && timer !== "renew") return;
    this.#timers[timer]?.();
    this.#timers[timer] = this.parts.clock.after(ms, run, true);
  }
}
