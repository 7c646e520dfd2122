import { z } from "zod";
import { defineRoute } from "../../src/http/route.ts";
import { anyJson, encodingFields, valueMembers } from "./entry_json.ts";
import { STORE_ERRORS } from "./errors.ts";
import { address, lifeOf, ttl, value } from "./fields.ts";
import { after } from "./maybe.ts";
import { valueText } from "./put.ts";

export const swap = defineRoute({
  method: "POST",
  path: "/v1/cache/getset",
  summary: "Store a value and get the one before",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({ ...address, value, ttl }),
  output: z.object({
    key: z.string(),
    dmap: z.string(),
    value: anyJson.describe("What was there before; `null` where nothing was."),
    ...encodingFields,
    existed: z.boolean(),
  }),
  errors: STORE_ERRORS,
  handle(call, { cache }) {
    const { dmap: map, key, value, ttl } = call.body;
    const json = valueText(call, value);
    return after(cache.swap(call.principal.namespace, { map, key }, { json }, lifeOf(ttl), call), (before) => {
      const members = before === undefined ? '"value":null' : valueMembers(before.value);
      const names = `"key":${JSON.stringify(key)},"dmap":${JSON.stringify(map)}`;
      return { status: 200, body: `{${names},${members},"existed":${before !== undefined}}` };
    });
  },
});
