import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

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
  handle: ({ principal }) => ok(principal.describe),
});
