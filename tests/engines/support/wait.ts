/** How often a condition is looked at, in milliseconds. */
const INTERVAL = 25;
/** Milliseconds that count at most between two looks: while a machine stands still, what is waited for stands still as well. */
const LONGEST_STEP = 500;

/** Thrown by a condition that will never hold, such as that of a process which has ended: nobody waits on. */
export class Hopeless extends Error {
  override readonly name = "Hopeless";
}

/**
 * Waits until a condition holds.
 * @param what completes the sentence "waited in vain until …"
 * @param condition may throw: that counts as not yet, but for {@link Hopeless}
 * @param deadline milliseconds in which this process could run
 * @throws Error after the deadline, with what the condition threw last as its cause; at once when it is hopeless
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadline = 60_000,
): Promise<void> {
  let waited = 0, last = performance.now();
  let cause: unknown;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      if (error instanceof Hopeless) throw new Error(`it is no use to wait until ${what}: ${error.message}`);
      cause = error;
    }
    const now = performance.now();
    waited += Math.min(now - last, LONGEST_STEP);
    last = now;
    if (waited > deadline) throw new Error(`waited ${deadline} ms in vain until ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}
