/**
 * Marks work that a test has begun and awaits only after something else. Its failure is told where it is awaited:
 * otherwise a rejection that comes earlier, or after the test failed elsewhere, is an uncaught error to Deno, which
 * counts against all tests of the module.
 * @param work one promise, or several
 * @returns the same
 */
export function awaitedLater<const T extends Promise<unknown> | readonly Promise<unknown>[]>(work: T): T {
  const given: Promise<unknown> | readonly Promise<unknown>[] = work;
  for (const one of given instanceof Promise ? [given] : given) one.catch(() => {});
  return work;
}
