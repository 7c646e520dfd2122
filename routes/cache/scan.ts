import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CACHE_ERRORS } from "./errors.ts";
import { dmap } from "./fields.ts";

/** Keys of an answer that is not asked for in pages. */
const CEILING = 100_000;
/** Milliseconds of looking after which others get their turn. */
const SLICE = 10;

const pattern = z.string().max(1_000).nullish();

export const scan = defineRoute({
  method: "POST",
  path: "/v1/cache/scan",
  summary: "List the keys of a map",
  description:
    `All of them, in no order, up to ${CEILING}; with \`limit\` or \`cursor\`, a page. Where the answer has a \`cursor\`, ` +
    "there are more: ask again with it. A key that is there from the first page to the last is in one of them; it may be in two.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:read" },
  body: z.object({
    dmap,
    match: pattern.describe("A regular expression (RE2) that is found anywhere in the key. Without it: every key."),
    pattern: pattern.describe("Another name for `match`, which wins."),
    cursor: z.string().max(4_096).nullish().describe("Where the page before ended."),
    limit: z.int().min(1).nullish().describe("Keys in one page; no more than the limit of the namespace."),
  }),
  output: z.object({
    keys: z.array(z.string()),
    count: z.int(),
    dmap: z.string(),
    cursor: z.string().optional().describe("Where the next page begins; absent where there is none."),
  }),
  errors: CACHE_ERRORS,
  async handle(call, { cache }) {
    const { dmap: map, match, pattern, limit } = call.body;
    const page = (cursor: string | undefined, most = limit ?? undefined) =>
      cache.scan(call.principal.namespace, map, {
        match: match ?? pattern ?? undefined,
        cursor,
        limit: most,
      }, call);
    let { keys, cursor } = await page(call.body.cursor ?? undefined);
    if (typeof limit !== "number" && typeof call.body.cursor !== "string" && cursor !== undefined) {
      const all = new Set(keys);
      let turn = performance.now();
      while (cursor !== undefined && all.size < CEILING) {
        if (performance.now() - turn > SLICE) {
          await new Promise((resolve) => setTimeout(resolve, 0));
          call.signal.throwIfAborted();
          turn = performance.now();
        }
        const more = await page(cursor, CEILING - all.size);
        for (const key of more.keys) all.add(key);
        cursor = more.cursor;
      }
      keys = [...all];
    }
    return ok({ keys, count: keys.length, dmap: map, cursor });
  },
});
