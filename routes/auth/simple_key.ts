import { z } from "zod";
import { rfc3339 } from "../../src/http/formats.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { keyGrantMembers, keyGrantOutput, namespaceField, namespaceOf, optional, walletField } from "./schemas.ts";

export const simpleKey = defineRoute({
  method: "POST",
  path: "/v1/auth/simple-key",
  summary: "Get a new API key without a signature (development only)",
  description: "Exists only where `auth.simple_key` is set, as it is in `dev`. Never gives a key that existed before.",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object({ wallet: walletField, namespace: optional(namespaceField) }),
  output: keyGrantOutput.extend({ created: z.string() }),
  errors: ["NOT_FOUND", "FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { walletAuth }) {
    const { wallet, namespace = "" } = call.body;
    const grant = await walletAuth.simpleKey(wallet, namespaceOf(namespace), call);
    return json(200, { ...keyGrantMembers(grant, grant.namespace), created: rfc3339(Date.now()) }, NO_STORE);
  },
});
