import { type ClientClock, PLATFORM_CLOCK } from "../clock.ts";
import { invalidResponse, OramaError } from "../errors.ts";
import type { CallOptions, Client, ClientRequest, StreamedAnswer } from "../http.ts";
import { brokenOff } from "../lines.ts";
import { DEFAULT_RETRY, pauseAfter } from "../retry.ts";

/** Bytes of a whole. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** What an answer with content says of it. */
export interface ContentHead {
  readonly headers: Headers;
  /** What is given, where its length is known and it is not compressed on its way. */
  readonly range: ByteRange | undefined;
  /** Bytes of the whole, where they are known. */
  readonly size: number | undefined;
}

/** Milliseconds between two pieces, where nothing else is said. */
const SILENCE = 60_000;

/**
 * Content that is read. A connection that breaks off is made again where it was, if that can be: what a CID names never changes, and
 * the tag is asked for.
 */
export class ContentReading {
  readonly #client: Client;
  readonly #path: string;
  readonly #clock: ClientClock;
  readonly #silence: number;
  readonly #requestTimeout: number | undefined;
  readonly #caller: AbortSignal | undefined;
  readonly #ended = new AbortController();
  readonly #forward = () => this.#ended.abort(this.#caller?.reason);
  #answer: StreamedAnswer | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #head: ContentHead | undefined;
  #received = 0;
  #failures = 0;

  /** @param path of the content, with its query */
  constructor(
    client: Client,
    path: string,
    { signal, requestTimeout }: CallOptions,
    clock: ClientClock = PLATFORM_CLOCK,
  ) {
    this.#client = client;
    this.#path = path;
    this.#clock = clock;
    this.#requestTimeout = requestTimeout;
    this.#silence = requestTimeout ?? SILENCE;
    this.#caller = signal;
    signal?.addEventListener("abort", this.#forward, { once: true });
    if (signal?.aborted) this.#forward();
  }

  /** Asks for it. @param range the header's value, where only a part is wanted @throws OramaError */
  async begin(range: string | undefined): Promise<ContentHead> {
    try {
      const answer = await this.#ask(range === undefined ? {} : { range });
      return this.#head = headOf(answer, range !== undefined);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The bytes, at the reader's pace. To be called once, after {@link begin}. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const piece = await this.#next();
          if (piece !== undefined) return controller.enqueue(piece);
          this.close();
          controller.close();
        } catch (error) {
          this.close();
          controller.error(error);
        }
      },
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
  }

  /** Ends it, whatever is still to come. */
  close(): void {
    this.#caller?.removeEventListener("abort", this.#forward);
    this.#ended.abort();
    this.#answer?.close();
  }

  /** @returns `undefined` at the end */
  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      try {
        const piece = await this.#piece();
        this.#failures = 0;
        return piece;
      } catch (error) {
        this.#answer?.close();
        this.#reader = undefined;
        this.#ended.signal.throwIfAborted();
        if (this.#received === this.#head?.range?.length) return undefined;
        await this.#goOn(error instanceof OramaError ? error : brokenOff(error));
      }
    }
  }

  async #piece(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { body, close } = this.#answer!;
    this.#reader ??= body.getReader();
    const stop = this.#clock.after(this.#silence, close);
    try {
      const { done, value } = await this.#reader.read();
      const length = this.#head?.range?.length;
      if (done) {
        if (length !== undefined && this.#received < length) throw brokenOff();
        return undefined;
      }
      this.#received += value.byteLength;
      if (length !== undefined && this.#received > length) throw invalidResponse("it has more bytes than it said");
      return value as Uint8Array<ArrayBuffer>;
    } finally {
      stop();
    }
  }

  /** Asks for what is missing. @throws the error, where that cannot help */
  async #goOn(error: OramaError): Promise<void> {
    const { headers, range } = this.#head!;
    const tag = headers.get("etag") ?? "";
    if (error.code !== "NETWORK_ERROR" || range === undefined || !tag.startsWith('"')) throw error;
    const milliseconds = pauseAfter(error, ++this.#failures, DEFAULT_RETRY, this.#clock.random());
    if (milliseconds === undefined) throw error;
    await this.#clock.pause(milliseconds, this.#ended.signal);
    const from = range.offset + this.#received, to = range.offset + range.length - 1;
    const answer = await this.#ask({ range: `bytes=${from}-${to}`, "if-match": tag });
    const next = headOf(answer, true).range;
    if (next?.offset !== from || next.length !== to - from + 1) {
      throw invalidResponse(`other bytes came than ${from} to ${to}`, { status: answer.status });
    }
  }

  async #ask(headers: Readonly<Record<string, string>>): Promise<StreamedAnswer> {
    const request: ClientRequest = {
      method: "GET",
      path: this.#path,
      effect: "read",
      headers: { accept: "*/*", ...headers },
      signal: this.#ended.signal,
      requestTimeout: this.#requestTimeout,
    };
    return this.#answer = await this.#client.stream(request);
  }
}

/** @throws OramaError `INVALID_RESPONSE` for an answer that is none to the request */
function headOf({ status, headers }: StreamedAnswer, ranged: boolean): ContentHead {
  const isEncoded = headers.has("content-encoding");
  const told = headers.get("content-length") ?? "";
  const length = !isEncoded && /^\d{1,16}$/.test(told) ? Number(told) : undefined;
  if (status === 200 && !ranged) {
    return { headers, range: length === undefined ? undefined : { offset: 0, length }, size: length };
  }
  const [, from, to, size] = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(headers.get("content-range") ?? "") ?? [];
  const offset = Number(from), count = Number(to) - offset + 1;
  if (status === 206 && ranged && size !== undefined && count > 0 && (length ?? count) === count) {
    return { headers, range: { offset, length: count }, size: Number(size) };
  }
  const problem = ranged ? "it has not the range that was asked for" : "it is a part, and the whole was asked for";
  throw invalidResponse(problem, { status });
}
