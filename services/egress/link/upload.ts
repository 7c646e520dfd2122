import { Buffered } from "../wire/buffered.ts";
import { FRAME, type FrameWriter, MAX_DATA, WINDOW } from "../wire/frames.ts";
import type { OpenMessage } from "../wire/messages.ts";

/** The body of a request on its way to the process, which says when it takes more. */
export class Upload {
  /** Rejects with what the source of the body says. Never resolves. */
  readonly failed: Promise<never>;
  readonly #fail: (error: unknown) => void;
  readonly #writer: FrameWriter;
  readonly #source: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #buffered = new Buffered();
  #rest: Uint8Array | undefined;
  #credit = WINDOW;
  #over = false;
  #wake: (() => void) | undefined;

  constructor(body: Uint8Array | ReadableStream<Uint8Array> | undefined, writer: FrameWriter) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.failed = promise;
    this.#fail = reject;
    this.#writer = writer;
    if (body instanceof ReadableStream) this.#source = body.getReader();
    else this.#rest = body;
  }

  /** What the process is told of a body. */
  static lengthOf(body: Uint8Array | ReadableStream<Uint8Array> | undefined): OpenMessage["body"] {
    return body === undefined ? "none" : body instanceof ReadableStream ? "stream" : body.length;
  }

  /**
   * Milliseconds that the process may be silent for because of what lies in buffers: it counts each piece when it passes it on, later than
   * it is counted here, and then no more than may be on their way to it.
   */
  get patience(): number {
    return this.#buffered.ms + this.#buffered.timeFor(WINDOW * MAX_DATA);
  }

  /** Sends all of it, at the process's pace. Resolves at its end, and never rejects. */
  async run(): Promise<void> {
    try {
      for (let piece = await this.#next(); piece && !this.#over; piece = await this.#next()) {
        while (this.#credit === 0 && !this.#over) await new Promise<void>((resolve) => this.#wake = resolve);
        if (this.#over) return;
        this.#credit--;
        this.#buffered.sent(piece.length);
        // Where the process has gone its end of the connection says why, or that it is gone.
        if (!await this.#write(FRAME.data, piece)) return;
      }
      if (!this.#over) await this.#write(FRAME.end);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The process takes one more piece. @returns whether that can be */
  more(): boolean {
    this.#wake?.();
    return ++this.#credit <= WINDOW;
  }

  /** Nothing more is sent. @param why for whoever makes the body */
  stop(why: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#wake?.();
    this.#source?.cancel(why).catch(() => {});
  }

  #write(type: typeof FRAME.data | typeof FRAME.end, piece?: Uint8Array): Promise<boolean> {
    return this.#writer.write(type, piece).then(() => true, () => false);
  }

  /** The next piece, no longer than a frame may be. */
  async #next(): Promise<Uint8Array | undefined> {
    while (this.#rest === undefined || this.#rest.length === 0) {
      if (!this.#source) return undefined;
      const { done, value } = await this.#source.read();
      if (done) return undefined;
      if (!(value instanceof Uint8Array)) throw new TypeError("a body is made of bytes");
      this.#rest = value;
    }
    const piece = this.#rest.subarray(0, MAX_DATA);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }
}
