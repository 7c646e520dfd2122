import type { Clock } from "../../clock/clock.ts";

/** Waits by a clock that may be a test's. @throws the signal's reason */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const stop = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, true);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Resolves when the work is over, or after so long, whatever comes first. Never rejects. */
export async function atMost(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve, true);
  await Promise.race([work.catch(() => {}), promise]);
  cancel();
}

/** Whole milliseconds before the next try: doubled each time, and up to a quarter less, so that not all come at once. */
export function backoff(tries: number, { first, most }: { first: number; most: number }, chance: number): number {
  return Math.round(Math.min(most, first * 2 ** Math.min(tries, 20)) * (1 - chance / 4));
}
