/**
 * Hands on what a source gives, and ends when the signal fires even while the source is silent; the source is told.
 * @throws the signal's reason; what the source throws
 */
export async function* until<T>(signal: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T, void, void> {
  const items = source[Symbol.asyncIterator]();
  // One promise at a time: racing each item against one that lasts would keep all of them alive.
  let leave = (_reason: unknown) => {};
  const onAbort = () => leave(signal.reason);
  signal.addEventListener("abort", onAbort);
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T>>();
      leave = reject;
      items.next().then(resolve, (error) => {
        ended = true;
        reject(error);
      });
      const { done, value } = await promise;
      ended = done === true;
      if (ended) return;
      yield value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (!ended) {
      const told = items.return?.();
      // A source that is silent answers this as late as anything else.
      if (signal.aborted) told?.catch(() => {});
      else await told;
    }
  }
}

/** What is made of each item, in order, while the next few are being made. */
export async function* aheadOf<T, R>(
  items: AsyncIterable<T>,
  ahead: number,
  make: (item: T) => Promise<R>,
): AsyncGenerator<R, void, void> {
  const making: Promise<R>[] = [];
  for await (const item of items) {
    const made = make(item);
    // It is looked at when its turn comes, if that comes at all.
    made.catch(() => {});
    making.push(made);
    if (making.length > ahead) yield await making.shift()!;
  }
  for (const made of making) yield await made;
}
