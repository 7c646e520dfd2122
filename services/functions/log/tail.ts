import type { LogLine } from "../../../src/contracts/function_logs.ts";
import type { Clock } from "../../clock/clock.ts";
import { type CatchUp, Follower } from "./follower.ts";
import { firstIdAt, isBefore, timeOfId } from "./ids.ts";
import type { Logged, LogRows } from "./rows.ts";

/** What a tail works with. */
export interface TailParts {
  readonly rows: Pick<LogRows, "linesAfter">;
  readonly clock: Clock;
  /** Whether the function is still the one that its name means; true where nobody can say now. */
  readonly lives: () => Promise<boolean>;
  /** Called when the last follower has left. */
  readonly onEmpty: () => void;
}

/** Milliseconds between two looks, and while they fail. */
const PERIOD = 500, LONGEST_PAUSE = 5_000;
/** Looks after which it is asked whether the function is still there. */
const LOOKS = 10;
/** Milliseconds by which lines of other gateways may be late: written later, or by a slower clock. */
const LATE = 2_000;
/** Lines of one query, and queries of one look. */
const PAGE = 500, PAGES = 4;
/** Milliseconds for one query. */
const PATIENCE = 5_000;
/** Lines that are remembered for followers who come, and ids of lines that were told. */
const RECENT = 1_000, MAX_TOLD = 50_000;

/** Where a follower stands. */
interface Place {
  /** Only later lines are for it. */
  readonly from: string;
  /** Lines that it has read already, for as long as they may be told. */
  known?: { readonly ids: ReadonlySet<string>; readonly until: number } | undefined;
}

/**
 * The newest lines of one function, for all who follow it on this gateway: those of this gateway at once, those of the others by
 * looking twice a second. A look goes back two seconds behind the newest line, since others write half a second behind.
 */
export class Tail {
  readonly #followers = new Map<Follower, Place>();
  /** Ids of lines that were told, from {@link #floor} on. */
  #told = new Set<string>();
  #recent: LogLine[] = [];
  #floor: string;
  #stopTimer: (() => void) | undefined;
  #looks = 0;
  #failures = 0;
  #closed = false;

  constructor(readonly of: Logged, private readonly parts: TailParts) {
    this.#floor = firstIdAt(parts.clock.now() - LATE);
    this.#schedule();
  }

  /**
   * Lets somebody follow from now on, or from behind a line. Lines of other gateways may have come later and yet stand before it: so it
   * begins with what other gateways wrote in the two seconds before that line, some of which the follower may have had.
   * @param over called once, when it is over
   */
  follow(since: string | undefined, over: () => void): Follower {
    if (since === undefined) return this.#follow(undefined, firstIdAt(this.parts.clock.now()), over);
    let after = firstIdAt(timeOfId(since) - LATE), isLast = false;
    const known = new Set<string>();
    const next = async () => {
      while (!isLast) {
        const lines = await this.parts.rows.linesAfter(this.of, after, PAGE, AbortSignal.timeout(PATIENCE));
        after = lines.at(-1)?.id ?? after;
        // What the tail may tell as well is that of the last seconds.
        const window = firstIdAt(this.parts.clock.now() - 3 * LATE);
        for (const id of known) if (id < window) known.delete(id);
        for (const { id } of lines) if (id >= window) known.add(id);
        isLast = lines.length < PAGE;
        if (isLast) this.#begin(follower, since, known);
        const unheard = lines.filter(({ id }) => !isBefore(id, since));
        if (unheard.length > 0) return unheard;
      }
      return [];
    };
    const follower = this.#follow({ next }, LAST, over);
    return follower;
  }

  /** A line of this gateway. */
  tell(line: LogLine): void {
    if (this.#closed || this.#told.has(line.id)) return;
    this.#told.add(line.id);
    this.#recent.push(line);
    if (this.#recent.length > 2 * RECENT) this.#recent = this.#recent.slice(-RECENT);
    for (const [follower, { from, known }] of this.#followers) {
      if (line.id > from && !known?.ids.has(line.id)) follower.push(line);
    }
    // While looks fail it is not known what others wrote; it is told then from the last seconds on.
    if (this.#told.size > MAX_TOLD) this.#goTo(firstIdAt(this.parts.clock.now() - LATE));
  }

  /** Ends it for all who follow. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTimer?.();
    for (const follower of [...this.#followers.keys()]) follower.end();
    this.parts.onEmpty();
  }

  #follow(catchUp: CatchUp | undefined, from: string, over: () => void): Follower {
    const follower: Follower = new Follower(catchUp, () => {
      this.#followers.delete(follower);
      over();
      if (this.#followers.size === 0) this.close();
    });
    this.#followers.set(follower, { from });
    return follower;
  }

  /** It has read what was written since then, and hears what comes; some of that it may have read already. */
  #begin(follower: Follower, since: string, ids: ReadonlySet<string>): void {
    if (!this.#followers.has(follower)) return;
    const from = firstIdAt(timeOfId(since) - LATE);
    this.#followers.set(follower, { from, known: { ids, until: this.parts.clock.monotonic() + 3 * LATE } });
    for (const line of this.#recent) {
      if (line.id > from && !ids.has(line.id) && !isBefore(line.id, since)) follower.push(line);
    }
  }

  #schedule(): void {
    if (this.#closed) return;
    const pause = Math.min(LONGEST_PAUSE, PERIOD * 2 ** this.#failures);
    this.#stopTimer = this.parts.clock.after(pause, async () => {
      try {
        await this.#look();
        this.#failures = 0;
      } catch {
        // Nothing is lost: the next look begins where this one did. Lines of this gateway come all the same.
        this.#failures = Math.min(this.#failures + 1, 8);
      }
      this.#schedule();
    }, true);
  }

  async #look(): Promise<void> {
    if (++this.#looks % LOOKS === 0 && !await this.parts.lives()) return this.close();
    const now = this.parts.clock.monotonic();
    for (const place of this.#followers.values()) if (place.known && place.known.until < now) place.known = undefined;
    let after = this.#floor;
    for (let page = 0; page < PAGES && !this.#closed; page++) {
      const lines = await this.parts.rows.linesAfter(this.of, after, PAGE, AbortSignal.timeout(PATIENCE));
      for (const line of lines) this.tell(line);
      after = lines.at(-1)?.id ?? after;
      if (lines.length < PAGE) return this.#goTo(firstIdAt(timeOfId(after) - LATE));
    }
    // More than may be read again and again: whoever writes late now is not heard.
    this.#goTo(after);
  }

  #goTo(floor: string): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    for (const id of this.#told) if (id < floor) this.#told.delete(id);
    this.#recent = this.#recent.filter(({ id }) => id >= floor).slice(-RECENT);
  }
}

/** Behind every id. */
const LAST = "g";
