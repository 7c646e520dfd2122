import { LONGEST } from "../deadline.ts";
import { OramaError } from "../errors.ts";
import type { CacheLease } from "./locks.ts";

/** What work under a lock is given. */
export interface HeldLock {
  /**
   * Fires when the lock is lost, with an `OramaError` `LOCK_LOST` as its reason, and when the caller's own signal does: work ends
   * then, or at least changes nothing any more.
   */
  readonly signal: AbortSignal;
  /** Larger than those of all holders before: send it along, and refuse smaller ones where the lock's thing is kept. */
  readonly fencing: number;
  /** Who has it holds the lock. */
  readonly token: string;
}

/** Time and timers of whoever holds a lock. */
export interface LockClock {
  /** Milliseconds that never run backwards. */
  now(): number;
  /** Calls back once. @returns what takes it back */
  after(milliseconds: number, run: () => void): () => void;
}

/** What can be done with one lock. All reject with an `OramaError`, and end when the signal fires. */
export interface LockOperations {
  lock(signal: AbortSignal | undefined): Promise<CacheLease>;
  renew(token: string, signal: AbortSignal): Promise<unknown>;
  unlock(token: string, signal: AbortSignal): Promise<void>;
}

/** How a lock is held. */
export interface Holding {
  /** Milliseconds for which it is taken each time. */
  readonly lease: number;
  /** The caller's own. */
  readonly signal?: AbortSignal | undefined;
}

/** The clock of the platform. */
export const PLATFORM_CLOCK: LockClock = {
  now: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Parts of a lease: after which it is renewed, which one try may take, and after which it is tried again when that failed. */
const RENEW = 1 / 3, TRY = 1 / 4, AGAIN = 1 / 10;

/**
 * Takes a lock, does work, and frees the lock, whatever becomes of the work.
 * @returns what work gives
 * @throws what work throws; `OramaError` `LOCK_LOST` where it gives something although the lock was lost before it was done; whatever
 * `lock` rejects with
 * @throws RangeError for a lease that no timer counts
 */
export async function whileLocked<R>(
  operations: LockOperations,
  { lease, signal }: Holding,
  work: (held: HeldLock) => R | Promise<R>,
  clock: LockClock = PLATFORM_CLOCK,
): Promise<R> {
  if (!(lease > 0 && lease <= LONGEST)) {
    throw new RangeError(`lease must be 1 to ${LONGEST} milliseconds, not ${lease}`);
  }
  const asked = clock.now();
  const { token, fencing } = await operations.lock(signal);
  const keeper = new LeaseKeeper(operations, token, lease, clock, signal);
  let result: R;
  try {
    await keeper.begin(asked);
    signal?.throwIfAborted();
    result = await work({ signal: keeper.signal, fencing, token });
  } catch (error) {
    await keeper.end();
    throw error;
  }
  await keeper.end();
  if (keeper.loss !== undefined) throw keeper.loss;
  return result;
}

/**
 * Renews a lease until it is ended or lost. A lease counts from when it was asked for: the gateway began to count later, so it runs
 * at least as long, however slow the answer was.
 */
class LeaseKeeper {
  readonly #operations: LockOperations;
  readonly #token: string;
  readonly #lease: number;
  readonly #clock: LockClock;
  readonly #caller: AbortSignal | undefined;
  readonly #work = new AbortController();
  readonly #ended = new AbortController();
  readonly #forward = () => this.#work.abort(this.#caller?.reason);
  /** Until then the gateway may count it, if every renewal arrived. */
  #latest: number;
  #failure: unknown;
  #loss: OramaError | undefined;
  #renewing: Promise<void> | undefined;
  #stopRenewal = () => {};
  #stopLosing = () => {};

  constructor(
    operations: LockOperations,
    token: string,
    lease: number,
    clock: LockClock,
    caller: AbortSignal | undefined,
  ) {
    this.#operations = operations;
    this.#token = token;
    this.#lease = lease;
    this.#clock = clock;
    this.#caller = caller;
    this.#latest = clock.now() + lease;
    caller?.addEventListener("abort", this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#work.signal;
  }

  /** Why the lock was lost. */
  get loss(): OramaError | undefined {
    return this.#loss;
  }

  /** @param asked when the lock was asked for: having waited for it, nobody knows how much of its lease is left @throws OramaError */
  async begin(asked: number): Promise<void> {
    const gone = this.#clock.now() - asked;
    this.#holdFrom(gone <= this.#lease / 2 ? asked : await this.#renew(this.#lease));
  }

  /** Stops renewing, and frees the lock if it may still be held. What cannot be freed ends with its lease. */
  async end(): Promise<void> {
    this.#stop();
    this.#caller?.removeEventListener("abort", this.#forward);
    await this.#renewing;
    const left = this.#latest - this.#clock.now();
    if (left <= 0 || this.#loss?.status === 409) return;
    try {
      await this.#within(left, (signal) => this.#operations.unlock(this.#token, signal));
    } catch (error) {
      if (isLost(error)) this.#loss ??= error;
    }
  }

  #holdFrom(from: number): void {
    const gone = this.#clock.now() - from;
    this.#failure = undefined;
    this.#stopLosing();
    this.#stopLosing = this.#clock.after(Math.max(0, this.#lease - gone), () => this.#lose(expired(this.#failure)));
    this.#renewAfter(Math.max(0, this.#lease * RENEW - gone));
  }

  #renewAfter(milliseconds: number): void {
    this.#stopRenewal = this.#clock.after(milliseconds, () => this.#renewing = this.#goOn());
  }

  async #goOn(): Promise<void> {
    try {
      const from = await this.#renew(this.#lease * TRY, this.#ended.signal);
      if (!this.#ended.signal.aborted) this.#holdFrom(from);
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      if (isLost(error)) return this.#lose(error);
      this.#failure = error;
      this.#renewAfter(this.#lease * AGAIN);
    }
  }

  /** @returns from when on the lease counts */
  async #renew(milliseconds: number, ending?: AbortSignal): Promise<number> {
    const sent = this.#clock.now();
    this.#latest = sent + this.#lease;
    await this.#within(milliseconds, (signal) => this.#operations.renew(this.#token, signal), ending);
    return sent;
  }

  async #within<T>(milliseconds: number, work: (signal: AbortSignal) => Promise<T>, ending?: AbortSignal): Promise<T> {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const stop = this.#clock.after(milliseconds, abort);
    ending?.addEventListener("abort", abort, { once: true });
    try {
      return await work(controller.signal);
    } finally {
      stop();
      ending?.removeEventListener("abort", abort);
    }
  }

  #lose(loss: OramaError): void {
    this.#stop();
    this.#loss = loss;
    this.#work.abort(loss);
  }

  #stop(): void {
    this.#stopRenewal();
    this.#stopLosing();
    this.#ended.abort();
  }
}

const isLost = (error: unknown): error is OramaError => error instanceof OramaError && error.code === "LOCK_LOST";

const expired = (cause: unknown) =>
  new OramaError("the lease of the lock is over, and it could not be renewed before: somebody else may have it", {
    code: "LOCK_LOST",
    cause,
  });
