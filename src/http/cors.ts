/** Which browsers' pages may call. */
export interface CorsOptions {
  /** Origins (`https://app.example`), or `*` for all. Credentials are headers here, never cookies, so `*` gives nothing away. */
  readonly origins: readonly string[];
}

const METHODS = "GET, PUT, POST, DELETE, OPTIONS, PATCH, HEAD";
const ALLOWED_HEADERS =
  "Content-Type, Authorization, X-API-Key, X-Request-ID, Traceparent, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Range, If-Range, " +
  "Tus-Resumable, Upload-Length, Upload-Defer-Length, Upload-Offset, Upload-Metadata, Upload-Checksum, X-HTTP-Method-Override, " +
  "X-Target-URL, X-Target-Method, X-Target-Headers";
const EXPOSED_HEADERS =
  "X-Request-ID, RateLimit, RateLimit-Policy, Retry-After, Allow, WWW-Authenticate, Location, ETag, Content-Disposition, Content-Length, Content-Range, Accept-Ranges, X-Ipfs-Path, X-Ipfs-Roots, Orama-Read-Level, X-Duration-Ms, " +
  "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Length, Upload-Defer-Length, " +
  "Upload-Offset, Upload-Metadata, Upload-Expires, Upload-Cid, X-Target-Status, X-Target-Headers";

/** Adds the headers for a request's origin to those of its answer. */
export type OriginHeaders = (request: Request, headers: Record<string, string>) => void;

/** Headers that an answer needs for the browser page it goes to (Fetch standard, CORS protocol). */
export function corsHeaders({ origins }: CorsOptions): OriginHeaders {
  if (origins.includes("*")) {
    return (request, headers) => {
      headers["access-control-allow-origin"] = "*";
      // What a page may read is of use to browsers alone, and they always name their origin.
      if (request.headers.has("origin")) headers["access-control-expose-headers"] = EXPOSED_HEADERS;
    };
  }
  const allowed = new Set(origins);
  return (request, headers) => {
    headers["vary"] = "Origin";
    const origin = request.headers.get("origin");
    if (origin === null || !allowed.has(origin)) return;
    headers["access-control-allow-origin"] = origin;
    headers["access-control-expose-headers"] = EXPOSED_HEADERS;
  };
}

/**
 * Answers `OPTIONS` on any path, before credentials are looked at: 204 without a body.
 * @param more headers that are told on this path
 */
export function preflight(
  originHeaders: OriginHeaders,
  request: Request,
  more?: Readonly<Record<string, string>>,
): Response {
  const headers: Record<string, string> = {
    ...more,
    "access-control-allow-methods": METHODS,
    "access-control-allow-headers": ALLOWED_HEADERS,
    "access-control-max-age": "600",
  };
  originHeaders(request, headers);
  return new Response(null, { status: 204, headers });
}
