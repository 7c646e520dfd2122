import { Deadline, LONGEST } from "./deadline.ts";
import { checkRedirect, errorOf, parseBody, textOf } from "./answers.ts";
import { invalidResponse } from "./errors.ts";
import { afterSending, withEarlier } from "./outcome.ts";
import { pause } from "./pause.ts";
import { canPass, DEFAULT_RETRY, pauseAfter, type RetryPolicy } from "./retry.ts";
import { sendingTime, StreamedBody } from "./streamed_body.ts";

/** Where a gateway is, and as whom it is called. */
export interface ClientOptions {
  /** Of the gateway, such as `https://gateway.example`; a path in it is kept. */
  readonly url: string | URL;
  /** Sent as `X-API-Key`. */
  readonly apiKey?: string;
  /** Access token, or what gives one; it is asked before each request, so that it may renew it. */
  readonly token?: string | (() => string | Promise<string>);
  /** Milliseconds for a call with all its repetitions. Default 60,000. */
  readonly requestTimeout?: number;
  /** When calls are repeated that are harmless to repeat: reads, writes with an idempotency key, and what says so. */
  readonly retry?: Partial<RetryPolicy>;
  /** In place of the platform's own. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** In place of `Math.random`. */
  readonly random?: () => number;
}

/** What goes with any call. */
export interface CallOptions {
  /** Ends the call. A write that was sent by then is `OUTCOME_UNKNOWN`, everything else rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for this call with all its repetitions. */
  readonly requestTimeout?: number | undefined;
}

/** One call of the gateway. */
export interface ClientRequest extends CallOptions {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From the base URL on, such as `/v1/rqlite/query`. */
  readonly path: string;
  /** Sent as JSON; a `Blob` or a {@link StreamedBody} as it is, with its type. */
  readonly body?: unknown;
  /** What it does: a `read` changes nothing, so it may be repeated. */
  readonly effect: "read" | "write";
  /** Makes repeating a write harmless. */
  readonly idempotencyKey?: string | undefined;
  /**
   * Of a write that is as good twice as once: it is repeated like a read. These are the codes of answers to a repetition that count
   * whatever an earlier try did; behind a try of which nobody knows, any other refusal leaves the outcome unknown.
   */
  readonly repeatable?: readonly string[] | undefined;
  /** Whoever asks repeats it by himself. */
  readonly once?: boolean;
  /** Of a write: a gateway's own 503 does not say that nothing happened, as it is with the cache. */
  readonly unavailableIsUnknown?: boolean;
  /** Milliseconds that the gateway is asked to wait: as much longer is the call, where it has no `requestTimeout` of its own. */
  readonly wait?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that comes bit by bit. */
export interface OpenAnswer {
  readonly body: ReadableStream<Uint8Array>;
  /** Ends it, whatever is still to come. */
  close(): void;
}

/** The same with its head, whatever its media type. */
export interface StreamedAnswer extends OpenAnswer {
  readonly status: number;
  readonly headers: Headers;
}

/** An answer of any media type. */
export interface WholeAnswer {
  /** Of success, or 304. */
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Calls one gateway. */
export interface Client {
  /** Of the gateway, without a slash at its end. */
  readonly url: string;
  /** As whom it calls, for what is no call: the token, asked for anew where a function gives it, or else the API key. */
  credential(): Promise<string | undefined>;
  /**
   * Calls and reads JSON, integers beyond ±(2^53 − 1) as `bigint`.
   * @param read takes what it needs out of the answer, and throws for an answer that is no gateway's
   * @throws OramaError
   */
  json<T>(request: ClientRequest, read: (body: unknown) => T): Promise<T>;
  /** Calls and reads bytes. @param read as in {@link json}; it is given a 304 too @throws OramaError */
  whole<T>(request: ClientRequest, read: (answer: WholeAnswer) => T): Promise<T>;
  /** Calls and gives the answer as it comes. @param type the media type that it must have @throws OramaError */
  open(request: ClientRequest, type: string): Promise<OpenAnswer>;
  /** Calls and gives the answer as it comes, of whatever type. @throws OramaError */
  stream(request: ClientRequest): Promise<StreamedAnswer>;
}

/** A client of one gateway. @throws TypeError for options that cannot be */
export function createClient(options: ClientOptions): Client {
  return new HttpClient(options);
}

/** Deno's signals end no body whose `Response` was collected: here it lives as long as its body. */
const RESPONSES = new WeakMap<ReadableStream, Response>();

class HttpClient implements Client {
  readonly url: string;
  readonly #options: ClientOptions;
  readonly #retry: RetryPolicy;

