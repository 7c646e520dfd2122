import type { Maybe } from "../../src/contracts/cache.ts";

/** Goes on with a result, at once where it is there: a promise for each hit would cost as much as the hit. */
export const after = <T, R>(given: Maybe<T>, next: (value: T) => R): Maybe<R> =>
  given instanceof Promise ? given.then(next) : next(given);
