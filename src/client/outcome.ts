import { OramaError } from "./errors.ts";
import type { ClientRequest } from "./http.ts";
import { StreamedBody } from "./streamed_body.ts";

/** Answers after which the gateway itself has judged a write that carries a key: what came before it does not matter. */
const JUDGED = [400, 404, 409, 412, 413, 422];

/**
 * What a failure means once the request is on its way: for a write, mostly that nobody knows. One whose body streams does nothing
 * before the body's end is there.
 * @returns what to throw
 */
export function afterSending(request: ClientRequest, signal: AbortSignal, cause: unknown): unknown {
  const { effect, idempotencyKey, unavailableIsUnknown, body } = request;
  const answered = cause instanceof OramaError && cause !== signal.reason;
  const isWhole = !(body instanceof StreamedBody) || body.handedOver;
  if (effect === "write" && isWhole) {
    const certain = answered && isCertain(cause, unavailableIsUnknown || idempotencyKey !== undefined);
    return certain ? cause : unknownOutcome(signal.reason ?? cause);
  }
  if (answered) return cause;
  if (signal.aborted) return signal.reason;
  if (body instanceof StreamedBody && body.failure !== undefined) return body.failure.error;
  return new OramaError("no answer: the connection failed, or broke off", { code: "NETWORK_ERROR", cause });
}

/**
 * Whether an answer tells what became of a write: a gateway's own words do, and a refusal by whatever stands before it. To a write
 * with a key a gateway says 503 also where it does not know, so that older clients repeat it.
 * @param unavailable whether a 503 leaves it open
 */
const isCertain = ({ code, status }: OramaError, unavailable: boolean) =>
  code !== "INVALID_RESPONSE" && (!code.startsWith("HTTP_") || status < 500) && !(unavailable && status === 503);

/** Nobody knows whether a write was applied. @param cause why not */
export const unknownOutcome = (cause: unknown): OramaError => {
  const { status = 0, requestId, retryAfter } = cause instanceof OramaError ? cause : {};
  return new OramaError(
    "the write was sent, and no answer tells what became of it: it may have been applied. Look before repeating it",
    { code: "OUTCOME_UNKNOWN", status, requestId, retryAfter, cause },
  );
};

/** A write of which an earlier try may have been applied is not made undone by a later one that was refused. */
export const withEarlier = (error: unknown, { repeatable }: ClientRequest): unknown =>
  error instanceof OramaError && (repeatable?.includes(error.code) ?? isJudged(error)) ? error : unknownOutcome(error);

const isJudged = ({ code, status }: OramaError) => code !== "IDEMPOTENCY_KEY_IN_USE" && JUDGED.includes(status);
