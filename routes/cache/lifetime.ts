import { z } from "zod";
import { rfc3339OrNull } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { done, doneReply, endOf, notFound } from "./entry_json.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { address, lifeOf, requiredTtl } from "./fields.ts";
import { after } from "./maybe.ts";

export const expire = defineRoute({
  method: "POST",
  path: "/v1/cache/expire",
  summary: "Give a value another time to live",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ ...address, ttl: requiredTtl }),
  output: z.object(done),
  errors: ["NOT_FOUND", ...CACHE_ERRORS],
  handle(call, { cache }) {
    const { dmap: map, key, ttl } = call.body;
    return after(cache.expire(call.principal.namespace, { map, key }, lifeOf(ttl), call), (existed) => {
      if (!existed) throw notFound();
      return doneReply(map, key);
    });
  },
});

const CURRENT = { current: true };

export const timeToLive = defineRoute({
  method: "POST",
  path: "/v1/cache/ttl",
  summary: "Say how long a value still lives",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:read" },
  body: z.object(address),
  output: z.object({
    key: z.string(),
    dmap: z.string(),
    ttl_ms: z.int().nullable().describe("Milliseconds; `null`: until it is deleted or has to make room."),
    expires_at: z.string().nullable().describe("The same as a moment (RFC 3339)."),
  }),
  errors: ["NOT_FOUND", ...CACHE_ERRORS],
  handle(call, { cache }) {
    const { dmap: map, key } = call.body;
    return after(cache.get(call.principal.namespace, { map, key }, call, CURRENT), (entry) => {
      if (entry === undefined) throw notFound();
      const expiresAt = endOf(entry) ?? null;
      const rest = expiresAt === null ? null : Math.max(0, expiresAt - Date.now());
      return ok({ key, dmap: map, ttl_ms: rest, expires_at: rfc3339OrNull(expiresAt) });
    });
  },
});
