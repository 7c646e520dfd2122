import { z } from "zod";
import type { CacheEntry } from "../../src/contracts/cache.ts";
import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import { json, type Reply } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { etagOf, Preconditions } from "./conditions.ts";
import { done, notFound } from "./entry_json.ts";
import { CACHE_ERRORS, CONDITIONAL_ERRORS } from "./errors.ts";
import { lifeOf, ttlInQuery } from "./fields.ts";
import { after } from "./maybe.ts";
import { addressIn, nameInPath } from "./path.ts";
import { bodyOf, contentHeaders, entryHeaders, mediaTypeOf, valueOf } from "./raw_media.ts";

const path = "/v1/cache/:dmap/:key";
const params = z.object({ dmap: nameInPath, key: nameInPath });
/** What decides a write is read where it is kept. */
const CURRENT = { current: true };
const binary = z.string().meta({ format: "binary", description: "Bytes of any kind." });

export const getRaw = defineRoute({
  method: "GET",
  path,
  summary: "Read one value as it was stored",
  description:
    "With the media type that it was stored with; what was stored as JSON is `application/json`. A key that is `.` or `..` is " +
    "out of reach for most clients here, even percent-encoded: use `POST /v1/cache/get`.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:read" },
  params,
  produces: ANY_TYPE,
  output: binary,
  headers: ["Cache-Control", "Content-Disposition"],
  revalidates: true,
  conditional: true,
  errors: ["NOT_FOUND", "PRECONDITION_FAILED", ...CACHE_ERRORS],
  handle(call, { cache }) {
    const at = addressIn(call);
    const expected = new Preconditions(call.incoming);
    // Whoever names a version has just written it, perhaps through another gateway.
    const options = call.incoming.has("if-match") ? CURRENT : undefined;
    return after(cache.get(call.principal.namespace, at, call, options), (entry) => replyOf(entry, expected));
  },
});

function replyOf(entry: CacheEntry | undefined, expected: Preconditions): Reply {
  if (entry === undefined) throw notFound();
  const { value } = entry;
  const headers = { ...contentHeaders(value), ...entryHeaders(entry, Date.now()) };
  return expected.isKnown(entry) ? { status: 304, body: null, headers } : { status: 200, body: bodyOf(value), headers };
}

export const putRaw = defineRoute({
  method: "PUT",
  path,
  summary: "Store one value as it comes",
  description:
    "Bytes of any media type; what is `application/json` is stored as JSON, as `POST /v1/cache/put` does. The answer has an " +
    "`ETag` where the request has a condition, or `versioned=true`.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  params,
  query: z.object({
    ttl: ttlInQuery,
    versioned: z.enum(["true", "false"]).optional().describe("Whether the answer tells the version, as `ETag` too."),
  }),
  // The limit is the namespace's: it is held when the body is read.
  rawBody: { types: { [ANY_TYPE]: binary }, maxBytes: Infinity },
  output: z.object({ ...done, version: z.string().optional() }),
  headers: ["ETag"],
  conditional: true,
  errors: ["INVALID_JSON", ...CONDITIONAL_ERRORS],
  async handle(call, { cache, settings }) {
    const at = addressIn(call);
    const { namespace } = call.principal;
    const expected = new Preconditions(call.incoming);
    const type = mediaTypeOf(call.incoming);
    const { ttl, versioned } = call.query;
    const { cache: { maxValueBytes } } = await settings.rulesOf(namespace, call);
    const value = valueOf(await call.upload.bytes(maxValueBytes).catch(limitNamed(maxValueBytes)), type, call.upload);
    const condition = await expected.condition(() => cache.get(namespace, at, call, CURRENT));
    const options = { ttl: lifeOf(ttl), condition, versioned: versioned === "true" || condition !== undefined };
    const { version } = await cache.put(namespace, at, value, options, call);
    const answer = { status: "ok", key: at.key, dmap: at.map, version };
    return json(200, answer, version === undefined ? {} : { etag: etagOf(version) });
  },
});

/** Says of a body that is too long whose limit it is beyond. */
const limitNamed = (bytes: number) => (error: unknown): never => {
  if (!hasCode(error, "BODY_TOO_LARGE")) throw error;
  const sentence = `value: has more than ${bytes} bytes, which is the limit of this namespace`;
  throw new GatewayError("BODY_TOO_LARGE", sentence, { ...error.extra, details: { field: "value", limit: bytes } });
};

export const deleteRaw = defineRoute({
  method: "DELETE",
  path,
  summary: "Delete one value by its address",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  params,
  output: z.object(done),
  conditional: true,
  errors: ["NOT_FOUND", "PRECONDITION_FAILED", ...CACHE_ERRORS],
  async handle(call, { cache }) {
    const at = addressIn(call);
    const { namespace } = call.principal;
    const current = () => cache.get(namespace, at, call, CURRENT);
    const condition = await new Preconditions(call.incoming).condition(current);
    if (condition === "absent") throw await nothingMayBe(current());
    const version = typeof condition === "object" ? condition.version : undefined;
    if (!await cache.delete(namespace, at, version, call)) throw notFound();
    return json(200, { status: "ok", key: at.key, dmap: at.map });
  },
});

/** A delete of what must not be there: either way nothing is deleted. */
const nothingMayBe = async (current: ReturnType<Parameters<Preconditions["condition"]>[0]>) =>
  await current === undefined
    ? notFound()
    : new GatewayError("PRECONDITION_FAILED", "something is there, and the request expects nothing");
