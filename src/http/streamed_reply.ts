import type { StreamEnd } from "../contracts/observation.ts";
import type { RequestContext } from "../contracts/request.ts";

/**
 * A body that is sent while it is made. What the iteration returns at its end is what went wrong, where the body itself tells
 * of it; what it throws cuts the answer off, so that nobody takes a part for the whole.
 */
export type StreamedReply = AsyncIterable<Uint8Array, unknown>;

/** Milliseconds that a client may leave a piece unread. */
const STALL = 30_000;

/** How a streamed answer ended. */
export interface Streamed {
  readonly bytes: number;
  readonly end: StreamEnd;
  readonly error: unknown;
}

/**
 * Makes the stream that the server reads, at the client's pace: the next piece is made when the one before it was taken.
 * @param ended told once how it ended
 */
export function streamOf(
  source: StreamedReply,
  ended: (how: Streamed) => void,
  stall: number = STALL,
): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let bytes = 0, over = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const finish = (end: StreamEnd, error?: unknown) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    ended({ bytes, end, error });
  };
  const leave = (end: StreamEnd) => {
    try {
      finish(end);
    } finally {
      // Whatever became of telling it: the source gives back what it holds.
      iterator.return?.().catch(() => {});
    }
  };
  return new ReadableStream({
    async pull(controller) {
      clearTimeout(timer);
      try {
        const next = await iterator.next();
        if (over) return;
        if (next.done) {
          controller.close();
          return finish(next.value === undefined ? "complete" : "failed", next.value);
        }
        bytes += next.value.byteLength;
        controller.enqueue(next.value);
        timer = setTimeout(() => {
          leave("stalled");
          controller.error(new Error("the client does not read"));
        }, stall);
      } catch (error) {
        if (over) return;
        finish("failed", error);
        controller.error(error);
      }
    },
    cancel: () => leave("left"),
  }, { highWaterMark: 0 });
}

/** Ends a streamed answer that nobody is going to read: that of a `HEAD`. */
export function discard(source: StreamedReply, ended: (how: Streamed) => void): null {
  const iterator = source[Symbol.asyncIterator]();
  // A generator that has not begun would not run its clean-up.
  iterator.next().then(() => iterator.return?.()).catch(() => {});
  ended({ bytes: 0, end: "complete", error: undefined });
  return null;
}

/** A context whose signal also fires when the answer is no longer wanted; what waits for an engine then stops waiting. */
export interface StreamContext {
  readonly context: RequestContext;
  /**
   * Hands out what a source makes. Once nobody wants the rest, the signal fires at once.
   * @param release gives back what the source was to give back; called then as well, because a generator that has not begun
   *   would never do so. May be called when everything is given back already
   */
  readonly until: (source: StreamedReply, release?: () => unknown) => StreamedReply;
}

/** Makes the context of a request whose answer is streamed. */
export function streamContext(request: RequestContext): StreamContext {
  const gone = new AbortController();
  const { requestId, traceparent, clientAddress } = request;
  const signal = AbortSignal.any([request.signal, gone.signal]);
  return {
    context: { requestId, traceparent, clientAddress, signal },
    until: (source, release) => ({
      [Symbol.asyncIterator]() {
        const iterator = source[Symbol.asyncIterator]();
        return {
          next: () => iterator.next(),
          async return() {
            gone.abort(new DOMException("the client left", "AbortError"));
            await release?.();
            return await iterator.return?.() ?? { done: true, value: undefined };
          },
        };
      },
    }),
  };
}
