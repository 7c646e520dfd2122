import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { namespaceField, tokenMembers, tokenOutput } from "./schemas.ts";

export const refresh = defineRoute({
  method: "POST",
  path: "/v1/auth/refresh",
  summary: "Exchange a refresh token, or renew the caller's access token",
  description:
    "A refresh token is good once: keep the one that comes back. One that is used twice ends its session, but for a short " +
    "grace in which a client that lost the answer may repeat. Without a body, a caller with a live token or key gets " +
    "another access token.",
  tag: "Sign-in",
  access: { kind: "public", identify: true },
  limit: "credentials",
  bodyOptional: true,
  body: z.object({ refresh_token: z.string().max(512).optional(), namespace: namespaceField.optional() }),
  output: z.object(tokenOutput),
  errors: ["INVALID_CREDENTIAL", "FORBIDDEN", "UNAVAILABLE"],
  async handle(call, { walletAuth }) {
    const { refresh_token, namespace } = call.body;
    if (refresh_token) {
      const grant = await walletAuth.refresh(refresh_token, namespace?.trim() || undefined, call);
      return json(200, tokenMembers(grant, namespace ?? grant.namespace), NO_STORE);
    }
    if (!call.caller) {
      throw new GatewayError("INVALID_REQUEST", "refresh_token is required", {
        details: [{ field: "refresh_token", problem: "is required unless the request is authenticated" }],
      });
    }
    const grant = await walletAuth.renew(call.caller);
    return json(200, tokenMembers(grant, grant.namespace), NO_STORE);
  },
});
