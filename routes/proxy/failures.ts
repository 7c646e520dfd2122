import { EgressFailure, type EgressFailureCode } from "../../src/contracts/egress.ts";
import { ERROR_STATUS, type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";

/** What each failure is answered as, where that has another name. */
const CODES: Readonly<Partial<Record<EgressFailureCode, ErrorCode>>> = {
  EGRESS_REQUEST_INVALID: "INVALID_REQUEST",
  EGRESS_NOT_AVAILABLE: "UNAVAILABLE",
  EGRESS_UNAVAILABLE: "UNAVAILABLE",
};

/** What a request through a proxy can answer beside its response. */
export const PROXY_ERRORS = [
  "INVALID_REQUEST",
  "EGRESS_ADDRESS_REFUSED",
  "EGRESS_TARGET_REFUSED",
  "EGRESS_RESPONSE_INVALID",
  "EGRESS_RESPONSE_TOO_LARGE",
  "EGRESS_TIMEOUT",
  "EGRESS_TOO_MANY_REDIRECTS",
  "EGRESS_BUSY",
  "EGRESS_UNREACHABLE",
  "EGRESS_TLS_FAILED",
  "EGRESS_PROXY_UNAVAILABLE",
  "UNAVAILABLE",
] as const satisfies readonly ErrorCode[];

/** A failure as a client is told of it; what is none stays as it is. */
export function toldAs(error: unknown): unknown {
  if (!(error instanceof EgressFailure)) return error;
  const code = CODES[error.code] ?? error.code as ErrorCode;
  const retryAfter = code === "EGRESS_BUSY" ? 1 : code === "EGRESS_PROXY_UNAVAILABLE" ? 5 : undefined;
  return new GatewayError(code, error.message, {
    // Other causes tell where the request was to go, which is in no log.
    ...(ERROR_STATUS[code] === 503 && { cause: error.cause }),
    ...(retryAfter !== undefined && { retryAfter }),
  });
}
