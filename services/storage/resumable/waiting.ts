import { abortable } from "../../clock/abortable.ts";

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
