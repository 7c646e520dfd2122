import { z } from "zod";
import { rfc3339 } from "../../src/http/formats.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { chainType, namespaceField, namespaceOf, optional, walletField } from "./schemas.ts";

export const challenge = defineRoute({
  method: "POST",
  path: "/v1/auth/challenge",
  summary: "Get something for a wallet to sign",
  description:
    "Sign either `nonce` as it is, or `message` (EIP-4361, which a wallet can show to its owner). Good once, for five minutes, " +
    "for this wallet, namespace and purpose. Nothing is stored.",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object({
    wallet: walletField,
    purpose: optional(z.string().max(64)).describe(
      "`authentication` (default), `api_key_generation`, `registration`, or your own.",
    ),
    namespace: optional(namespaceField),
    chain_type: optional(chainType),
    chain_id: optional(z.int().positive()).describe("EIP-155 chain id to stand in the message."),
  }),
  output: z.object({
    wallet: z.string(),
    namespace: z.string(),
    nonce: z.string(),
    purpose: z.string(),
    expires_at: z.string(),
    message: z.string(),
  }),
  handle(call, { walletAuth }) {
    const { wallet, purpose = "", namespace = "", chain_type, chain_id } = call.body;
    const { nonce, message, expiresAt } = walletAuth.challenge({
      wallet,
      namespace: namespaceOf(namespace),
      purpose: purpose.trim() || "authentication",
      chainType: chain_type,
      chainId: chain_id,
      origin: call.incoming.get("origin") ?? undefined,
    }, call);
    return json(200, { wallet, namespace, nonce, purpose, expires_at: rfc3339(expiresAt), message }, NO_STORE);
  },
});
