import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { namespaceField, optional } from "./schemas.ts";

export const logout = defineRoute({
  method: "POST",
  path: "/v1/auth/logout",
  summary: "End a session, or all sessions of a wallet",
  description:
    "With `refresh_token`: the session it belongs to. With `all`: every session of the caller's wallet in the caller's " +
    "namespace. With neither: the caller's session. Access tokens of an ended session die on this gateway at once and on " +
    "the others within a second. An access token that was made from an API key has no session: it ends itself alone, as " +
    "fast, also with `all`; the key stays until it is revoked.",
  tag: "Sign-in",
  access: { kind: "public", identify: true },
  limit: "credentials",
  bodyOptional: true,
  body: z.object({
    refresh_token: optional(z.string().max(512)),
    namespace: optional(namespaceField).describe("Understood from older clients; the credential's namespace counts."),
    all: optional(z.boolean()),
  }),
  output: z.object({ status: z.literal("ok") }),
  errors: ["UNAUTHENTICATED", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { walletAuth }) {
    const { refresh_token, all = false } = call.body;
    if (refresh_token) await walletAuth.logout(refresh_token, call);
    else if (call.caller?.kind === "jwt") await walletAuth.logoutCaller(call.caller, all, call);
    else throw nothingToEnd(all);
    return ok({ status: "ok" });
  },
});

const nothingToEnd = (all: boolean) =>
  all
    ? new GatewayError("UNAUTHENTICATED", "jwt required for all=true")
    : new GatewayError("INVALID_REQUEST", "nothing to revoke: give refresh_token, or call with an access token");
