import { z } from "zod";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { proofFields, proofOf, tokenMembers, tokenOutput } from "./schemas.ts";

export const verify = defineRoute({
  method: "POST",
  path: "/v1/auth/verify",
  summary: "Sign in with a wallet's signature",
  description:
    "Gives an access token (15 minutes), a refresh token (good once, 30 days) and the wallet's API key of the namespace. " +
    "The first wallet to name a namespace owns it; for others it must be added by an owner.",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object(proofFields),
  output: z.object({
    ...tokenOutput,
    api_key: z.string(),
    nonce: z.string(),
    signature_verified: z.literal(true),
    role: z.string(),
  }),
  errors: ["SIGNATURE_INVALID", "FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { walletAuth }) {
    const origin = { userAgent: call.incoming.get("user-agent") ?? "" };
    const grant = await walletAuth.verify(proofOf(call.body), origin, call);
    const { apiKey, nonce, role } = grant;
    const namespace = call.body.message ? grant.namespace : call.body.namespace ?? "";
    return json(200, {
      ...tokenMembers(grant, namespace),
      api_key: apiKey,
      nonce,
      signature_verified: true,
      role,
    }, NO_STORE);
  },
});
