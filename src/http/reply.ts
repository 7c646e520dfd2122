import { type ErrorCode, GatewayError } from "../contracts/errors.ts";
import type { Upgrade } from "./live/socket.ts";
import type { ErrorForm } from "./route.ts";
import type { StreamedReply } from "./streamed_reply.ts";

/** What a handler answers. */
export interface Reply {
  readonly status: number;
  /** Text (JSON unless `headers` says otherwise), bytes, a stream, or nothing. */
  readonly body: string | Uint8Array<ArrayBuffer> | StreamedReply | null;
  /** Lower-case names. A `content-type` here replaces `application/json`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds that a client may leave a piece of a stream unread; longer where a reader that waits costs next to nothing. Default 30 s. */
  readonly patience?: number | undefined;
  /** What becomes of the WebSocket, of a route that `upgrades`; the status is 101 then. */
  readonly upgrade?: Upgrade | undefined;
}

/** 101: the connection is a WebSocket from here on. */
export const switching = (upgrade: Upgrade): Reply => ({ status: 101, body: null, upgrade });

/** JSON with a status and, if need be, headers. */
export const json = (status: number, body: unknown, headers?: Readonly<Record<string, string>>): Reply => ({
  status,
  body: JSON.stringify(body),
  ...(headers && { headers }),
});

/** 200 with JSON. */
export const ok = (body: unknown): Reply => ({ status: 200, body: JSON.stringify(body) });

/** For answers that hold a credential: neither a browser nor a proxy may keep them (RFC 6749, 5.1). */
export const NO_STORE = { "cache-control": "no-store" } as const;

/** Whether a client asks for errors to be marked as problems of RFC 9457. */
export const wantsProblemJson = ({ headers }: Request): boolean =>
  headers.get("accept")?.includes("application/problem+json") ?? false;

/** How answers of functions name an end that is none of theirs. */
export const invocationStatusOf = (code: ErrorCode): "error" | "timeout" =>
  code === "FUNCTION_TIMEOUT" ? "timeout" : "error";

/** `NOT_FOUND` → `not found`: the title of a kind of failure (RFC 9457). */
const titleOf = (code: ErrorCode): string => code.toLowerCase().replaceAll("_", " ");

/**
 * Builds the one error answer of the gateway: `error` for the clients of the wire format, RFC 9457 members beside it.
 * @param form in which the route has it
 * @param milliseconds that the request took
 */
export function toErrorReply(
  error: unknown,
  requestId: string,
  problemJson: boolean,
  form?: ErrorForm,
  milliseconds = 0,
): Reply {
  const known = error instanceof GatewayError ? error : new GatewayError("INTERNAL", "internal error");
  const { code, message, status, extra } = known;
  const retryAfter = extra.retryAfter ?? (status === 503 ? 1 : undefined);
  return {
    status,
    body: JSON.stringify({
      error: form === "pinning" ? { reason: code, details: message } : message,
      code,
      request_id: requestId,
      type: `urn:orama:error:${code.toLowerCase().replaceAll("_", "-")}`,
      title: titleOf(code),
      // Whoever asks for a problem of RFC 9457 gets one.
      status: form === "invocation" && !problemJson ? invocationStatusOf(code) : status,
      ...(form === "invocation" && { duration_ms: Math.round(milliseconds) }),
      ...(form === "proxied" && { status_code: 0, headers: null, body: "" }),
      detail: message,
      details: extra.details,
    }),
    headers: {
      ...extra.headers,
      ...(retryAfter !== undefined && { "retry-after": String(Math.ceil(retryAfter)) }),
      ...(problemJson && { "content-type": "application/problem+json" }),
    },
  };
}
