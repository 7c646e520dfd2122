import type { Deadline } from "../deadline.ts";
import { invalidResponse, isObject, OramaError } from "../errors.ts";
import { brokenOff } from "../lines.ts";
import type { StreamedBody } from "../streamed_body.ts";

/** What a server answered. Read it, or `close` it: until then its connections stay. */
export interface ProxyAnswer {
  /** The server's, whichever it is. */
  readonly status: number;
  /** Whether it is 200 to 299. */
  readonly ok: boolean;
  /** The server's, with those that `fetch` shows to no page, such as `Set-Cookie` (`headers.getSetCookie()`). */
  readonly headers: Headers;
  /** Of the call, as in the gateway's log. */
  readonly requestId: string | undefined;
  /**
   * The bytes, at the reader's pace; cancelling it ends the call. To be read once, by this or by one of the methods. `null` where
   * there can be none: for `HEAD`, 204, 205 and 304. One that breaks off is an error with the code `NETWORK_ERROR`, the signal's reason,
   * or what the stream that was being sent failed with, and never an end.
   */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** All of it. @throws OramaError `NETWORK_ERROR` where something is missing; the signal's reason */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** All of it as text in UTF-8. @throws as {@link bytes} */
  text(): Promise<string>;
  /** All of it as JSON. @throws SyntaxError for what is none; as {@link bytes} */
  json(): Promise<unknown>;
  /** All of it as a `Blob` of its type. @throws as {@link bytes} */
  blob(): Promise<Blob>;
  /** Ends it, whatever is still to come. */
  close(): void;
}

/** A call whose answer has begun. */
export interface ProxyCall {
  readonly method: string;
  readonly response: Response;
  /** Ends the call by its signal. */
  readonly deadline: Deadline;
  /** What may still be on its way to the server. */
  readonly sending: StreamedBody | undefined;
}

/** The gateway's own word, and what belongs to the connection with it; the server's are told apart, or left out. */
const GATEWAYS =
  /^(x-target-.*|x-request-id|x-content-type-options|access-control-.*|vary|ratelimit.*|retry-after|connection|keep-alive|transfer-encoding)$/;
const WITHOUT_BODY: readonly number[] = [204, 205, 304];

/** The answer of a call. @throws OramaError `INVALID_RESPONSE` for what no gateway answers */
export function answerOf(call: ProxyCall): ProxyAnswer {
  const { method, response } = call;
  const { ok } = response;
  const status = Number(response.headers.get("x-target-status"));
  const isEmpty = method === "HEAD" || WITHOUT_BODY.includes(status);
  const headers = headersOf(response, isEmpty);
  const reading = new Reading(call);
  if (isEmpty) reading.close();
  const body = isEmpty ? null : reading.stream();
  const whole = () => new Response(body);
  const bytes = async () => new Uint8Array(await whole().arrayBuffer());
  return {
    status,
    ok,
    headers,
    requestId: response.headers.get("x-request-id") ?? undefined,
    body,
    bytes,
    text: async () => await whole().text(),
    json: async () => await whole().json(),
    blob: async () => new Blob([await bytes()], { type: headers.get("content-type") ?? "" }),
    close: () => reading.close(),
  };
}

/** @param isEmpty whether there is no body, so that the length that was told is the gateway's */
function headersOf({ headers: all, status }: Response, isEmpty: boolean): Headers {
  const headers = new Headers();
  for (const [name, value] of all) if (!GATEWAYS.test(name)) headers.append(name, value);
  if (isEmpty) headers.delete("content-length");
  try {
    const apart: unknown = JSON.parse(all.get("x-target-headers") ?? "{}");
    if (!isObject(apart)) throw new TypeError("it is no object");
    for (const [name, values] of Object.entries(apart)) {
      for (const value of values as Iterable<string>) headers.append(name, value);
    }
  } catch {
    throw invalidResponse("its X-Target-Headers are none", { status });
  }
  return headers;
}

/** The body of an answer, which holds on to the whole call: Deno's signals end none whose `Response` was collected. */
class Reading {
  readonly #call: ProxyCall;
  /** Bytes that must come, where that is known. */
  readonly #length: number | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #received = 0;

  constructor(call: ProxyCall) {
    this.#call = call;
    const { headers } = call.response;
    const told = headers.get("content-length") ?? "";
    // Platforms unpack what is packed.
    if (!headers.has("content-encoding") && /^\d{1,16}$/.test(told)) this.#length = Number(told);
  }

  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const piece = await this.#next();
          if (piece !== undefined) return controller.enqueue(piece);
          this.#end();
          controller.close();
        } catch (error) {
          const told = this.#toldOf(error);
          this.close();
          controller.error(told);
        }
      },
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
  }

  close(): void {
    const { deadline, sending } = this.#call;
    deadline.abort();
    sending?.release(deadline.signal.reason);
  }

  /** A server that has said all takes nothing more; otherwise the connection is as good as before. */
  #end(): void {
    const { deadline, sending } = this.#call;
    if (sending && !sending.handedOver) this.close();
    else deadline.close();
  }

  #toldOf(error: unknown): unknown {
    const { deadline: { signal }, sending } = this.#call;
    if (signal.aborted) return signal.reason;
    // What is sent may fail when the answer has begun, and ends it.
    if (sending?.failure) return sending.failure.error;
    return error instanceof OramaError ? error : brokenOff(error);
  }

  async #next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    this.#reader ??= this.#call.response.body?.getReader();
    const { done, value } = await this.#reader?.read() ?? { done: true, value: undefined };
    if (done || value === undefined) {
      if (this.#length !== undefined && this.#received < this.#length) throw brokenOff();
      return undefined;
    }
    this.#received += value.byteLength;
    return value as Uint8Array<ArrayBuffer>;
  }
}
