import { hasCode } from "../../src/contracts/errors.ts";
import type { PinState, PinStatus } from "../../src/contracts/storage.ts";
import type { ContentDriver } from "./driver.ts";
import type { PinKeeper } from "./pin_keeper.ts";
import type { PinRows, WatchedPin } from "./pin_rows.ts";

/** What looking after pins needs. */
export interface PinWatchParts {
  readonly pins: PinRows;
  readonly keeper: PinKeeper;
  readonly driver: Pick<ContentDriver, "pinState">;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Told what could not be done yet; it is tried again. At most once in a round. */
  readonly onError: (error: unknown) => void;
}

/** Pins by how it goes with them. */
export type PinCounts = Readonly<Partial<Record<PinStatus, number>>>;

/** Milliseconds between two rounds, and between the beginnings of two walks over all pins. */
const ROUND = 10_000, WALK = 5 * 60_000;
/** Pins in one round, and how many of them at once. */
const PAGE = 200, AT_ONCE = 8;
/** Milliseconds after which a round begins with no other pin, and those for a query and for a question to the engine. */
const PATIENCE = 10_000, CONTROL = 10_000, ENGINE = 20_000;

/**
 * Looks after what the engine was told to keep, over and over, a page of it in each round: what failed there, or a part of it, is
 * tried again, ever more seldom; what it has forgotten it is told anew.
 */
export class PinWatch {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  readonly #closing = new AbortController();
  /** Where the walk is; empty: at its beginning. */
  #after = "";
  #begun = -Infinity;
  #counts = new Map<PinStatus, number>();
  #last: PinCounts = {};

  constructor(private readonly parts: PinWatchParts) {}

  /** What the last walk saw that came to its end; nothing before. */
  get counts(): PinCounts {
    return this.#last;
  }

  /** Looks from time to time, the first time now. */
  start(): void {
    if (this.#closing.signal.aborted || this.#running) return;
    clearTimeout(this.#timer);
    this.#running = this.look().finally(() => {
      this.#running = undefined;
      if (!this.#closing.signal.aborted) this.#timer = setTimeout(() => this.start(), ROUND);
    });
  }

  /** Ends looking, once what is under way is done. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("the gateway is stopping", "AbortError"));
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Looks at the next page of pins, where it is time to. Never rejects. */
  async look(): Promise<void> {
    const failures: unknown[] = [];
    try {
      await this.#look((error) => failures.push(error));
    } catch (error) {
      failures.push(error);
    }
    if (failures.length > 0 && !this.#closing.signal.aborted) this.parts.onError(failures[0]);
  }

  async #look(failed: (error: unknown) => void): Promise<void> {
    const { pins, now } = this.parts;
    const begun = now();
    if (this.#after === "") {
      if (begun < this.#begun + WALK) return;
      this.#begun = begun;
      this.#counts = new Map();
    }
    const page = await pins.page(this.#after, PAGE, AbortSignal.timeout(CONTROL));
    let taken = 0, isDown = false;
    const isOver = () => this.#closing.signal.aborted || isDown || now() - begun > PATIENCE;
    const next = () => isOver() ? undefined : page[taken++];
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let pin = next(); pin !== undefined; pin = next()) {
        await this.#lookAt(pin, failed).catch((error) => {
          isDown ||= hasCode(error, "UNAVAILABLE");
          failed(error);
        });
      }
    }));
    // One that always fails must not keep the others from being looked at.
    this.#after = page[Math.min(taken, page.length) - 1]?.cid ?? this.#after;
    if (taken < page.length || page.length === PAGE) return;
    this.#after = "";
    this.#last = Object.fromEntries(this.#counts);
  }

  async #lookAt(pin: WatchedPin, failed: (error: unknown) => void): Promise<void> {
    const { pins, keeper, driver } = this.parts;
    const { cid, told, refused, tries, due } = pin;
    if (!told) return this.#count(refused ? "error" : "queued");
    let state: PinState;
    try {
      state = await driver.pinState(cid, {
        signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ENGINE)]),
      });
    } catch (error) {
      this.#count("unknown");
      throw error;
    }
    this.#count(state.status);
    const isFailing = state.status === "error" || state.peers.some(({ status }) => status === "error");
    if (!isFailing && state.status === "pinned" && tries > 0) await pins.well(cid, AbortSignal.timeout(CONTROL));
    if (!due) return;
    if (state.status === "unpinned") {
      await pins.again(cid, AbortSignal.timeout(CONTROL));
      await keeper.finish(cid);
    } else if (isFailing) {
      // There may be too few peers for this one: the others are looked at all the same.
      await keeper.recover(cid, "due").catch(failed);
    }
  }

  #count(status: PinStatus): void {
    this.#counts.set(status, (this.#counts.get(status) ?? 0) + 1);
  }
}
