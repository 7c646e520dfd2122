import { z } from "zod";
import type { Call } from "../../src/http/call.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { check } from "../../src/http/problems.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { PIN_ERRORS } from "./errors.ts";
import { MAX_NAME, pinStatus, pinStatusJson, STATUSES } from "./fields.ts";

/** Milliseconds since 1970, with fractions: clients repeat a moment as exactly as they have it. */
const moment = z.iso.datetime({ offset: true }).transform((text) => {
  const [, fraction = ""] = /\.(\d+)/.exec(text) ?? [];
  const whole = Date.parse(text.replace(/\.\d+/, ""));
  return whole + Number(`0.${fraction || 0}`) * 1_000;
}).optional();

const lists = z.object({
  cid: z.array(z.string().min(1).max(1_000)).max(10),
  status: z.array(z.enum(STATUSES)),
});

export const listPins = defineRoute({
  method: "GET",
  path: "/v1/pins",
  summary: "List pin requests",
  description:
    "The newest that fit. For more, repeat with `before`: `created` of the last one. `count` counts all that fit. What the " +
    "engine says of each is told by asking for it alone: here `pinned` says that the content is there, and that the engine " +
    "knows that it is to be kept.",
  tag: "Pinning",
  access: { kind: "namespace", scope: "storage:read" },
  query: z.object({
    cid: z.string().optional().describe("Any of these CIDs, at most 10, with commas between them."),
    name: z.string().max(MAX_NAME).optional(),
    match: z.enum(["exact", "iexact", "partial", "ipartial"]).default("exact")
      .describe("How names are compared. `i…`: letters of ASCII in either case; `partial`: anywhere in the name."),
    status: z.string().optional()
      .describe("Any of `queued`, `pinning`, `pinned`, `failed`, with commas between them. Default: `pinned`."),
    before: moment.describe("Only those made before; RFC 3339."),
    after: moment.describe("Only those made after; RFC 3339."),
    limit: z.coerce.number().int().min(1).max(1000).default(10).describe("How many at most."),
    meta: z.string().optional().describe('Only those with all of these notes, at most 5: `{"app": "x"}`.'),
  }),
  output: z.object({
    count: z.int().describe("Of all that fit."),
    results: z.array(pinStatus),
  }),
  errorForm: "pinning",
  errors: PIN_ERRORS,
  async handle(call, { pinRequests }) {
    const { name, match, before, after, limit, meta } = call.query;
    const { cid, status } = check(lists, { cid: valuesOf(call, "cid"), status: valuesOf(call, "status") });
    const { requests, total } = await pinRequests.list(call.principal.namespace, {
      limit,
      cids: cid,
      ...(name !== undefined && name !== "" && { name }),
      match,
      ...(status.length > 0 && { statuses: status }),
      before,
      after,
      ...(meta !== undefined && { meta: notesOf(meta) }),
    }, call);
    return ok({ count: total, results: requests.map(pinStatusJson) });
  },
});

/** All values of a parameter. Clients write `a=1,2` or `a=1&a=2`: the specification has had both. */
function valuesOf({ http }: Call, name: string): readonly string[] {
  const { url } = http.req.raw, start = url.indexOf("?");
  const query = new URLSearchParams(start < 0 ? "" : url.slice(start + 1));
  return [...new Set(query.getAll(name).flatMap((value) => value.split(",")))];
}

const notes = z.object({ meta: z.record(z.string(), z.string()) });

function notesOf(text: string): Readonly<Record<string, string>> {
  try {
    return check(notes, { meta: JSON.parse(text) }).meta;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const problem = 'must be a JSON object of texts, such as {"app":"x"}';
    throw new GatewayError("INVALID_REQUEST", `meta: ${problem}`, {
      details: [{ field: "meta", problem }],
      cause: error,
    });
  }
}
