import { GatewayError } from "../contracts/errors.ts";

/** Bytes that are asked for at once, of a body whose length is declared, and of one that comes in chunks (RFC 9112, 7.1). */
const DECLARED = 64 * 1024, CHUNKED = 16 * 1024 + 16;
/** Bytes that are asked for at most, of a body of declared length that is there faster than it is read: what is left over is then less. */
const MOST = 512 * 1024;
/** Bytes by which chunks that were there already may fall short of what was asked for. */
const MAX_SHORT = 64 * 2 ** 20;

/**
 * A body in pieces, read into one piece of memory again and again: each piece is good until the next is asked for. In memory of its
 * own, each would wait to be collected, and tens of megabytes of them would be there at any time.
 *
 * Deno (2.9) takes in as many bytes as are asked for with every question, and answers with no more than one chunk of those that it
 * has: what is left over gathers, is moved with every further answer, and is bounded by nothing. So chunked bodies are asked for in
 * portions that the usual sizes of chunks are multiples of, and one is refused that keeps the server full of chunks much smaller.
 */
export class Pieces {
  readonly #reader: ReadableStreamBYOBReader | ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #portion: number;
  readonly #most: number;
  #memory: ArrayBuffer;
  /** Takes the place of {@link #memory} when the piece that lies there was read. */
  #grown: ArrayBuffer | undefined;
  #short = 0;

  /** @param declared whether the length of the whole is known before */
  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>, declared: boolean) {
    this.#portion = declared ? DECLARED : CHUNKED;
    this.#most = declared ? MOST : CHUNKED;
    this.#reader = readerOf(body);
    this.#memory = new ArrayBuffer(this.#reader instanceof ReadableStreamBYOBReader ? this.#portion : 0);
  }

  /** The next piece; `undefined` at the end. @throws GatewayError `INVALID_REQUEST` for chunks that are too small; what the body throws */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const turn = turns.now();
    if (this.#grown) this.#memory = this.#grown;
    this.#grown = undefined;
    const { done, value } = this.#reader instanceof ReadableStreamBYOBReader
      ? await this.#reader.read(new Uint8Array(this.#memory, 0, this.#portion))
      : await this.#reader.read();
    if (done) return undefined;
    if (this.#reader instanceof ReadableStreamBYOBReader) this.#memory = value.buffer;
    // What had to be waited for had nothing before it.
    const atOnce = turns.now() === turn;
    this.#short = atOnce ? this.#short + this.#portion - value.length : 0;
    if (this.#short > MAX_SHORT) throw tooSmall();
    if (atOnce && value.length === this.#portion) this.#grow();
    return value;
  }

  #grow(): void {
    if (this.#portion >= this.#most || !(this.#reader instanceof ReadableStreamBYOBReader)) return;
    this.#portion *= 2;
    this.#grown = new ArrayBuffer(this.#portion);
  }

  /** Lets go of the body. */
  cancel(reason?: unknown): void {
    this.#reader.cancel(reason).catch(() => {});
  }
}

/** Of a request that was not made by the server, the body may be a stream of another kind. */
function readerOf(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return body.getReader();
  }
}

/** Tells whether something happened without the event loop coming round. */
const turns = {
  count: 0,
  counting: false,
  now(): number {
    if (!this.counting) {
      this.counting = true;
      setTimeout(() => {
        this.count++;
        this.counting = false;
      });
    }
    return this.count;
  },
};

const tooSmall = () =>
  new GatewayError(
    "INVALID_REQUEST",
    "the body comes in too many small chunks; send it in chunks of 16 KiB and more, or with a Content-Length",
    { headers: { connection: "close" } },
  );

/** Bytes that are put together as they come. */
export class Gathered {
  #bytes = new Uint8Array(new ArrayBuffer(1_024));
  #size = 0;

  /** Bytes that were added. */
  get size(): number {
    return this.#size;
  }

  /** Takes a copy. */
  add(piece: Uint8Array): void {
    const size = this.#size + piece.length;
    if (size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = larger;
    }
    this.#bytes.set(piece, this.#size);
    this.#size = size;
  }

  /** All of them. */
  whole(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#size);
  }
}
