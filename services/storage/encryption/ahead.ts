/**
 * Maps what comes, in order, with a few at work at once.
 * @param most how many
 */
export async function* mapAhead<T, U>(
  source: AsyncIterable<T>,
  most: number,
  map: (item: T) => Promise<U>,
): AsyncGenerator<U> {
  const working: Promise<U>[] = [];
  try {
    for await (const item of source) {
      const work = map(item);
      // Whoever waits for an earlier one hears of a failure in its turn.
      work.catch(() => {});
      working.push(work);
      if (working.length >= most) yield await working.shift()!;
    }
    while (working.length > 0) yield await working.shift()!;
  } finally {
    await Promise.allSettled(working);
  }
}

/** Cuts what comes into pieces of one size; the last may be shorter. @returns nothing at all for nothing */
export async function* pieces(
  source: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let piece = new Uint8Array(size), filled = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const taken = chunk.subarray(at, at + size - filled);
      piece.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < size) continue;
      yield piece;
      piece = new Uint8Array(size);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
