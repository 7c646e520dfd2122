import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

const session = z.object({
  id: z.string(),
  wallet: z.string(),
  current: z.boolean(),
  created_at: z.string(),
  last_used_at: z.string(),
  expires_at: z.string(),
  address: z.string(),
  user_agent: z.string(),
});

const walletOf = ({ wallet, kind }: Principal): string => {
  if (kind === "jwt" && wallet !== undefined) return wallet;
  throw new GatewayError("FORBIDDEN", "sessions belong to wallets: call with the access token of a sign-in");
};

export const listSessions = defineRoute({
  method: "GET",
  path: "/v1/auth/sessions",
  summary: "List the sessions of the caller's wallet in its namespace",
  tag: "Sign-in",
  access: { kind: "authenticated" },
  output: z.object({ sessions: z.array(session), count: z.number() }),
  errors: ["FORBIDDEN", "UNAVAILABLE"],
  async handle(call, { sessions }) {
    const { principal } = call;
    const found = await sessions.list(principal.namespace, walletOf(principal), call);
    const items = found.map((item) => ({
      id: item.id,
      wallet: item.wallet,
      current: item.id === principal.id,
      created_at: rfc3339(item.createdAt),
      last_used_at: rfc3339(item.lastUsedAt),
      expires_at: rfc3339(item.expiresAt),
      address: item.address,
      user_agent: item.userAgent,
    }));
    return ok({ sessions: items, count: items.length });
  },
});

export const revokeSession = defineRoute({
  method: "DELETE",
  path: "/v1/auth/sessions/:id",
  summary: "End one session of the caller's wallet",
  tag: "Sign-in",
  access: { kind: "authenticated" },
  params: z.object({ id: z.string().max(64).describe("The session's `id`.") }),
  output: z.object({ status: z.literal("ok") }),
  errors: ["FORBIDDEN", "NOT_FOUND", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { sessions }) {
    await sessions.revoke(call.principal.namespace, walletOf(call.principal), call.params.id, call);
    return ok({ status: "ok" });
  },
});
