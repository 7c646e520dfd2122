import { z } from "zod";
import { json } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { optional, proofFields, proofOf } from "./schemas.ts";

export const register = defineRoute({
  method: "POST",
  path: "/v1/auth/register",
  summary: "Register an application of a wallet",
  tag: "Sign-in",
  access: { kind: "public" },
  limit: "credentials",
  body: z.object({ ...proofFields, name: optional(z.string().max(256)) }),
  status: 201,
  output: z.object({
    client_id: z.string(),
    app: z.object({ app_id: z.string(), name: z.string(), namespace: z.string(), wallet: z.string() }),
    signature_verified: z.literal(true),
  }),
  errors: ["SIGNATURE_INVALID", "FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { walletAuth }) {
    const { appId, name, namespace, wallet } = await walletAuth.register(
      proofOf(call.body),
      call.body.name ?? "",
      call,
    );
    return json(201, {
      client_id: appId,
      app: { app_id: appId, name, namespace, wallet },
      signature_verified: true,
    });
  },
});
