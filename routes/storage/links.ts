import { z } from "zod";
import { rfc3339 } from "../../src/http/formats.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FOUND_ERRORS } from "./errors.ts";
import { cid, span } from "./fields.ts";

const HOUR = 3_600_000;

export const makeLink = defineRoute({
  method: "POST",
  path: "/v1/storage/links",
  summary: "Make a link that anybody may read an object by",
  description: "Until it expires, or the namespace has the object no more. It cannot be taken back by itself.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  body: z.object({
    cid,
    expires_in: span.nullish().transform((life) => life ?? HOUR)
      .describe("How long it is good: a duration as Go writes it, such as `30m` or `24h`. Default: `1h`."),
  }),
  output: z.object({
    cid: z.string(),
    path: z.string().describe("The address, without the host: `/ipfs/<cid>?token=…`."),
    token: z.string(),
    expires_at: z.string(),
  }),
  errors: FOUND_ERRORS,
  async handle(call, { storage }) {
    const { cid, token, expiresAt } = await storage.link(call.principal, call.body.cid, call.body.expires_in, call);
    const path = `/ipfs/${encodeURIComponent(cid)}?token=${encodeURIComponent(token)}`;
    return json(200, { cid, path, token, expires_at: rfc3339(expiresAt) }, NO_STORE);
  },
});
