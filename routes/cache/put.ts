import { z } from "zod";
import type { CacheCondition } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Call } from "../../src/http/call.ts";
import { assertHeld, JsonSource } from "../../src/http/json_source.ts";
import { defineRoute } from "../../src/http/route.ts";
import { done, doneReply } from "./entry_json.ts";
import { CONDITIONAL_ERRORS } from "./errors.ts";
import { address, lifeOf, ttl, value } from "./fields.ts";
import { after } from "./maybe.ts";

const flag = z.boolean().nullish();

/** A version that an earlier answer told. */
export const ifVersion = z.string().min(1).max(255).nullish();

const body = z.object({
  ...address,
  value,
  ttl,
  nx: flag.describe("Only if nothing is there."),
  xx: flag.describe("Only if something is there."),
  if_version: ifVersion.describe("Only if this version is there."),
  versioned: flag.describe("Whether the answer tells the version. On Olric that costs two trips more."),
});

export const put = defineRoute({
  method: "POST",
  path: "/v1/cache/put",
  summary: "Store one value",
  description:
    "In place of what was there; its time to live is this one's alone. A condition that does not hold is 412, and nothing " +
    "is stored; at most one of `nx`, `xx` and `if_version` can be given.",
  tag: "Cache",
  access: { kind: "namespace", scope: "cache:write" },
  body,
  output: z.object({
    ...done,
    version: z.string().optional().describe("With `versioned` or `if_version`: what is there now."),
  }),
  errors: CONDITIONAL_ERRORS,
  handle(call, { cache }) {
    const { dmap: map, key, value, ttl, versioned } = call.body;
    const condition = conditionOf(call.body);
    const json = valueText(call, value);
    const options = { ttl: lifeOf(ttl), condition, versioned: versioned ?? undefined };
    const written = cache.put(call.principal.namespace, { map, key }, { json }, options, call);
    return after(written, ({ version }) => doneReply(map, key, version));
  },
});

/** The text of the member `value` of the body. @throws GatewayError for numbers that nobody could read back */
export function valueText({ source }: Pick<Call, "source">, value: unknown): string {
  const body = new JsonSource(source);
  const text = body.text(body.member(body.start, "value")!);
  assertHeld(text, value, "value");
  return text;
}

function conditionOf({ nx, xx, if_version: version }: z.output<typeof body>): CacheCondition | undefined {
  const given = [
    ...(nx ? [["nx", "absent"] as const] : []),
    ...(xx ? [["xx", "present"] as const] : []),
    ...(typeof version === "string" ? [["if_version", { version }] as const] : []),
  ];
  const [first, second] = given;
  if (first && second) {
    const [field] = second, problem = `cannot go with ${first[0]}: give only one of nx, xx and if_version`;
    throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
  }
  return first?.[1];
}