  constructor(options: ClientOptions) {
    this.url = baseOf(options.url);
    if (options.apiKey !== undefined) checkHeader("apiKey", options.apiKey);
    if (typeof options.token === "string") checkHeader("token", options.token);
    this.#options = options;
    this.#retry = { ...DEFAULT_RETRY, ...options.retry };
  }

  async credential(): Promise<string | undefined> {
    const { apiKey, token } = this.#options;
    return (typeof token === "function" ? await token() : token) ?? apiKey;
  }

  async json<T>(request: ClientRequest, read: (body: unknown) => T): Promise<T> {
    return await this.#closed(request, async (response) => {
      const text = await textOf(response);
      if (!response.ok) throw errorOf(response, text);
      return read(parseBody(text, response.status));
    });
  }

  async whole<T>(request: ClientRequest, read: (answer: WholeAnswer) => T): Promise<T> {
    return await this.#closed(request, async (response) => {
      const { status, headers, ok } = response;
      if (!ok && status !== 304) throw errorOf(response, await textOf(response));
      return read({ status, headers, bytes: new Uint8Array(await response.arrayBuffer()) });
    });
  }

  async open(request: ClientRequest, type: string): Promise<OpenAnswer> {
    return await this.#opened(request, ({ status, headers, body }) => {
      const given = headers.get("content-type") ?? "";
      if (given.split(";", 1)[0]!.trim().toLowerCase() === type && body) return { body };
      throw invalidResponse(`it is not ${type}: it may be older than this feature`, { status });
    });
  }

  async stream(request: ClientRequest): Promise<StreamedAnswer> {
    return await this.#opened(request, ({ status, headers, body }) => ({
      status,
      headers,
      body: body ?? new Blob([]).stream(),
    }));
  }

  async #opened<T>(request: ClientRequest, read: (response: Response) => T): Promise<T & Pick<OpenAnswer, "close">> {
    const deadline = this.#deadline(request);
    try {
      const answer = await this.#repeat(request, deadline, async (response) => {
        if (!response.ok) throw errorOf(response, await textOf(response));
        if (response.body) RESPONSES.set(response.body, response);
        return read(response);
      });
      deadline.stopClock();
      return { ...answer, close: () => deadline.abort() };
    } catch (error) {
      deadline.abort();
      throw error;
    }
  }

  async #closed<T>(request: ClientRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const deadline = this.#deadline(request);
    try {
      return await this.#repeat(request, deadline, read);
    } finally {
      deadline.close();
      // An answer may come before the body's end, and Node goes on taking what nobody sends.
      if (request.body instanceof StreamedBody) request.body.release(deadline.signal.reason);
    }
  }

  #deadline({ requestTimeout, signal, wait = 0 }: ClientRequest): Deadline {
    const usual = this.#options.requestTimeout ?? 60_000;
    return new Deadline(requestTimeout ?? (wait > 0 ? Math.min(usual + wait, LONGEST) : usual), signal);
  }

  async #repeat<T>(request: ClientRequest, deadline: Deadline, read: (response: Response) => Promise<T>): Promise<T> {
    const { random = Math.random } = this.#options;
    const { effect, idempotencyKey, repeatable, once } = request;
    const harmless = !once && (effect === "read" || idempotencyKey !== undefined || repeatable !== undefined);
    let maybeApplied = false;
    for (let failures = 1;; failures++) {
      let failure: unknown;
      try {
        return await this.#once(request, deadline, read);
      } catch (error) {
        failure = maybeApplied ? withEarlier(error, request) : error;
        if (!harmless || !canPass(error) || deadline.signal.aborted) throw failure;
        maybeApplied ||= error.code === "OUTCOME_UNKNOWN";
        const milliseconds = pauseAfter(error, failures, this.#retry, random());
        if (milliseconds === undefined || milliseconds >= deadline.left) throw failure;
        await pause(milliseconds, deadline.signal).catch(() => {
          throw maybeApplied ? failure : deadline.signal.reason;
        });
      }
    }
  }

  async #once<T>(request: ClientRequest, deadline: Deadline, read: (response: Response) => Promise<T>): Promise<T> {
    const { method, path } = request;
    const headers = await this.#headers(request, deadline);
    deadline.signal.throwIfAborted();
    const body = bodyOf(request, (whole = 0) => {
      deadline.restart(request.requestTimeout === undefined ? sendingTime(whole) : 0);
    });
    const { fetch: call = fetch } = this.#options;
    // What a browser kept of an answer is none of a gateway's own.
    const kept = method === "GET" ? { cache: "no-store" } as const : {};
    const init = { method, headers, redirect: "manual", signal: deadline.signal, ...kept } as const;
    const sent = call(this.url + path, body === undefined ? init : { ...init, ...body });
    const response = await sent.catch((cause) => {
      throw afterSending(request, deadline.signal, cause);
    });
    await checkRedirect(response);
    try {
      return await read(response);
    } catch (cause) {
      throw afterSending(request, deadline.signal, cause);
    }
  }

  async #headers(request: ClientRequest, deadline: Deadline): Promise<Record<string, string>> {
    const { apiKey, token: given } = this.#options;
    const token = typeof given === "function" ? await deadline.within(Promise.resolve(given())) : given;
    if (typeof given === "function") checkHeader("token", token);
    const { idempotencyKey, body } = request;
    if (idempotencyKey !== undefined) checkKey(idempotencyKey);
    return {
      accept: "application/json",
      ...(body !== undefined && { "content-type": typeOf(body) }),
      ...(apiKey !== undefined && { "x-api-key": apiKey }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
      ...request.headers,
    };
  }
}

