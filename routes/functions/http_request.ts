import type { RouteMatch } from "../../src/contracts/function_triggers.ts";
import type { Call } from "../../src/http/call.ts";
import { queryOf } from "../../src/http/query.ts";

/**
 * Headers that no function sees. Credentials are the gateway's: whoever wrote the function could act with them as its caller. Cookies
 * belong to whatever else has this origin. The others are about one connection (RFC 9110, 7.6.1), or those before it.
 */
const HIDDEN: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "x-api-key",
  "cookie",
  "x-wallet",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "forwarded",
  "x-forwarded-for",
  "x-real-ip",
]);

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a function reads of a request to one of its routes: JSON. */
export function httpInput(
  call: Pick<Call, "incoming" | "http" | "method">,
  { params }: Pick<RouteMatch, "params">,
  path: string,
  body: Uint8Array,
): Uint8Array {
  const headers = Object.fromEntries([...call.incoming].filter(([name]) => !HIDDEN.has(name)));
  const query = queryOf(call.http.req.raw.url);
  return encoder.encode(JSON.stringify({ method: call.method, path, params, query, headers, ...bodyOf(body) }));
}

function bodyOf(body: Uint8Array): { readonly body: string } | { readonly body_base64: string } {
  try {
    return { body: strict.decode(body) };
  } catch {
    return { body_base64: body.toBase64() };
  }
}
