/** How often a condition is looked at, in milliseconds. */
const INTERVAL = 25;

/**
 * Waits until a condition holds.
 * @param what completes the sentence "waited in vain until …"
 * @param condition may throw: that counts as not yet
 * @param deadline milliseconds
 * @throws Error after the deadline, with what the condition threw last as its cause
 */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadline = 10_000,
): Promise<void> {
  const end = performance.now() + deadline;
  let cause: unknown;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) throw new Error(`waited ${deadline} ms in vain until ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}
