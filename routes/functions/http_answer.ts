import { GatewayError } from "../../src/contracts/errors.ts";
import type { InvocationResult } from "../../src/contracts/function_invocations.ts";
import { isMediaType, UNNAMED_TYPE } from "../../src/http/content_headers.ts";
import type { Reply } from "../../src/http/reply.ts";
import { invocationHeaders, invocationReply, parsedOutput } from "./invocation_answer.ts";

/**
 * Headers that a function may set: those about its content. A list of what is refused instead would miss whatever a proxy in front
 * obeys (`X-Accel-Redirect`, `X-Sendfile`), and what a browser applies to the gateway's whole origin (`Set-Cookie`, `Clear-Site-Data`,
 * `Strict-Transport-Security`, CORS).
 */
const SET: ReadonlySet<string> = new Set([
  "content-type",
  "content-language",
  "content-disposition",
  "etag",
  "last-modified",
  "expires",
  "cache-control",
  "location",
  "retry-after",
]);
/** What the names of headers begin with that are the function's own. */
const OWN = "x-fn-";
/** Headers that are looked at, and bytes of a value. */
const MAX_HEADERS = 64, MAX_VALUE = 4_096;
const NAME = /^[\w!#$%&'*+.^`|~-]{1,128}$/, VALUE = /^[\x20-\x7e]*$/;

/** Under the gateway's own origin, nothing of it may act as a page of the gateway. */
const SANDBOXED = { "content-security-policy": "sandbox", "x-content-type-options": "nosniff" } as const;

const strict = new TextDecoder("utf-8", { fatal: true });

/** An answer as a function writes it. */
interface Written {
  readonly status: number;
  readonly headers?: unknown;
  readonly body?: unknown;
  readonly body_base64?: unknown;
}

/** What a call by a route answers: as the function says, or else as any call does. */
export function httpReply(result: InvocationResult, request: Request): Reply {
  const written = result.failure === undefined ? writtenIn(result.output) : undefined;
  if (written === undefined) {
    const reply = invocationReply(result, request);
    return { ...reply, headers: { ...reply.headers, ...SANDBOXED } };
  }
  const { body, type } = bodyOf(written);
  const own = headersOf(written.headers);
  const headers = {
    "content-type": type,
    "cache-control": "no-store",
    ...own,
    ...invocationHeaders(result),
    ...SANDBOXED,
  };
  if (!isMediaType(headers["content-type"])) headers["content-type"] = UNNAMED_TYPE;
  const { status } = written;
  return { status, body: status === 204 || status === 205 || status === 304 ? null : body, headers };
}

/** The answer that an output is, `undefined` where it is none. */
function writtenIn(output: Uint8Array): Written | undefined {
  if (output[0] !== 0x7b) return undefined;
  let text: string;
  try {
    text = strict.decode(output);
  } catch {
    return undefined;
  }
  const value = parsedOutput(text) as { readonly status?: unknown } | undefined;
  const isStatus = Number.isInteger(value?.status) && Number(value?.status) >= 200 && Number(value?.status) <= 599;
  return isStatus ? value as Written : undefined;
}

/** Text as it is, bytes in base64, anything else as JSON. */
function bodyOf(
  { body, body_base64: base64 }: Written,
): { readonly body: string | Uint8Array<ArrayBuffer>; readonly type: string } {
  if (typeof base64 === "string") {
    try {
      return { body: Uint8Array.fromBase64(base64), type: UNNAMED_TYPE };
    } catch (cause) {
      throw new GatewayError("FUNCTION_FAILED", "the function's answer has a body_base64 that is no base64", { cause });
    }
  }
  if (typeof body === "string") return { body, type: "text/plain; charset=utf-8" };
  return body === undefined
    ? { body: "", type: UNNAMED_TYPE }
    : { body: JSON.stringify(body), type: "application/json" };
}

function headersOf(given: unknown): Record<string, string> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return {};
  const kept = Object.entries(given).slice(0, MAX_HEADERS).flatMap(([name, value]): [string, string][] => {
    const lower = name.toLowerCase();
    const isTaken = NAME.test(name) && (SET.has(lower) || lower.startsWith(OWN)) &&
      typeof value === "string" && value.length <= MAX_VALUE && VALUE.test(value);
    return isTaken ? [[lower, value]] : [];
  });
  return Object.fromEntries(kept);
}
