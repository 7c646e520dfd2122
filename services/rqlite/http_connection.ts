import { bodyOf, Chunks, type Head, indexOfBlankLine } from "./http_body.ts";
import { type HttpTarget, openSocket, refusesCertificate } from "./http_socket.ts";
import type { TlsOptions } from "./options.ts";

/** A complete answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

/** An answer whose body is read as it is asked for. */
export interface HttpStream {
  readonly status: number;
  /** Ends with an error when the connection does before the body. Once it was begun, the connection is of no other use. */
  readonly body: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;
}

/** The answer is larger than was allowed. */
export class AnswerTooLarge extends Error {
  override readonly name = "AnswerTooLarge";
}

const FIRST_BUFFER = 16 * 1024;
/** A buffer that grew beyond this for one answer is not kept for the next one. */
const KEPT_BUFFER = 256 * 1024;
const MAX_HEAD = 64 * 1024;
const STREAM_BUFFER = 64 * 1024;

/**
 * One kept-alive HTTP/1.1 connection (RFC 9112), with one request at a time. A read is always under way, so that an idle
 * connection which the other end closes is known to be of no use before anything is sent on it.
 */
export class HttpConnection {
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_BUFFER);
  #length = 0;
  #read: Promise<number | null>;
  #idle = true;
  #usable = true;
  #refused = false;

  private constructor(
    private readonly socket: Deno.Conn,
    private readonly onLost: (connection: HttpConnection) => void,
  ) {
    this.#read = this.#startRead();
  }

  /** @param onLost told when it ends while idle */
  static async open(
    target: HttpTarget,
    tls: TlsOptions,
    onLost: (connection: HttpConnection) => void,
  ): Promise<HttpConnection> {
    return new HttpConnection(await openSocket(target, tls), onLost);
  }

  /** Whether another request may be sent on it. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Whether the other end refused us, so that it read nothing of what was sent. */
  get refused(): boolean {
    return this.#refused;
  }

  /**
   * Sends a request, whole, and reads its answer.
   * @throws AnswerTooLarge, and Error when the connection ends first or what comes is not HTTP; it is of no more use then
   */
  async exchange(request: Uint8Array, maxBytes: number): Promise<HttpAnswer> {
    this.#idle = false;
    try {
      for (let at = 0; at < request.length;) at += await this.socket.write(request.subarray(at));
      const answer = await this.#answer(maxBytes);
      if (this.#usable) this.#rest();
      else this.close();
      return answer;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Sends a request, and reads the head of its answer. The connection is of no more use for other requests. */
  async begin(request: Uint8Array): Promise<HttpStream> {
    this.#idle = false;
    try {
      for (let at = 0; at < request.length;) at += await this.socket.write(request.subarray(at));
      for (;;) {
        const n = await this.#read;
        if (n === null) throw new Error("the connection ended before the answer did");
        this.#length += n;
        const head = this.#head();
        if (head) {
          const rest = this.#buffer.subarray(head.bodyStart, this.#length);
          return { status: head.status, body: bodyOf(head, this.#arriving(rest)) };
        }
        this.#grow();
        this.#read = this.#startRead();
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Whatever comes, at the pace of whoever asks for it. */
  async *#arriving(first: Uint8Array<ArrayBuffer>): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    if (first.length > 0) yield first;
    for (;;) {
      const buffer = new Uint8Array(STREAM_BUFFER);
      const n = await this.socket.read(buffer);
      if (n === null) return;
      yield buffer.subarray(0, n);
    }
  }

  close(): void {
    if (!this.#usable && this.#idle) return;
    this.#usable = false;
    this.#idle = true;
    try {
      this.socket.close();
    } catch {
      // The other end was faster.
    }
  }

  /** Waits for the next request, and for the other end to go. */
  #rest(): void {
    this.#length = 0;
    if (this.#buffer.length > KEPT_BUFFER) this.#buffer = new Uint8Array(FIRST_BUFFER);
    this.#idle = true;
    this.#read = this.#startRead();
  }

  #startRead(): Promise<number | null> {
    const read = this.socket.read(this.#buffer.subarray(this.#length)).catch((error) => {
      this.#refused = refusesCertificate(error);
      if (this.#idle) return null;
      throw error;
    });
    read.then(() => {
      // Whatever comes while nothing was asked, its end or a word, makes it useless.
      if (!this.#idle || !this.#usable) return;
      this.close();
      this.onLost(this);
    }, () => {});
    return read;
  }

  async #answer(maxBytes: number): Promise<HttpAnswer> {
    let head: Head | undefined;
    const chunks = new Chunks();
    for (;;) {
      const n = await this.#read;
      if (n === null) return this.#atEnd(head);
      this.#length += n;
      head ??= this.#head();
      const body = head && this.#body(head, chunks, maxBytes);
      if (head && body !== undefined) {
        if (!head.keepAlive) this.#usable = false;
        return { status: head.status, text: body };
      }
      this.#grow();
      this.#read = this.#startRead();
    }
  }

  /** An answer without a length is what came before the end; any other one is broken off there. */
  #atEnd(head: Head | undefined): HttpAnswer {
    this.#usable = false;
    if (!head || head.chunked || head.length !== undefined) {
      throw new Error("the connection ended before the answer did");
    }
    return { status: head.status, text: utf8.decode(this.#buffer.subarray(head.bodyStart, this.#length)) };
  }

  #head(): Head | undefined {
    const end = indexOfBlankLine(this.#buffer, this.#length);
    if (end < 0) {
      if (this.#length > MAX_HEAD) throw new Error("the head of the answer has no end");
      return undefined;
    }
    const text = latin1.decode(this.#buffer.subarray(0, end));
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1];
    if (status === undefined) throw new Error(`not HTTP: ${text.slice(0, 100)}`);
    const declared = /^content-length: *(\d+) *$/im.exec(text)?.[1];
    const chunked = /^transfer-encoding:.*chunked *$/im.test(text);
    const length = chunked ? undefined : status === "204" ? 0 : declared === undefined ? undefined : Number(declared);
    const keepAlive = !/^connection:.*close/im.test(text) && text.startsWith("HTTP/1.1");
    return { status: Number(status), bodyStart: end + 4, length, chunked, keepAlive };
  }

  /** The body as text, once it is complete. */
  #body({ bodyStart, length, chunked }: Head, chunks: Chunks, maxBytes: number): string | undefined {
    if ((length ?? this.#length - bodyStart) > maxBytes) throw new AnswerTooLarge(`more than ${maxBytes} bytes`);
    if (chunked) return chunks.read(this.#buffer, bodyStart, this.#length);
    if (length === undefined || this.#length - bodyStart < length) return undefined;
    if (this.#length - bodyStart > length) throw new Error("the answer is longer than it says");
    return utf8.decode(this.#buffer.subarray(bodyStart, bodyStart + length));
  }

  #grow(): void {
    if (this.#length < this.#buffer.length) return;
    const larger = new Uint8Array(this.#buffer.length * 2);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

const utf8 = new TextDecoder();
const latin1 = new TextDecoder("latin1");
