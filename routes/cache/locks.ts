import { z } from "zod";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { done, doneReply } from "./entry_json.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { address, lease, wait } from "./fields.ts";

const token = z.string().regex(/^[0-9a-f]{32}$/, "must be the token that the lock was taken with").describe(
  "What the answer to `lock` had.",
);
const expiresAt = z.string().describe("When it is free again unless it is renewed (RFC 3339).");

export const lock = defineRoute({
  method: "POST",
  path: "/v1/cache/lock",
  summary: "Take a lock",
  description:
    "A lock is no entry: one of the same map and key is another thing. Those who wait on one gateway get it in the order in " +
    "which they came. `fencing` is larger than those of all holders before: let what the lock protects refuse smaller ones, " +
    "because a holder may not notice that its time is over.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ ...address, lease, wait }),
  output: z.object({ token: z.string(), fencing: z.int(), expires_at: expiresAt }),
  errors: ["LOCKED", "TOO_MANY_WAITERS", ...CACHE_ERRORS],
  async handle(call, { cache }) {
    const { dmap: map, key, lease, wait } = call.body;
    const held = await cache.lock(call.principal.namespace, { map, key }, { lease, wait }, call);
    return ok({ token: held.token, fencing: held.fencing, expires_at: rfc3339(held.expiresAt) });
  },
});

export const renew = defineRoute({
  method: "POST",
  path: "/v1/cache/renew",
  summary: "Hold a lock for longer",
  description:
    "For `lease` from now, also where that is sooner than before. 409 `LOCK_LOST` for who does not hold it any more.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ ...address, token, lease }),
  output: z.object({ expires_at: expiresAt }),
  errors: ["LOCK_LOST", ...CACHE_ERRORS],
  async handle(call, { cache }) {
    const { dmap: map, key, token, lease } = call.body;
    const { expiresAt } = await cache.renew(call.principal.namespace, { map, key }, token, lease, call);
    return ok({ expires_at: rfc3339(expiresAt) });
  },
});

export const unlock = defineRoute({
  method: "POST",
  path: "/v1/cache/unlock",
  summary: "Free a lock",
  description: "409 `LOCK_LOST` for who does not hold it any more: somebody else may, and keeps it.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ ...address, token }),
  output: z.object(done),
  errors: ["LOCK_LOST", ...CACHE_ERRORS],
  async handle(call, { cache }) {
    const { dmap: map, key, token } = call.body;
    await cache.unlock(call.principal.namespace, { map, key }, token, call);
    return doneReply(map, key);
  },
});
