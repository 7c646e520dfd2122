/**
 * Every code that the gateway answers with, and its status. A code keeps its meaning for ever; clients may switch on it.
 * Statuses that older clients repeat by themselves (408, 429, 5xx) are never given once a write may have happened.
 */
export const ERROR_STATUS = {
  INVALID_REQUEST: 400,
  INVALID_JSON: 400,
  SQL_INVALID: 400,
  MODULE_INVALID: 400,
  SQL_NOT_ALLOWED: 400,
  UNAUTHENTICATED: 401,
  INVALID_CREDENTIAL: 401,
  SIGNATURE_INVALID: 401,
  FORBIDDEN: 403,
  INSUFFICIENT_SCOPE: 403,
  NAMESPACE_MISMATCH: 403,
  QUOTA_EXCEEDED: 403,
  EGRESS_ADDRESS_REFUSED: 403,
  EGRESS_TARGET_REFUSED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  REQUEST_TIMEOUT: 408,
  CONFLICT: 409,
  CONSTRAINT_FAILED: 409,
  OUTCOME_UNKNOWN: 409,
  IDEMPOTENCY_KEY_IN_USE: 409,
  WRONG_TYPE: 409,
  LOCKED: 409,
  LOCK_LOST: 409,
  POSITION_GONE: 410,
  PRECONDITION_FAILED: 412,
  BODY_TOO_LARGE: 413,
  RESULT_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RANGE_NOT_SATISFIABLE: 416,
  STATEMENT_TIMEOUT: 422,
  FUNCTION_TIMEOUT: 422,
  FUNCTION_TRAPPED: 422,
  FUNCTION_OUT_OF_MEMORY: 422,
  FUNCTION_FAILED: 422,
  FUNCTION_OUTPUT_TOO_LARGE: 422,
  FUNCTION_CALLS_EXCEEDED: 422,
  INVOCATION_TOO_DEEP: 422,
  EGRESS_RESPONSE_INVALID: 422,
  EGRESS_RESPONSE_TOO_LARGE: 422,
  EGRESS_TIMEOUT: 422,
  EGRESS_TOO_MANY_REDIRECTS: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  UPLOAD_LOCKED: 423,
  UPGRADE_REQUIRED: 426,
  RATE_LIMITED: 429,
  TOO_MANY_STATEMENTS: 429,
  TOO_MANY_LISTENERS: 429,
  TOO_MANY_WAITERS: 429,
  TOO_MANY_UPLOADS: 429,
  TOO_MANY_SOCKETS: 429,
  TOO_MANY_SUBSCRIPTIONS: 429,
  TOO_MANY_TOPICS: 429,
  TOO_MANY_INVOCATIONS: 429,
  EGRESS_BUSY: 429,
  CHECKSUM_MISMATCH: 460,
  INTERNAL: 500,
  EGRESS_NAME_NOT_FOUND: 502,
  EGRESS_UNREACHABLE: 502,
  EGRESS_TLS_FAILED: 502,
  UNAVAILABLE: 503,
  NO_CAPACITY: 503,
  EGRESS_PROXY_UNAVAILABLE: 503,
} as const;

/** The stable name of one kind of failure; see {@link ERROR_STATUS} for its HTTP status. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** One problem with one field of a request. `field` is a dotted path such as `ops.0.sql`. */
export interface FieldProblem {
  readonly field: string;
  readonly problem: string;
}

/** What an error carries beside its code and sentence. */
export interface ErrorExtra {
  /** What really happened. Goes to the log with the request id, never to the client. */
  readonly cause?: unknown;
  /** Public, machine-readable particulars. */
  readonly details?: unknown;
  /** Response headers that belong to this failure, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Seconds after which another try may succeed; answered as `Retry-After`. Codes with status 503 have 1 by default. */
  readonly retryAfter?: number;
}

/** A failure with a public sentence (`message`) and, in `cause`, what only the log may see. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  /** The HTTP status that belongs to {@link code}. */
  readonly status: number;

  constructor(readonly code: ErrorCode, message: string, readonly extra: ErrorExtra = {}) {
    super(message, { cause: extra.cause });
    this.status = ERROR_STATUS[code];
  }
}

/** Whether something that was thrown is a {@link GatewayError} with one of these codes. */
export const hasCode = (error: unknown, ...codes: readonly ErrorCode[]): error is GatewayError =>
  error instanceof GatewayError && codes.includes(error.code);
