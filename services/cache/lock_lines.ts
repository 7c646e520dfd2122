import type { CacheAddress, CacheLease } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { Clock } from "../clock/clock.ts";
import type { CacheDriver } from "./driver.ts";

/** What the lines are made of. */
export interface LockLinesOptions {
  readonly driver: Pick<CacheDriver, "tryLock" | "unlock">;
  readonly clock: Clock;
  /** At least 0, less than 1. */
  readonly random: () => number;
}

/** How a lock is wanted. Times in milliseconds. */
export interface Wanted {
  readonly lease: number;
  readonly wait: number;
  /** Callers of the namespace that may wait at once. */
  readonly maxWaiters: number;
}

/** Milliseconds between two tries of whoever is first: the least, doubled with each try, and the most. */
const SOON = 10, LATE = 200;

/**
 * Lines of callers who wait for a lock. Only whoever is first asks the driver; whoever leaves goes out of the line wherever
 * they are, and whoever comes to its head asks at once. An engine hears of one caller for each lock, not of thousands.
 */
export class LockLines {
  readonly #options: LockLinesOptions;
  readonly #lines = new Map<string, Line>();
  readonly #waiting = new Map<string, number>();
  /** Of a try itself, which is not given up when its caller leaves: the lock would stay taken, and nobody would know. */
  readonly #stays = { signal: new AbortController().signal };

  constructor(options: LockLinesOptions) {
    this.#options = options;
  }

  /** Takes a lock, in turn. @throws GatewayError `LOCKED`, `TOO_MANY_WAITERS`, and as the driver; whatever the signal says */
  async lock(
    namespace: string,
    at: CacheAddress,
    wanted: Wanted,
    context: Pick<RequestContext, "signal">,
  ): Promise<CacheLease> {
    const name = nameOf(namespace, at);
    let line = this.#lines.get(name);
    if (line === undefined) this.#lines.set(name, line = new Line());
    else if (wanted.wait === 0) throw locked();
    const place = line.join();
    let waits = false;
    try {
      const deadline = this.#options.clock.monotonic() + wanted.wait;
      for (let tries = 0;;) {
        if (waits && context.signal.aborted) throw context.signal.reason;
        if (line.failure !== undefined) throw line.failure;
        let pause = Infinity;
        if (line.first === place) {
          const lease = await this.#try(namespace, at, wanted.lease, line, context);
          if (lease !== undefined) return lease;
          pause = this.#pause(tries++);
        }
        const left = deadline - this.#options.clock.monotonic();
        if (left <= 0) throw locked();
        if (!waits) this.#beginToWait(namespace, wanted.maxWaiters);
        waits = true;
        await place.sleep(Math.min(left, pause), this.#options.clock, context.signal);
      }
    } finally {
      if (waits) this.#endWaiting(namespace);
      line.leave(place);
      if (line.first === undefined) this.#lines.delete(name);
    }
  }

  /** A lock was freed through this gateway: whoever is first need not wait for the next try. */
  freed(namespace: string, at: CacheAddress): void {
    this.#lines.get(nameOf(namespace, at))?.first?.wake();
  }

  async #try(
    namespace: string,
    at: CacheAddress,
    lease: number,
    line: Line,
    context: Pick<RequestContext, "signal">,
  ): Promise<CacheLease | undefined> {
    const { driver } = this.#options;
    try {
      const trying = driver.tryLock(namespace, at, lease, this.#stays);
      if (!(trying instanceof Promise)) return trying;
      const taken = await trying;
      if (taken === undefined || !context.signal.aborted) return taken;
      // Should this fail, the lease will end by itself.
      await Promise.try(() => driver.unlock(namespace, at, taken.token, this.#stays)).catch(() => {});
    } catch (error) {
      // The others would learn the same one after the other, each only after a time-out.
      line.fail(error);
      throw error;
    }
    throw context.signal.reason;
  }

  #pause(tries: number): number {
    return Math.min(LATE, SOON * 2 ** tries) * (0.5 + this.#options.random() / 2);
  }

  #beginToWait(namespace: string, most: number): void {
    const waiting = this.#waiting.get(namespace) ?? 0;
    if (waiting >= most) {
      const sentence = `${most} callers of this namespace wait for locks already; nothing was done`;
      throw new GatewayError("TOO_MANY_WAITERS", sentence, { retryAfter: 1 });
    }
    this.#waiting.set(namespace, waiting + 1);
  }

  #endWaiting(namespace: string): void {
    const waiting = this.#waiting.get(namespace)! - 1;
    if (waiting > 0) this.#waiting.set(namespace, waiting);
    else this.#waiting.delete(namespace);
  }
}

/** Those who wait for one lock, in the order in which they came. */
class Line {
  first: PlaceInLine | undefined;
  #last: PlaceInLine | undefined;
  /** What the cache answered to whoever was first, which is so for everybody. */
  failure: unknown;

  join(): PlaceInLine {
    const place = new PlaceInLine();
    place.before = this.#last;
    if (this.#last === undefined) this.first = place;
    else this.#last.behind = place;
    return this.#last = place;
  }

  leave(place: PlaceInLine): void {
    const { before, behind } = place;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    if (before !== undefined) before.behind = behind;
    else {
      this.first = behind;
      behind?.wake();
    }
  }

  fail(failure: unknown): void {
    this.failure = failure;
    for (let place = this.first; place !== undefined; place = place.behind) place.wake();
  }
}

class PlaceInLine {
  before: PlaceInLine | undefined;
  behind: PlaceInLine | undefined;
  #woken = false;
  #wake: (() => void) | undefined;

  /** Ends the sleep; one that has not begun yet does not begin. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  async sleep(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    if (!this.#woken && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const stop = clock.after(ms, resolve);
      signal.addEventListener("abort", resolve as () => void, { once: true });
      await promise;
      stop();
      signal.removeEventListener("abort", resolve as () => void);
      this.#wake = undefined;
    }
    this.#woken = false;
  }
}

const locked = () => new GatewayError("LOCKED", "somebody else has this lock");

/** No two locks have one. */
const nameOf = (namespace: string, { map, key }: CacheAddress) =>
  `${namespace.length}:${namespace}${map.length}:${map}${key}`;
