import { giveBack } from "../memory.ts";

/** Memory that is written to again and again, so that it need not be collected. */
export class Buffers implements Disposable {
  readonly #free: ArrayBuffer[] = [];
  #over = false;

  /** @param size bytes of each */
  constructor(readonly size: number) {}

  take(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#free.pop() ?? new ArrayBuffer(this.size));
  }

  /** @param part of one that was taken, and is not read any more */
  give(part: Uint8Array<ArrayBuffer>): void {
    if (this.#over) return giveBack(part);
    this.#free.push(part.buffer);
  }

  [Symbol.dispose](): void {
    this.#over = true;
    for (const buffer of this.#free.splice(0)) giveBack(new Uint8Array(buffer));
  }
}

/** Cuts content into chunks of the same length but for the last; one without any bytes where there is nothing. */
export async function* chunksOf(
  source: AsyncIterable<Uint8Array>,
  buffers: Buffers,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  let chunk: Uint8Array<ArrayBuffer> | undefined, filled = 0, chunks = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      chunk ??= buffers.take();
      const end = Math.min(piece.length, at + buffers.size - filled);
      chunk.set(piece.subarray(at, end), filled);
      filled += end - at;
      at = end;
      if (filled < buffers.size) continue;
      yield chunk;
      chunks++;
      chunk = undefined;
      filled = 0;
    }
  }
  if (chunk !== undefined || chunks === 0) yield (chunk ?? buffers.take()).subarray(0, filled);
}

/** Does something with each of many, a few at once. The first failure ends it, once those under way have ended. */
export async function eachOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      if (running.size >= atOnce) await Promise.race(running);
      if (failure) break;
      const one = work(item).catch((error) => void (failure ??= { error })).finally(() => running.delete(one));
      running.add(one);
    }
  } finally {
    await Promise.all(running);
  }
  if (failure) throw failure.error;
}
