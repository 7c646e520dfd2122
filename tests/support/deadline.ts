/** Milliseconds that no test takes, not even on a slow machine: one that is still there then hangs. */
export const LONGEST_TEST = 15 * 60_000;

/**
 * What a promise gives, if it does so in time: for what nothing else would end, so that one test fails and the others go on.
 * @param what completes the sentence "waited in vain until …"
 * @param deadline milliseconds
 * @throws Error after the deadline
 */
export async function withinDeadline<T>(promise: Promise<T>, what: string, deadline: number): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(new Error(`waited ${deadline} ms in vain until ${what}`)), deadline);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
