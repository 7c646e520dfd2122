import { EgressFailure } from "../../src/contracts/egress.ts";
import { HopFailure } from "./parts.ts";

/** What a body may be, and who is told of its end. */
export interface BodyBounds {
  /** Bytes. */
  readonly most: number;
  /** Ends it, with its reason. */
  readonly signal: AbortSignal;
  /** What a failure is told as. */
  readonly failed: (error: unknown) => unknown;
  /** Called once: it was read to its end, cancelled, or cut short. */
  readonly onEnd: () => void;
}

/** The same bytes, at the reader's pace, no more than may be. */
export function bounded(body: ReadableStream<Uint8Array>, bounds: BodyBounds): ReadableStream<Uint8Array> {
  const { most, signal, failed, onEnd } = bounds;
  const reader = body.getReader();
  let left = most, over = false;
  let leave = () => {};
  const end = () => {
    if (over) return;
    over = true;
    signal.removeEventListener("abort", leave);
    onEnd();
  };
  return new ReadableStream<Uint8Array>({
    start(controller) {
      leave = () => {
        if (over) return;
        end();
        controller.error(failed(signal.reason));
        void reader.cancel().catch(() => {});
      };
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) leave();
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (over) return;
        if (done) {
          end();
          return controller.close();
        }
        left -= value.length;
        if (left < 0) {
          throw new EgressFailure("EGRESS_RESPONSE_TOO_LARGE", `the response has more than ${most} bytes`);
        }
        controller.enqueue(value);
      } catch (error) {
        if (over) return;
        end();
        void reader.cancel().catch(() => {});
        controller.error(failed(error));
      }
    },
    async cancel() {
      end();
      await reader.cancel().catch(() => {});
    },
  }, { highWaterMark: 0 });
}

/** What whoever asked is told of a failure, as far as they may know. */
export function toldOf(error: unknown): unknown {
  if (!(error instanceof HopFailure)) return error;
  return new EgressFailure(error.code, error.message, error.cause);
}

/**
 * A body that is sent, counted. The last piece of one whose length was told goes on when nothing follows it: before that the server
 * would have taken the first bytes of a longer one for the whole.
 * @param length that a stream must have; default: any
 * @throws EgressFailure `EGRESS_REQUEST_INVALID` where it has more bytes than it may, or others than were told
 */
export function counted(
  body: Uint8Array | ReadableStream<Uint8Array> | undefined,
  most: number,
  length?: number,
): Uint8Array | ReadableStream<Uint8Array> | undefined {
  const refuse = () => {
    throw new EgressFailure("EGRESS_REQUEST_INVALID", `the body has more bytes than the ${most} that it may have`);
  };
  if (body === undefined || body instanceof Uint8Array) return (body?.length ?? 0) > most ? refuse() : body;
  if (length !== undefined && length > most) return refuse();
  let bytes = 0, last: Uint8Array | undefined;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>(
      {
        transform(chunk, controller) {
          bytes += chunk.length;
          if (bytes > most) refuse();
          if (length !== undefined && bytes > length) throw otherLength("more", length);
          if (bytes < length! || length === undefined) controller.enqueue(chunk);
          else if (chunk.length > 0) last = chunk;
        },
        flush(controller) {
          if (length !== undefined && bytes < length) throw otherLength("fewer", length);
          if (last) controller.enqueue(last);
        },
      },
      undefined,
      { highWaterMark: 0 },
    ),
  );
}

const otherLength = (how: string, length: number) =>
  new EgressFailure("EGRESS_REQUEST_INVALID", `the body has ${how} bytes than the ${length} that were announced`);
