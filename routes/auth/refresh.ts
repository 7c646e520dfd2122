import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { credentialsOf } from "../../src/http/credentials.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { namespaceField, optional, tokenMembers, tokenOutput } from "./schemas.ts";

export const refresh = defineRoute({
  method: "POST",
  path: "/v1/auth/refresh",
  summary: "Exchange a refresh token, or an API key, for another access token",
  description:
    "A refresh token is good once: keep the one that comes back. For a short grace the same use again has the same answer, " +
    "for a client that lost it or that shares its token between tabs; used again later, or after the token that followed, " +
    "it ends its session.\n\n" +
    "Without `refresh_token`, the request must bring an API key. Alone it is exchanged as by `/v1/auth/token`; beside a " +
    "live access token of the same wallet and namespace, that token's session gets another one. An access token alone " +
    "renews nothing.",
  tag: "Sign-in",
  access: { kind: "public", identify: true },
  limit: "credentials",
  bodyOptional: true,
  body: z.object({ refresh_token: optional(z.string().max(512)), namespace: optional(namespaceField) }),
  output: z.object(tokenOutput),
  errors: ["INVALID_CREDENTIAL", "FORBIDDEN", "UNAVAILABLE"],
  async handle(call, { walletAuth, authenticator }) {
    const { refresh_token, namespace } = call.body;
    if (refresh_token) {
      const grant = await walletAuth.refresh(refresh_token, namespace?.trim() || undefined, call);
      return json(200, tokenMembers(grant, namespace ?? grant.namespace), NO_STORE);
    }
    const { key } = credentialsOf(call.incoming, call.http.req.raw.url);
    const holder = key !== undefined && await authenticator.identifyKey(key);
    if (!call.caller || !holder) {
      throw new GatewayError("INVALID_REQUEST", "refresh_token is required", {
        details: [{ field: "refresh_token", problem: "is required unless the request brings a good API key" }],
      });
    }
    const grant = await walletAuth.renew(call.caller, holder);
    return json(200, tokenMembers(grant, grant.namespace), NO_STORE);
  },
});
