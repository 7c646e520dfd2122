import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { address, lifeOf, ttl } from "./fields.ts";
import { after } from "./maybe.ts";

const BEYOND = "must be within ±9007199254740991, up to which whole numbers are exact";
const amount = z.number().refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value), BEYOND).nullish();

export const increment = defineRoute({
  method: "POST",
  path: "/v1/cache/incr",
  summary: "Add to a number",
  description:
    "One after another: of those who count at once, none is lost. 409 `WRONG_TYPE` where something else than a number is " +
    "there, or where the sum is beyond ±(2^53−1) or not finite; nothing changes then.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body: z.object({
    ...address,
    by: amount.describe("What is added. Default 1."),
    initial: amount.describe("What a number that is not there counts from. Default 0."),
    ttl: ttl.describe("How long a number lives that begins now, as in `put`. One that is there keeps its time."),
  }),
  output: z.object({ value: z.number(), key: z.string(), dmap: z.string() }),
  errors: ["WRONG_TYPE", "QUOTA_EXCEEDED", ...CACHE_ERRORS],
  handle(call, { cache }) {
    const { dmap: map, key, by, initial, ttl } = call.body;
    const options = { by: by ?? undefined, initial: initial ?? undefined, ttl: lifeOf(ttl) };
    const counted = cache.increment(call.principal.namespace, { map, key }, options, call);
    return after(counted, ({ value }) => ok({ value, key, dmap: map }));
  },
});
