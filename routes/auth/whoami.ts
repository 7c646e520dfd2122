import { z } from "zod";
import type { Principal } from "../../src/contracts/identity.ts";
import { ok, type Reply } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

const answers = new WeakMap<Principal, Reply>();

/** A principal is remembered as long as its credential, so its description need not be written twice. */
function answerTo(principal: Principal): Reply {
  let reply = answers.get(principal);
  if (!reply) answers.set(principal, reply = ok(principal.describe));
  return reply;
}

export const whoami = defineRoute({
  method: "GET",
  path: "/v1/auth/whoami",
  summary: "Tell who is calling",
  description: "Times are Unix seconds. A key is shown in part only.",
  tag: "Sign-in",
  access: { kind: "authenticated" },
  output: z.looseObject({
    authenticated: z.literal(true),
    method: z.enum(["jwt", "api_key"]),
    namespace: z.string(),
    scopes: z.array(z.string()),
  }),
  handle: ({ principal }) => answerTo(principal),
});
