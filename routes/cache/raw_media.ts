import type { CacheEntry, CacheValue } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { foreignContent, isHarmless, isMediaType, TYPE_PROBLEM, UNNAMED_TYPE } from "../../src/http/content_headers.ts";
import { assertHeld } from "../../src/http/json_source.ts";
import type { StreamedBody } from "../../src/http/streaming_body.ts";
import { etagOf } from "./conditions.ts";

const JSON_TYPE = "application/json";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The media type that a request gives to its body.
 * @throws GatewayError `INVALID_REQUEST`
 */
export function mediaTypeOf(headers: Headers): string {
  const type = headers.get("content-type")?.trim() || UNNAMED_TYPE;
  if (isMediaType(type)) return type;
  const field = "Content-Type", problem = TYPE_PROBLEM;
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
  return { ...foreignContent(type), ...(!isHarmless(type) && { "content-disposition": "attachment" }) };
}
