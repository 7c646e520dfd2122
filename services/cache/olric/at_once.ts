/** How many operations of one call are on their way at once. */
const AT_ONCE = 64;

/** Does something with each of many, several at once. After a failure no more are begun. @returns results in their order */
export async function forEachOf<T, R>(all: readonly T[], work: (one: T, at: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(all.length);
  let next = 0;
  const worker = async () => {
    try {
      for (let at = next++; at < all.length; at = next++) results[at] = await work(all[at]!, at);
    } finally {
      next = Math.max(next, all.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, all.length) }, worker));
  return results;
}
