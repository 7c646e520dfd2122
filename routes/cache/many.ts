import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { assertHeld, JsonSource } from "../../src/http/json_source.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { entryFields, entryMembers } from "./entry_json.ts";
import { CACHE_ERRORS, STORE_ERRORS } from "./errors.ts";
import { dmap, entries, keys, lifeOf, ttl } from "./fields.ts";
import { after } from "./maybe.ts";

/** Keys that are read at once: what they hold is in memory together. */
const AT_ONCE = 200;
/** Characters of one answer. */
const MAX_ANSWER = 64 * 2 ** 20;

export const getMany = defineRoute({
  method: "POST",
  path: "/v1/cache/mget",
  summary: "Read several values of one map",
  description: "In the order in which they were asked for; those that are not there are left out.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:read" },
  body: z.object({ dmap, keys }),
  output: z.object({ results: z.array(z.object({ key: z.string(), ...entryFields })), dmap: z.string() }),
  errors: ["RESULT_TOO_LARGE", ...CACHE_ERRORS],
  async handle(call, { cache }) {
    const { dmap: map, keys } = call.body;
    let results = "";
    for (let from = 0; from < keys.length; from += AT_ONCE) {
      const some = keys.slice(from, from + AT_ONCE);
      const found = await cache.getMany(call.principal.namespace, map, some, call);
      for (const [i, entry] of found.entries()) {
        if (entry === undefined) continue;
        results += `${results && ","}{"key":${JSON.stringify(some[i])},${entryMembers(entry)}}`;
        if (results.length > MAX_ANSWER) {
          throw new GatewayError(
            "RESULT_TOO_LARGE",
            `the values have more than ${MAX_ANSWER} characters; ask for fewer`,
          );
        }
      }
    }
    return { status: 200, body: `{"results":[${results}],"dmap":${JSON.stringify(map)}}` };
  },
});

export const putMany = defineRoute({
  method: "POST",
  path: "/v1/cache/mput",
  summary: "Store several values in one map",
  description: "Each by itself: after an error, some may have been stored.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ dmap, entries: entries.describe("Of several with one key, the last one stays."), ttl }),
  output: z.object({ status: z.literal("ok"), count: z.int(), dmap: z.string() }),
  errors: STORE_ERRORS,
  handle(call, { cache }) {
    const { dmap: map, entries, ttl } = call.body;
    const body = new JsonSource(call.source);
    // Drivers may write them in any order.
    const values = new Map(
      body.items(body.member(body.start, "entries")!).map((at, i) => {
        const { key, value } = entries[i]!;
        const json = body.text(body.member(at, "value")!);
        assertHeld(json, value, `entries.${i}.value`);
        return [key, { json }];
      }),
    );
    const given = Array.from(values, ([key, value]) => ({ key, value }));
    const written = cache.putMany(call.principal.namespace, map, given, lifeOf(ttl), call);
    return after(written, () => ok({ status: "ok", count: given.length, dmap: map }));
  },
});

export const deleteMany = defineRoute({
  method: "POST",
  path: "/v1/cache/mdelete",
  summary: "Delete several values of one map",
  description: "Each by itself: after an error, some may have been deleted. `deleted` is how many were there.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ dmap, keys }),
  output: z.object({ deleted: z.int(), dmap: z.string() }),
  errors: CACHE_ERRORS,
  handle(call, { cache }) {
    const { dmap: map, keys } = call.body;
    return after(
      cache.deleteMany(call.principal.namespace, map, onceEach(keys), call),
      (deleted) => ok({ deleted, dmap: map }),
    );
  },
});

export const touch = defineRoute({
  method: "POST",
  path: "/v1/cache/touch",
  summary: "Count several values of one map as used",
  description:
    "As reading them would, without their values: what is unused for longest makes room first. Times to live stay as they " +
    "are. `touched` is how many are there.",
  tag: "Cache",
  // Whoever may read could do the same by reading.
  access: { kind: "namespace", scope: "cache:read" },
  body: z.object({ dmap, keys }),
  output: z.object({ touched: z.int(), dmap: z.string() }),
  errors: CACHE_ERRORS,
  handle(call, { cache }) {
    const { dmap: map, keys } = call.body;
    return after(
      cache.touch(call.principal.namespace, map, onceEach(keys), call),
      (touched) => ok({ touched, dmap: map }),
    );
  },
});

/** What is asked for twice is there once. */
const onceEach = (keys: readonly string[]) => [...new Set(keys)];
