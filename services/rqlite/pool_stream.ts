import type { HttpAnswer, HttpConnection, HttpStream } from "./http_connection.ts";

/** Milliseconds for which an answer that has begun may pause while somebody waits for more of it. */
const STALL = 30_000;

/** An answer that is read as it is asked for, and not further: the other end then waits. */
export class PoolStream {
  readonly status: number;
  #closed = false;
  readonly #close = () => this.close();

  constructor(
    private readonly answer: HttpStream,
    private readonly connection: HttpConnection,
    private readonly request: {
      readonly maxBytes: number;
      readonly waiter?: { readonly signal: AbortSignal } | undefined;
    },
    private readonly onClosed: () => void,
  ) {
    this.status = answer.status;
    request.waiter?.signal.addEventListener("abort", this.#close, { once: true });
  }

  /** The next bytes; `undefined` at the end. @throws Error when there is no more although it is not the end */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const stalled = setTimeout(this.#close, STALL);
    try {
      const { value, done } = await this.answer.body.next();
      if (done !== true) return value;
      this.close();
      return undefined;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(stalled);
    }
  }

  /** What is left of it, as a whole; for answers that say why there is none. */
  async text(): Promise<HttpAnswer> {
    const decoder = new TextDecoder();
    let text = "";
    for (let bytes; text.length < this.request.maxBytes && (bytes = await this.next()) !== undefined;) {
      text += decoder.decode(bytes, { stream: true });
    }
    this.close();
    return { status: this.status, text };
  }

  /** Gives up the rest. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.request.waiter?.signal.removeEventListener("abort", this.#close);
    this.connection.close();
    this.onClosed();
  }
}
