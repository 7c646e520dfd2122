import type { CacheEntry, CacheValue } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { StreamedBody } from "../../src/http/streaming_body.ts";
import { etagOf } from "./conditions.ts";
import { assertHeld } from "./json_source.ts";

// A media type with parameters (RFC 9110, 8.3.1), in characters that a header of an answer can hold.
const TOKEN = "[\\w!#$%&'+.^`|~-]+";
const PARAMETER = `${TOKEN}=(?:${TOKEN}|"[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e]*")`;
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}[ \\t]*(?:;[ \\t]*(?:${PARAMETER}[ \\t]*)?)*$`);
/** As long as the drivers have room for. */
const MAX_TYPE = 255;
const UNNAMED = "application/octet-stream";
const JSON_TYPE = "application/json";

/** What browsers show without running anything that is in it. All else they are told to save. */
const HARMLESS =
  /^(?:application\/(?:json|octet-stream)|text\/plain|image\/(?:png|jpeg|gif|webp|avif)|(?:audio|video)\/[\w.+-]+)\s*(?:;|$)/i;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The media type that a request gives to its body.
 * @throws GatewayError `INVALID_REQUEST`
 */
export function mediaTypeOf(headers: Headers): string {
  const type = headers.get("content-type")?.trim() || UNNAMED;
  if (type.length <= MAX_TYPE && MEDIA_TYPE.test(type)) return type;
  const field = "Content-Type", problem = `must be a media type such as image/png, of ${MAX_TYPE} characters at most`;
  throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}

/**
 * What a body comes to: JSON where it says so, else bytes with their type.
 * @throws GatewayError `INVALID_JSON`, `INVALID_REQUEST`
 */
export function valueOf(bytes: Uint8Array<ArrayBuffer>, type: string, body: StreamedBody): CacheValue {
  if (body.mediaType !== JSON_TYPE) return { bytes, type };
  const value = body.parse(bytes);
  const field = "body";
  if (value === null) {
    const details = [{ field, problem: "is null, which is no value" }];
    throw new GatewayError("INVALID_REQUEST", "value is required", { details });
  }
  const json = utf8.decode(bytes);
  assertHeld(json, value, field);
  return { json };
}

/** The body that gives a value back as it came. */
export const bodyOf = (value: CacheValue): string | Uint8Array<ArrayBuffer> =>
  "json" in value ? value.json : value.bytes;

/** Headers of an answer that is, or names, an entry. Who may read it hangs on the credential, which a browser's cache does not ask for. */
export function entryHeaders({ version, expiresAt }: CacheEntry, now: number): Record<string, string> {
  const kept = expiresAt === undefined ? "no-cache" : `max-age=${Math.max(0, Math.floor((expiresAt - now) / 1000))}`;
  return {
    etag: etagOf(version),
    // Were it compressed on its way, its tag would become a weak one, by which nothing can be changed.
    "cache-control": `private, ${kept}, no-transform`,
    vary: "Authorization, X-API-Key",
  };
}

/** Headers that say what the body is, so that a browser runs nothing of it as if it were a page of this gateway. */
export function contentHeaders(value: CacheValue): Record<string, string> {
  const type = "json" in value ? JSON_TYPE : value.type;
  return {
    "content-type": type,
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    ...(!HARMLESS.test(type) && { "content-disposition": "attachment" }),
  };
}
