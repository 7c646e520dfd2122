import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { after } from "./maybe.ts";
import { mapIn, nameInPath } from "./path.ts";

export const listMaps = defineRoute({
  method: "GET",
  path: "/v1/cache",
  summary: "List the maps that hold something",
  description: "By name, with figures that are known without counting: what has expired may be among them.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:read" },
  output: z.object({
    maps: z.array(z.object({ name: z.string(), keys: z.int(), bytes: z.int().describe("Roughly.") })),
  }),
  errors: CACHE_ERRORS,
  handle: (call, { cache }) => after(cache.maps(call.principal.namespace, call), (maps) => ok({ maps })),
});

export const dropMap = defineRoute({
  method: "DELETE",
  path: "/v1/cache/:dmap",
  summary: "Delete all values of a map",
  description: "Its locks stay. A map that holds nothing is as good as dropped.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  params: z.object({ dmap: nameInPath }),
  output: z.object({ status: z.literal("ok"), dmap: z.string() }),
  errors: CACHE_ERRORS,
  handle(call, { cache }) {
    const map = mapIn(call);
    return after(cache.drop(call.principal.namespace, map, call), () => ok({ status: "ok", dmap: map }));
  },
});
