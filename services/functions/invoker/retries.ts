import type { InvocationFailure, InvocationTrigger } from "../../../src/contracts/function_invocations.ts";
import type { Clock } from "../../clock/clock.ts";

/** Milliseconds of the longest pause before another try, and of the first where a function says none, as older gateways had it. */
const LONGEST_PAUSE = 5 * 60_000, USUAL_PAUSE = 5_000;
/** Milliseconds from a call's arrival after which no further try begins, or goes on, where somebody waits for the answer. */
const PATIENCE = 60_000;
/** Bytes of input that calls may hold in memory while they pause, all together. */
const MAX_BYTES = 64 * 1024 * 1024;

/** What decides about another try. */
export interface Tried {
  readonly failure: InvocationFailure;
  /** Tries so far. */
  readonly attempts: number;
  readonly trigger: InvocationTrigger;
  /** Milliseconds since the call arrived. */
  readonly elapsed: number;
}

/**
 * Milliseconds before the next try; `undefined` for none. Only what the function itself ended in is tried again: what used up its
 * time, its memory or its calls would do so again, and of what was ended from outside nobody knows what it has done.
 */
export function pauseBefore(
  { failure, attempts, trigger, elapsed }: Tried,
  { retryCount, retryDelay }: { readonly retryCount: number; readonly retryDelay: number },
): number | undefined {
  if (failure.code !== "FUNCTION_FAILED" && failure.code !== "FUNCTION_TRAPPED" || attempts > retryCount) {
    return undefined;
  }
  const pause = Math.min(LONGEST_PAUSE, (retryDelay > 0 ? retryDelay : USUAL_PAUSE) * 2 ** (attempts - 1));
  return isAwaited(trigger) && elapsed + pause >= PATIENCE ? undefined : pause;
}

/** Milliseconds that a further try may take where somebody waits for the answer: what is left for the call; otherwise any. */
export function timeLeft({ trigger, elapsed }: Pick<Tried, "trigger" | "elapsed">): number {
  return isAwaited(trigger) ? Math.max(1, PATIENCE - elapsed) : Infinity;
}

const isAwaited = (trigger: InvocationTrigger) => trigger !== "cron" && trigger !== "topic" && trigger !== "database";

/** Calls between two tries. They hold no place, but their input: so many may pause, and no more. */
export class Pauses {
  readonly #wakers = new Set<() => void>();
  readonly #countOf = new Map<string, number>();
  #bytes = 0;
  #closed = false;

  constructor(private readonly clock: Pick<Clock, "after">) {}

  /**
   * Waits.
   * @param most calls of the namespace that may pause at once
   * @param bytes that the call holds meanwhile
   * @param wake what ends the pause early is handed over; the call then goes no further
   * @returns whether there may be another try
   */
  async pause(
    { namespace, ms, most, bytes, signal, wake }: {
      readonly namespace: string;
      readonly ms: number;
      readonly most: number;
      readonly bytes: number;
      readonly signal: AbortSignal;
      readonly wake: (end: () => void) => void;
    },
  ): Promise<boolean> {
    const count = this.#countOf.get(namespace) ?? 0;
    if (this.#closed || signal.aborted || count >= most || this.#bytes + bytes > MAX_BYTES) return false;
    this.#countOf.set(namespace, count + 1);
    this.#bytes += bytes;
    const over = Promise.withResolvers<boolean>();
    const end = () => over.resolve(false);
    const stop = this.clock.after(ms, () => over.resolve(true));
    this.#wakers.add(end);
    wake(end);
    signal.addEventListener("abort", end, { once: true });
    try {
      return await over.promise;
    } finally {
      stop();
      signal.removeEventListener("abort", end);
      this.#wakers.delete(end);
      this.#bytes -= bytes;
      const left = this.#countOf.get(namespace)! - 1;
      if (left === 0) this.#countOf.delete(namespace);
      else this.#countOf.set(namespace, left);
    }
  }

  /** Ends all pauses: nothing is tried again. */
  close(): void {
    this.#closed = true;
    for (const end of [...this.#wakers]) end();
  }
}
