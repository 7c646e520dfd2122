/** Codes that the client finds by itself; all others are the gateway's. */
export type ClientErrorCode =
  /** No answer came, and nothing can have changed. */
  | "NETWORK_ERROR"
  /** No answer came in time, and nothing can have changed. */
  | "TIMEOUT"
  /** What answered does not speak like a gateway: HTML, a redirect, JSON that breaks off. */
  | "INVALID_RESPONSE"
  /** The gateway has no such thing; the sentence names what to use. */
  | "NOT_SUPPORTED"
  /** A change was made, but what it gave was lost with the first answer. */
  | "RESULT_LOST"
  /** The bytes that came are not those of their CID. */
  | "CONTENT_MISMATCH"
  /** An upload cannot be gone on with: the gateway does not have it, or has less of it than can be read again. */
  | "UPLOAD_LOST"
  /** A connection was closed by its owner before. */
  | "CLOSED"
  /** One connection has one subscription of a topic. */
  | "ALREADY_SUBSCRIBED"
  /** The gateway ended a subscription. */
  | "UNSUBSCRIBED"
  /** Too much waits for a connection. */
  | "QUEUE_FULL"
  /** The lease of a lock is over, and could not be renewed before. The gateway has this code too. */
  | "LOCK_LOST"
  /** A write may have been applied: look before repeating it. The gateway has this code too. */
  | "OUTCOME_UNKNOWN";

/** What an {@link OramaError} is made of. */
export interface ErrorParts {
  /** Stable, to switch on. `HTTP_<status>` where something before the gateway answered without a code. */
  readonly code: ClientErrorCode | (string & Record<never, never>);
  /** HTTP status; 0 where no answer came. */
  readonly status?: number;
  /** The request's id, as in the gateway's log. */
  readonly requestId?: string | undefined;
  /** The gateway's particulars, such as `[{field, problem}]` of `INVALID_REQUEST`. */
  readonly details?: unknown;
  /** Seconds after which another try may succeed. */
  readonly retryAfter?: number | undefined;
  /** What really happened. */
  readonly cause?: unknown;
}

/** Why a call gave no result. */
export class OramaError extends Error {
  override readonly name = "OramaError";
  /** Stable, to switch on: the gateway's codes, {@link ClientErrorCode}, or `HTTP_<status>`. */
  readonly code: string;
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  /** The request's id, as in the gateway's log. */
  readonly requestId: string | undefined;
  /** The gateway's particulars. */
  readonly details: unknown;
  /** Seconds after which another try may succeed. */
  readonly retryAfter: number | undefined;

  constructor(message: string, { code, status = 0, requestId, details, retryAfter, cause }: ErrorParts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.details = details;
    this.retryAfter = retryAfter;
  }
}

/** Whether a value is an object with members. */
export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An answer that no gateway gives. */
export const invalidResponse = (problem: string, parts: Omit<ErrorParts, "code"> = {}): OramaError =>
  new OramaError(`the answer is not a gateway's: ${problem}`, { code: "INVALID_RESPONSE", ...parts });

/** The error that an error body tells of, or `undefined` where it is none of a gateway's. */
export function errorOfBody(body: unknown, parts: Omit<ErrorParts, "code" | "details">): OramaError | undefined {
  if (!isObject(body) || typeof body.error !== "string" || typeof body.code !== "string") return undefined;
  const { error, code, details, request_id, status } = body;
  return new OramaError(error, {
    ...(typeof status === "number" && { status }),
    ...parts,
    code,
    details,
    requestId: typeof request_id === "string" ? request_id : parts.requestId,
  });
}
