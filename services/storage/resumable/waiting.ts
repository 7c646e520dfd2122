/** Hands on what a source gives until the signal fires, even while the source is silent. @throws the signal's reason */
export async function* interruptible(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const items = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await abortable(items.next(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // A source that is silent answers this as late as anything else.
    items.return?.()?.catch(() => {});
  }
}

/** Waits for work that goes on when nobody waits any more. @throws the signal's reason */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  signal.throwIfAborted();
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  signal.addEventListener("abort", leave);
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
