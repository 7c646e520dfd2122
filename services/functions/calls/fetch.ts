import { GatewayError } from "../../../src/contracts/errors.ts";
import { abortable } from "../../clock/abortable.ts";
import type { CallScope } from "../parts.ts";
import { invalid, MAX_BYTES } from "./arguments.ts";
import { OutboundFailure, type OutboundHttp, type OutboundRequest, type OutboundResponse } from "./http.ts";
import { jsonArgument } from "./json_argument.ts";

/** Milliseconds that one request may take. */
const TIMEOUT = 30_000;
const MAX_METHOD = 32;
const MAX_HEADERS = 100;
/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }), lenient = new TextDecoder();

/** The host call `http_fetch`. */
export class FetchCalls {
  readonly #http: OutboundHttp;
  readonly #timeout: number;

  constructor({ http, timeout = TIMEOUT }: { readonly http: OutboundHttp; readonly timeout?: number | undefined }) {
    this.#http = http;
    this.#timeout = timeout;
  }

  /** `{"status", "headers": {name: [values]}, "body"}` as JSON; where it failed `{"error", "status": 0, "code"}`. */
  async fetch(method: string, url: string, headers: string, body: Uint8Array, scope: CallScope): Promise<Uint8Array> {
    const late = AbortSignal.timeout(this.#timeout);
    const signal = AbortSignal.any([scope.signal, late]);
    try {
      const request = requestOf(method, url, headers, body);
      return answerOf(await abortable(this.#http.fetch(request, MAX_BYTES, { ...scope, signal }), signal));
    } catch (error) {
      scope.signal.throwIfAborted();
      const { code, message, status } = late.aborted ? timedOut(this.#timeout) : failureOf(error);
      return jsonBytes({ error: message, status, code });
    }
  }
}

function requestOf(method: string, url: string, headers: string, body: Uint8Array): OutboundRequest {
  if (method.length > MAX_METHOD || !TOKEN.test(method)) throw invalid("method", "must be a method of HTTP");
  const target = URL.parse(url);
  if (target === null || !/^https?:$/.test(target.protocol)) throw invalid("url", "must be a URL of http or https");
  if (target.username !== "" || target.password !== "") throw invalid("url", "must have no user and password");
  return { method, url: target, headers: headersOf(headers), body };
}

function headersOf(text: string): OutboundRequest["headers"] {
  const value = jsonArgument("headers", text, { maxDepth: 1, maxValues: MAX_HEADERS + 1 }) ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw invalid("headers", "must be a JSON object of texts");
  return Object.entries(value).map(([name, value]: [string, unknown]) => {
    if (!TOKEN.test(name)) throw invalid("headers", "must have names that HTTP has for headers");
    if (typeof value !== "string" || !isFieldValue(value)) {
      throw invalid(`headers.${name}`, "must be a text without control characters");
    }
    return [name, value];
  });
}

/** RFC 9110, 5.5. */
const isFieldValue = (value: string) =>
  value.isWellFormed() && !Array.from(value).some((one) => one < " " && one !== "\t" || one === "\x7f");

function answerOf(response: OutboundResponse): Uint8Array {
  // As JSON it may be several times as long.
  const bytes = response.body.length > MAX_BYTES ? undefined : jsonBytes(fieldsOf(response));
  if (bytes !== undefined && bytes.length <= MAX_BYTES) return bytes;
  throw new OutboundFailure("RESULT_TOO_LARGE", `the response has more than ${MAX_BYTES} bytes`, response.status);
}

function fieldsOf({ status, headers, body }: OutboundResponse) {
  try {
    return { status, headers, body: strict.decode(body) };
  } catch {
    // A text with the bytes that are no UTF-8 replaced is what older functions get; these can have the bytes themselves.
    return { status, headers, body: lenient.decode(body), body_base64: body.toBase64() };
  }
}

const timedOut = (timeout: number) =>
  new OutboundFailure("REQUEST_TIMEOUT", `the request took longer than ${timeout} ms, and was ended`);

function failureOf(error: unknown): OutboundFailure {
  if (error instanceof OutboundFailure) return error;
  if (error instanceof GatewayError) return new OutboundFailure(error.code, error.message);
  throw error;
}

const jsonBytes = (value: unknown) => encoder.encode(JSON.stringify(value));
