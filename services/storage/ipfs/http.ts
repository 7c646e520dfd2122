/** One request. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent as it is taken; without one a `POST` has an empty body. */
  readonly body?: ReadableStream<Uint8Array> | undefined;
  /** Milliseconds until the head of the answer, and between two pieces of it. `undefined`: whoever sends the body watches. */
  readonly timeout: number | undefined;
  /** Of who waits. Its reason is thrown. */
  readonly signal: AbortSignal;
}

/** There was no answer, or no whole one. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";

  constructor(readonly reason: "timeout" | "connection", cause?: unknown) {
    super(reason === "timeout" ? "no answer in time" : "the connection failed", { cause });
  }
}

/** An answer whose head is there. To be read to its end, or closed. */
export class HttpAnswer {
  constructor(
    private readonly response: Response,
    private readonly watch: Watch,
    private readonly timeout: number | undefined,
  ) {}

  get status(): number {
    return this.response.status;
  }

  /** The body as it comes. @throws NoAnswer when it breaks off, or stands still for the time of the request */
  async *pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    const reader = this.response.body?.getReader();
    try {
      while (reader !== undefined) {
        const { value, done } = await this.watch.during(() => reader.read(), this.timeout);
        if (done) break;
        yield value;
      }
    } finally {
      this.close();
    }
  }

  /**
   * The whole body, at once: Deno then gathers it outside of JavaScript, for a quarter of the work. Of what an engine keeps short.
   * @throws NoAnswer when it breaks off, or does not end within the time of the request
   */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return await this.watch.during(() => this.response.bytes(), this.timeout);
    } finally {
      this.close();
    }
  }

  /** The whole body as text. @throws NoAnswer */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /** Gives up the rest. */
  close(): void {
    this.watch.close();
  }
}

/**
 * `fetch` that never sends anything twice. Deno's sends a body again by itself when a reused connection closes before the answer,
 * although the request may have been carried out; but not one that is a stream, so every `POST` has such a body.
 */
export class HttpClient {
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 64, http2: false });

  /** @throws NoAnswer; the reason of the signal when that fires; what the source of the body throws, as it is */
  async send({ method, url, headers, body, timeout, signal }: HttpRequest): Promise<HttpAnswer> {
    signal.throwIfAborted();
    const watch = new Watch(signal);
    try {
      const response = await watch.during(() =>
        fetch(url, {
          client: this.#client,
          method,
          signal: watch.signal,
          // What moved somewhere else is not there: nothing of ours is sent to where an answer points.
          redirect: "manual",
          ...(headers && { headers }),
          ...(method === "POST" && { body: body ?? EMPTY() }),
        }), timeout);
      return new HttpAnswer(response, watch, timeout);
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  /** Closes idle connections. What is on its way fails. */
  close(): void {
    this.#client.close();
  }
}

const EMPTY = () => new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });

/** Ends one request: by its own clock, when nobody waits for it, or at its end. */
class Watch {
  readonly #controller = new AbortController();
  readonly #forward = () => this.#controller.abort();
  #late = false;

  constructor(private readonly given: AbortSignal) {
    given.addEventListener("abort", this.#forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What comes of work that has so long. @throws NoAnswer, or the reason of the signal that was given */
  async during<T>(work: () => Promise<T>, timeout: number | undefined): Promise<T> {
    const late = () => {
      this.#late = true;
      this.#controller.abort();
    };
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout);
    try {
      return await work();
    } catch (cause) {
      this.given.throwIfAborted();
      throw new NoAnswer(this.#late ? "timeout" : "connection", cause);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Also ends the request, where it has not ended. */
  close(): void {
    this.given.removeEventListener("abort", this.#forward);
    this.#controller.abort();
  }
}
