/** The credentials that came with a request, by the order of the wire format. */
export interface Credentials {
  /** A compact JWS: two dots. */
  readonly token: string | undefined;
  /** Anything else: an API key, or what is taken for one. */
  readonly key: string | undefined;
}

const NONE: Credentials = { token: undefined, key: undefined };
const isJws = (text: string) => text.split(".", 4).length === 3;

/**
 * Finds the credentials of a request. A token in `Authorization` is tried first; then the first key of: `X-API-Key`,
 * `Authorization: Bearer`, `Authorization: ApiKey`, a bare `Authorization`, and, where no header has one (WebSockets of
 * browsers), the query's `api_key`, `token` and `jwt`; there, too, a value with two dots is a token.
 * @param url the request's URL, for its query; its host is never looked at
 */
export function credentialsOf(headers: Headers, url: string): Credentials {
  const authorization = headers.get("authorization");
  const apiKey = headers.get("x-api-key");
  let token: string | undefined;
  let key: string | undefined = apiKey?.trim() || undefined;
  if (authorization !== null) {
    const space = authorization.indexOf(" ");
    const scheme = space < 0 ? "" : authorization.slice(0, space).toLowerCase();
    const value = authorization.slice(space + 1).trim();
    if (scheme === "bearer" && isJws(value)) token = value;
    else if (key === undefined) {
      if (authorization.toLowerCase() === "bearer" || (scheme === "bearer" && value === "")) return NONE;
      if ((scheme === "bearer" || scheme === "apikey") || (scheme === "" && !isJws(value))) key = value || undefined;
    }
  }
  const query = url.indexOf("?");
  if (key !== undefined || query < 0) return { token, key };
  const found = fromQuery(new URLSearchParams(url.slice(query + 1)));
  return token === undefined ? found : { token, key: found.key };
}

function fromQuery(query: URLSearchParams): Credentials {
  const key = query.get("api_key")?.trim();
  if (key) return { token: undefined, key };
  const value = (query.get("token") || query.get("jwt"))?.trim();
  if (!value) return NONE;
  return isJws(value) ? { token: value, key: undefined } : { token: undefined, key: value };
}
