import { z } from "zod";
import type { CacheEntry } from "../../src/contracts/cache.ts";
import { defineRoute } from "../../src/http/route.ts";
import { entryFields, entryMembers, notFound } from "./entry_json.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { address } from "./fields.ts";
import { after } from "./maybe.ts";

export const get = defineRoute({
  method: "POST",
  path: "/v1/cache/get",
  summary: "Read one value",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:read" },
  body: z.object(address),
  output: z.object({ key: z.string(), dmap: z.string(), ...entryFields }),
  errors: ["NOT_FOUND", ...CACHE_ERRORS],
  handle(call, { cache }) {
    const { dmap: map, key } = call.body;
    const found = cache.get(call.principal.namespace, { map, key }, call);
    return after(found, (entry) => ({ status: 200, body: textOf(map, key, entry) }));
  },
});

function textOf(map: string, key: string, entry: CacheEntry | undefined): string {
  if (entry === undefined) throw notFound();
  return `{"key":${JSON.stringify(key)},${entryMembers(entry)},"dmap":${JSON.stringify(map)}}`;
}
