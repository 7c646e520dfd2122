import type { StreamedReply } from "./streamed_reply.ts";

/**
 * Begins a source, so that what fails before its first piece is an ordinary error answer, with a status of its own.
 * @throws what the source throws before it gives anything
 */
export async function begun(source: AsyncIterable<Uint8Array>): Promise<StreamedReply> {
  const iterator = source[Symbol.asyncIterator]();
  let first: IteratorResult<Uint8Array> | undefined = await iterator.next();
  return {
    [Symbol.asyncIterator]: () => ({
      next() {
        if (first === undefined) return iterator.next();
        const given = Promise.resolve(first);
        first = undefined;
        return given;
      },
      return: async () => await iterator.return?.() ?? { done: true, value: undefined },
    }),
  };
}
