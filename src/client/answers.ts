import { errorOfBody, invalidResponse, OramaError } from "./errors.ts";
import { parseJson } from "./json.ts";
import { retryAfterSeconds } from "./retry.ts";

/** The body's text; that of an error status that breaks off is as good as none. */
export async function textOf(response: Response): Promise<string> {
  try {
    return await response.text();
  } catch (cause) {
    if (!response.ok) return "";
    throw cause;
  }
}

/** The JSON of an answer. @throws OramaError `INVALID_RESPONSE` */
export function parseBody(text: string, status: number): unknown {
  try {
    return parseJson(text);
  } catch {
    const form = /^\s*</.test(text) ? "HTML" : "no JSON, or JSON that breaks off";
    throw invalidResponse(`status ${status} with ${form}`, { status });
  }
}

/** Refuses an answer that sends the caller elsewhere, which a 304 does not. @throws OramaError `INVALID_RESPONSE` */
export async function checkRedirect({ status, type, headers, body }: Response): Promise<void> {
  if (type !== "opaqueredirect" && (status < 300 || status > 399 || status === 304)) return;
  await body?.cancel();
  const location = headers.get("location") ?? undefined;
  const to = location === undefined ? "" : ` to ${location}`;
  throw invalidResponse(`it redirects${to}. Credentials follow nowhere: set url to where the gateway is`, {
    status,
    details: { location },
  });
}

/** What an answer with an error status tells. */
export function errorOf({ status, headers }: Response, text: string): OramaError {
  const parts = {
    status,
    requestId: headers.get("x-request-id") ?? undefined,
    retryAfter: retryAfterSeconds(headers.get("retry-after"), Date.now()),
  };
  let body: unknown;
  try {
    body = parseJson(text);
  } catch {
    // Something before the gateway answered.
  }
  return errorOfBody(body, parts) ?? new OramaError(`status ${status}, not from a gateway`, {
    ...parts,
    code: `HTTP_${status}`,
  });
}