function baseOf(url: string | URL): string {
  const { protocol, username, password, search, hash, href } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw new TypeError(`url must begin with http:// or https://, not ${protocol}`);
  if (username || password) throw new TypeError("url must hold no credentials: there is apiKey, and token");
  if (search || hash) throw new TypeError("url must have neither ? nor #");
  return href.replace(/\/+$/, "");
}

/**
 * A write is a `Blob`, if only an empty one: Deno's `fetch` sends a text, or nothing, once more by itself when a connection that
 * was used before ends without an answer (github.com/denoland/deno/pull/32566), and a `Blob` never. Chromium sends anything once
 * more then; only a body that streams would keep it from that, and such a one needs HTTP/2.
 */
function bodyOf(
  { body, effect }: ClientRequest,
  onTaken: (whole?: number) => void,
): Pick<RequestInit, "body"> | undefined {
  // Without `duplex`, no platform sends what streams.
  if (body instanceof StreamedBody) return { body: body.stream(onTaken), ...{ duplex: "half" } };
  if (body instanceof Blob) return { body };
  const text = body === undefined ? undefined : JSON.stringify(body);
  if (effect === "write") return { body: new Blob(text === undefined ? [] : [text]) };
  return text === undefined ? undefined : { body: text };
}

const typeOf = (body: unknown): string =>
  body instanceof Blob || body instanceof StreamedBody ? body.type : "application/json";

/** The platform's own message would quote the secret. */
function checkHeader(option: string, value: unknown): void {
  if (typeof value === "string" && /^[\x21-\x7e]+$/.test(value)) return;
  throw new TypeError(`${option} must be text of visible ASCII characters`);
}

/** What a key may be without quotes: bare, a comma would look like two headers. */
function checkKey(key: string): void {
  if (/^[\x21\x23-\x2b\x2d-\x7e]{1,255}$/.test(key)) return;
  throw new TypeError("idempotencyKey must be 1 to 255 visible ASCII characters, without commas and double quotes");
}
