import { z } from "zod";
import { defineRoute } from "../../src/http/route.ts";
import { done, doneReply, notFound } from "./entry_json.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { address } from "./fields.ts";
import { after } from "./maybe.ts";
import { ifVersion } from "./put.ts";

export const deleteEntry = defineRoute({
  method: "POST",
  path: "/v1/cache/delete",
  summary: "Delete one value",
  description: "404 where nothing was there; with `if_version`, 412 where another version is.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ ...address, if_version: ifVersion.describe("Only if this version is there.") }),
  output: z.object(done),
  errors: ["NOT_FOUND", "PRECONDITION_FAILED", ...CACHE_ERRORS],
  handle(call, { cache }) {
    const { dmap: map, key, if_version: version } = call.body;
    return after(cache.delete(call.principal.namespace, { map, key }, version ?? undefined, call), (existed) => {
      if (!existed) throw notFound();
      return doneReply(map, key);
    });
  },
});
