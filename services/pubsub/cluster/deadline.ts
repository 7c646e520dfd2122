import type { Timers } from "./timers.ts";

/** A wait that ends by itself. It is over when its signal fires. */
interface Deadline {
  readonly signal: AbortSignal;
  /** Ends it early, without a signal. */
  cancel(): void;
}

/** A signal that fires after so many milliseconds, with another, or when the clock stops. */
function deadline(clock: Timers, ms: number, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  const fire = () => {
    cancel();
    controller.abort();
  };
  const stop = clock.after(ms, fire);
  const others = outer === undefined ? [clock.over] : [clock.over, outer];
  const cancel = () => {
    stop();
    for (const other of others) other.removeEventListener("abort", fire);
  };
  if (others.some(({ aborted }) => aborted)) fire();
  else for (const other of others) other.addEventListener("abort", fire);
  return { signal: controller.signal, cancel };
}

/**
 * What a call answers, within a time: whatever it waits for may ignore the signal.
 * @throws Error when the time is over, and whatever the call throws
 */
export async function within<Answer>(
  clock: Timers,
  ms: number,
  call: (signal: AbortSignal) => Promise<Answer>,
  outer?: AbortSignal,
): Promise<Answer> {
  const limit = deadline(clock, ms, outer);
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const over = () => reject(new Error("the time is over"));
      if (limit.signal.aborted) return over();
      limit.signal.addEventListener("abort", over, { once: true });
      call(limit.signal).then(resolve, reject);
    });
  } finally {
    limit.cancel();
  }
}
