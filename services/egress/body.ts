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

/** A body that is sent, counted. @throws EgressFailure `EGRESS_REQUEST_INVALID` where it has more bytes than it may */
export function counted(
  body: Uint8Array | ReadableStream<Uint8Array> | undefined,
  most: number,
): Uint8Array | ReadableStream<Uint8Array> | undefined {
  const refuse = () => {
    throw new EgressFailure("EGRESS_REQUEST_INVALID", `the body has more bytes than the ${most} that it may have`);
  };
  if (body === undefined || body instanceof Uint8Array) return (body?.length ?? 0) > most ? refuse() : body;
  let left = most;
  return body.pipeThrough(
    new TransformStream(
      {
        transform(chunk, controller) {
          left -= chunk.length;
          if (left < 0) refuse();
          controller.enqueue(chunk);
        },
      },
      undefined,
      { highWaterMark: 0 },
    ),
  );
}
