import type { InLine } from "./call_line.ts";
import { CallRefused, type HostRun, type HostWork } from "./contract.ts";

/** A call that is not over. */
export class PendingCall implements InLine {
  /** The module, so that what crashes holds up nothing else, and the depth: a call that one behind it waits for must not block it. */
  readonly lane: string;
  readonly arrived = performance.now();
  readonly result: Promise<HostRun>;
  /** Bytes of its input. */
  readonly bytes: number;
  /** Whether a host was given to the namespace for it. */
  coldStart = false;
  /** How many hosts were lost before it began on one. */
  losses = 0;
  #refusal: CallRefused | undefined;
  #refused: ((refusal: CallRefused) => void) | undefined;
  readonly #settle: PromiseWithResolvers<HostRun>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #left: (() => void) | undefined;

  constructor(readonly work: HostWork, readonly signal: AbortSignal) {
    this.lane = `${work.depth} ${work.moduleKey}`;
    this.bytes = work.task.input.length;
    this.#settle = Promise.withResolvers();
    this.result = this.#settle.promise;
  }

  /** It waits in a line. @param patience milliseconds @param expired called after them @param aborted called when its caller leaves */
  wait(patience: number, expired: () => void, aborted: () => void): void {
    this.#timer = setTimeout(expired, Math.max(0, patience - (performance.now() - this.arrived)));
    Deno.unrefTimer(Number(this.#timer));
    this.#left = aborted;
    this.signal.addEventListener("abort", aborted, { once: true });
  }

  /** It waits no more. */
  arrive(): void {
    clearTimeout(this.#timer);
    if (this.#left) this.signal.removeEventListener("abort", this.#left);
    this.#left = undefined;
  }

  /** Why it must not begin any more, where that is so. */
  get refusal(): CallRefused | undefined {
    return this.#refusal;
  }

  /** It must not begin any more; what has begun goes on. */
  refuse(refusal: CallRefused): void {
    this.#refusal ??= refusal;
    this.#refused?.(refusal);
  }

  /** Waits for something before it begins. @param ms milliseconds at most @throws as {@link mustBeWanted}; what is waited for */
  async within<T>(ms: number, work: Promise<T> | T): Promise<T> {
    if (!(work instanceof Promise)) {
      this.mustBeWanted();
      return work;
    }
    const { promise, reject } = Promise.withResolvers<never>();
    const left = () => reject(this.signal.reason);
    const timer = setTimeout(() => reject(new CallRefused("not_ready", 1, "the module did not come in time")), ms);
    Deno.unrefTimer(Number(timer));
    this.#refused = reject;
    this.signal.addEventListener("abort", left, { once: true });
    try {
      const value = await Promise.race([work, promise]);
      this.mustBeWanted();
      return value;
    } finally {
      clearTimeout(timer);
      this.#refused = undefined;
      this.signal.removeEventListener("abort", left);
    }
  }

  /** Whether it may begin. @throws CallRefused, the signal's reason */
  mustBeWanted(): void {
    if (this.refusal) throw this.refusal;
    this.signal.throwIfAborted();
  }

  resolve(run: HostRun): void {
    this.#settle.resolve(run);
  }

  reject(error: unknown): void {
    this.arrive();
    this.#settle.reject(error);
  }
}
