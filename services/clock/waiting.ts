import type { Clock } from "./clock.ts";

/** Waits by a clock that may be a test's. @throws the signal's reason */
export function pause(clock: Pick<Clock, "after">, ms: number, signal: AbortSignal): Promise<void> {
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
export async function atMost(clock: Pick<Clock, "after">, ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve, true);
  await Promise.race([work.catch(() => {}), promise]);
  cancel();
}
