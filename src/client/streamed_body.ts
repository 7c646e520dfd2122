import { OramaError } from "./errors.ts";

/** What a body is made of, in order: bytes that are there, and streams. */
export type BodyPart = Uint8Array | ReadableStream<Uint8Array>;

/** A body that is sent as it comes, once, at the pace of whoever takes it. */
export class StreamedBody {
  /** The media type. */
  readonly type: string;
  readonly #parts: AsyncIterator<BodyPart, void, void>;
  readonly #streams: readonly ReadableStream<Uint8Array>[];
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #released = false;
  #handedOver = false;
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param streams that are let go with it, whether or not their turn has come
   * @throws OramaError `NOT_SUPPORTED` where the platform's `fetch` sends no streams
   */
  constructor(
    type: string,
    parts: AsyncIterator<BodyPart, void, void>,
    streams: readonly ReadableStream<Uint8Array>[] = [],
  ) {
    if (!sendsStreams()) {
      throw new OramaError(
        "fetch sends no streams here: give a Blob, such as a File, or use uploadResumable, which sends parts",
        { code: "NOT_SUPPORTED" },
      );
    }
    this.type = type;
    this.#parts = parts;
    this.#streams = streams;
  }

  /** Whether all of it was taken, its end too. Before that, nobody can have received the whole. */
  get handedOver(): boolean {
    return this.#handedOver;
  }

  /** What a stream of it failed with. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** For `fetch`. @param onTaken called with each piece that is taken, and with all their bytes once its end was */
  stream(onTaken: (whole?: number) => void): ReadableStream<Uint8Array<ArrayBuffer>> {
    let bytes = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const piece = await this.#next();
          if (piece !== undefined) {
            bytes += piece.byteLength;
            onTaken();
            return controller.enqueue(piece);
          }
          this.#handedOver = true;
          onTaken(bytes);
          controller.close();
        } catch (error) {
          if (!this.#released) this.#failure ??= { error };
          controller.error(error);
        }
      },
      cancel: (reason) => this.release(reason),
    }, { highWaterMark: 0 });
  }

  /** Lets go of what was not sent. Platforms do not always tell that they take nothing more. */
  release(reason: unknown): void {
    if (this.#released || this.#handedOver) return;
    this.#released = true;
    void this.#reader?.cancel(reason).catch(() => {});
    for (const stream of this.#streams) void stream.cancel(reason).catch(() => {});
    void Promise.resolve(this.#parts.return?.()).catch(() => {});
  }

  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      if (this.#released) {
        void this.#reader?.cancel().catch(() => {});
        // An end would make a whole of what is none.
        throw new TypeError("nothing of it is wanted any more");
      }
      if (this.#reader !== undefined) {
        const { done, value } = await this.#reader.read();
        if (done) this.#reader = undefined;
        else if (checkBytes(value).byteLength > 0) return ownBytes(value);
        continue;
      }
      const { done, value } = await this.#parts.next();
      if (done && !this.#released) return undefined;
      if (done) continue;
      if (value instanceof ReadableStream) this.#reader = value.getReader();
      else if (value.byteLength > 0) return ownBytes(value);
    }
  }
}

function checkBytes(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece;
  throw new TypeError("a stream of bytes gives Uint8Array, and nothing else");
}

/** Bytes that belong to no memory that threads share, which platforms refuse. */
export const ownBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : new Uint8Array(bytes);

/** Milliseconds that sending and storing so many bytes may take beyond the time of other calls: at 64 KiB a second. */
export const sendingTime = (bytes: number): number => bytes / 65.536;

/** Whether `fetch` takes a body that streams. Where it does not, it would send `[object ReadableStream]`, or nothing. */
export function sendsStreams(): boolean {
  let asked = false;
  const init = {
    method: "POST",
    body: new ReadableStream(),
    get duplex() {
      asked = true;
      return "half";
    },
  };
  try {
    if (new Request("http://localhost/", init).headers.has("content-type")) return false;
  } catch {
    return false;
  }
  // Safari takes the stream and then fails; the others that do not look at `duplex` send it.
  return asked || typeof navigator !== "undefined" && /^(Deno|Bun)\//.test(navigator.userAgent);
}
