import { z } from "zod";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { keyGrantMembers, keyGrantOutput, optional, proofFields, proofOf } from "./schemas.ts";

export const apiKey = defineRoute({
  method: "POST",
  path: "/v1/auth/api-key",
  summary: "Get the wallet's API key of a namespace",
  description: "The same key each time until it is revoked. No session is opened.",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object({ ...proofFields, plan: optional(z.string().max(64)) }),
  output: keyGrantOutput.extend({ plan: z.string() }),
  errors: ["SIGNATURE_INVALID", "FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { walletAuth }) {
    const grant = await walletAuth.apiKey(proofOf(call.body), call);
    const { message, namespace = "", plan } = call.body;
    return json(
      200,
      { ...keyGrantMembers(grant, message ? grant.namespace : namespace), plan: plan || "free" },
      NO_STORE,
    );
  },
});
