import { giveBack } from "../memory.ts";

/** A file that is sent. */
export interface Part {
  /** Path, `/` between segments. */
  readonly path: string;
  readonly type: "application/octet-stream" | "application/x-directory";
  readonly content: AsyncIterable<Uint8Array>;
}

/** A body of several parts that is sent as it is read. */
export interface Multipart {
  readonly contentType: string;
  readonly body: ReadableStream<Uint8Array>;
  /** Whether all of it was taken. */
  readonly complete: boolean;
  /** What a source threw, if one did. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Stops the clock, and lets the source go where it is not at its end. To be called when nothing is sent any more. */
  close(): void;
}

/** Fewer bytes than these are put together before they are sent: each piece on its way costs as much as its bytes. */
const PIECE = 64 * 2 ** 10;
/** How many bytes of the source are read ahead. */
const AHEAD = 512 * 2 ** 10;

/**
 * @param parts files as they come, each read to its end before the next
 * @param timeout milliseconds in which each piece has to be taken; a slow source is nobody's fault
 * @param finishing milliseconds between the last piece and the end of the clock
 * @param stalled called when one of the two is over
 */
export function multipart(
  parts: AsyncIterable<Part>,
  timeout: number,
  finishing: number,
  stalled: () => void,
): Multipart {
  const boundary = `orama-${crypto.randomUUID()}`;
  const state: { complete: boolean; failure: { readonly error: unknown } | undefined } = {
    complete: false,
    failure: undefined,
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  const body = async function* () {
    try {
      for await (const piece of gathered(piecesOf(parts, boundary))) {
        if (!closed) timer = setTimeout(stalled, timeout);
        yield piece;
        clearTimeout(timer);
      }
      state.complete = true;
      if (!closed) timer = setTimeout(stalled, finishing);
    } catch (error) {
      state.failure = { error };
      throw error;
    }
  };
  const pieces = body();
  // So that the source is read while the node is written to.
  const ahead = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => void pieces.return(undefined).catch(() => {}),
  }, { highWaterMark: AHEAD, size: ({ length }) => length }).getReader();
  let given: Uint8Array | undefined;
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    body: new ReadableStream<Uint8Array>({
      async pull(controller) {
        // Whoever asks for the next has taken it over.
        if (given) giveBack(given);
        const { value, done } = await ahead.read();
        given = value;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => ahead.cancel(reason),
    }, { highWaterMark: 0 }),
    get complete() {
      return state.complete;
    },
    get failure() {
      return state.failure;
    },
    close() {
      closed = true;
      clearTimeout(timer);
      pieces.return(undefined).catch(() => {});
    },
  };
}

async function* piecesOf(parts: AsyncIterable<Part>, boundary: string): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const { path, type, content } of parts) {
    // Encoded as Kubo decodes it; so nothing of a name ends the quotes or the line.
    const name = encodeURIComponent(path);
    yield encoder.encode(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n`,
    );
    yield* content;
    yield encoder.encode("\r\n");
  }
  yield encoder.encode(`--${boundary}--\r\n`);
}

/** Small pieces put together; a source that pauses after a small one is waited for. */
async function* gathered(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [], length = 0;
  const take = () => {
    const whole = new Uint8Array(length);
    let at = 0;
    for (const piece of held) {
      whole.set(piece, at);
      at += piece.length;
    }
    held = [];
    length = 0;
    return whole;
  };
  for await (const piece of source) {
    if (piece.length >= PIECE) {
      if (length > 0) yield take();
      // It is lent, and waits here for the node.
      yield piece.slice();
      continue;
    }
    held.push(piece.slice());
    length += piece.length;
    if (length >= PIECE) yield take();
  }
  if (length > 0) yield take();
}
