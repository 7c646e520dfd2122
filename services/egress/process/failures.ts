import { HopFailure } from "../parts.ts";

const text = (error: unknown, member: "code" | "name" | "message"): string => {
  const value: unknown = typeof error === "object" && error !== null && member in error
    ? (error as Readonly<Record<string, unknown>>)[member]
    : "";
  return typeof value === "string" ? value : "";
};

/** The short name of an error of the system, such as `ECONNREFUSED`; empty for others. */
export const codeOf = (error: unknown): string => text(error, "code");

/** Whether the process's own rights forbid it. */
export const isForbidden = (error: unknown): boolean =>
  /^(NotCapable|PermissionDenied)$/.test(text(error, "name")) ||
  /^(EACCES|EPERM|ERR_ACCESS_DENIED)$/.test(codeOf(error));

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "The server refuses connections.",
  ECONNRESET: "The server ended the connection at once.",
  EHOSTUNREACH: "The server cannot be reached.",
  ENETUNREACH: "No network leads to the server.",
};

/** Why there is no connection to a server's address. */
export function ofConnecting(error: unknown): HopFailure {
  if (error instanceof HopFailure) return error;
  if (isForbidden(error)) return refusedAddress(error);
  if (codeOf(error) === "ETIMEDOUT") return connectTimeout(error);
  return new HopFailure("EGRESS_UNREACHABLE", UNREACHABLE[codeOf(error)] ?? "The server cannot be reached.", error);
}

/** The address is none that this process connects to. */
export const refusedAddress = (cause?: unknown): HopFailure =>
  new HopFailure("EGRESS_ADDRESS_REFUSED", "The address is none that requests may be sent to.", cause);

/** The connection did not stand in time. */
export const connectTimeout = (cause?: unknown): HopFailure =>
  new HopFailure("EGRESS_TIMEOUT", "The connection to the server did not stand in time.", cause);

/** The proxy itself is at fault. */
export const proxyFailed = (what: string, cause?: unknown): HopFailure =>
  new HopFailure("EGRESS_PROXY_UNAVAILABLE", `The anonymous proxy ${what}.`, cause);

/** Why there is no TLS with a server. */
export function ofTls(error: unknown): HopFailure {
  if (error instanceof HopFailure) return error;
  const code = codeOf(error);
  const sentence = code === "ERR_TLS_CERT_ALTNAME_INVALID"
    ? "The server's certificate is for another name."
    : /^(UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|CERT_)/.test(code)
    ? "The server's certificate has expired, or nobody that is trusted signed it."
    : code === "ECONNRESET"
    ? "The server ended the connection before TLS was agreed upon."
    : "No TLS could be agreed upon with the server.";
  return new HopFailure("EGRESS_TLS_FAILED", sentence, error);
}

/** What came back is no response, or none that is whole. */
export function ofResponse(error: unknown, begun: boolean): HopFailure {
  if (error instanceof HopFailure) return error;
  const code = codeOf(error);
  const sentence = code === "HPE_HEADER_OVERFLOW"
    ? "The headers of the server's response are too long."
    : code.startsWith("HPE_")
    ? "What the server sent is no HTTP."
    : begun
    ? "The server ended the connection before the end of its response."
    : "The server ended the connection without a response.";
  return new HopFailure("EGRESS_RESPONSE_INVALID", sentence, error);
}

/** A response that is whole, but none that can be handed on. @param what completes the sentence "The server's response …" */
export const invalidResponse = (what: string): HopFailure =>
  new HopFailure("EGRESS_RESPONSE_INVALID", `The server's response ${what}.`);
