import { z } from "zod";
import { type Grant, SCOPES, TOPIC_RIGHTS } from "../../src/contracts/identity.ts";
import {
  grantProblem,
  isTopicGrant,
  MAX_PATTERNS,
  patternsOf,
  patternsProblem,
} from "../../src/contracts/topic_rights.ts";
import type { KeyView } from "../../src/contracts/wallet_auth.ts";
import { rfc3339, rfc3339OrNull } from "../../src/http/formats.ts";
import { json, NO_STORE, ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { optional } from "./schemas.ts";

const told = { error: ({ input }: { readonly input?: unknown }) => grantProblem(input) };
const ofTopics = z.string().regex(new RegExp(`^pubsub:(${TOPIC_RIGHTS.join("|")}):`), told)
  .refine((text): text is Grant & string => isTopicGrant(text) && grantProblem(text) === undefined, told);
const scope = z.union([z.enum(SCOPES), ofTopics], told).describe(
  "A scope; one of `pubsub:` may be bound to topics by a pattern behind it: `pubsub:subscribe:orders.*`, in which `*` stands " +
    "for any run of characters.",
);
const scopes = z.array(scope).min(1).max(SCOPES.length + MAX_PATTERNS).superRefine((grants, context) => {
  const message = patternsProblem(patternsOf(grants));
  if (message !== undefined) context.addIssue({ code: "custom", message });
});
const key = z.object({
  id: z.string(),
  name: z.string(),
  namespace: z.string(),
  wallet: z.string().nullable(),
  scopes: z.array(scope).nullable().describe("`null`: all but `namespace:admin`."),
  created_at: z.string(),
  created_by: z.string(),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  last_used_at: z.string().nullable().describe("About a minute behind."),
});
const newKey = key.extend({ api_key: z.string().describe("Shown this once: only its hash is kept.") });
const params = z.object({ id: z.string().max(64).describe("The key's `id`, which is not the key itself.") });
const access = { kind: "namespace", scope: "namespace:admin" } as const;

const membersOf = (view: KeyView) => ({
  id: view.id,
  name: view.name,
  namespace: view.namespace,
  wallet: view.wallet,
  scopes: view.scopes,
  created_at: rfc3339(view.createdAt),
  created_by: view.createdBy,
  expires_at: rfc3339OrNull(view.expiresAt),
  revoked_at: rfc3339OrNull(view.revokedAt),
  last_used_at: rfc3339OrNull(view.lastUsedAt),
});

export const createKey = defineRoute({
  method: "POST",
  path: "/v1/auth/keys",
  summary: "Make an API key",
  description: "Nobody gives a key more scopes than the own credential has.",
  tag: "Keys",
  access,
  body: z.object({
    name: z.string().trim().min(1).max(128),
    scopes: optional(scopes).describe("Absent: all but `namespace:admin`."),
    expires_at: optional(z.iso.datetime({ offset: true })).describe("RFC 3339. Absent: never."),
  }).refine(({ expires_at }) => expires_at === undefined || Date.parse(expires_at) > Date.now(), {
    path: ["expires_at"],
    error: "must lie in the future",
  }),
  status: 201,
  output: newKey,
  errors: ["CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { apiKeys }) {
    const { name, scopes, expires_at } = call.body;
    const expiresAt = expires_at === undefined ? undefined : Date.parse(expires_at);
    const made = await apiKeys.create(call.principal.namespace, { name, scopes, expiresAt }, call.principal, call);
    return json(201, { ...membersOf(made), api_key: made.key }, NO_STORE);
  },
});

export const listKeys = defineRoute({
  method: "GET",
  path: "/v1/auth/keys",
  summary: "List the namespace's API keys, revoked ones included",
  tag: "Keys",
  access,
  query: z.object({
    limit: z.coerce.number().int().min(1).max(200).default(100).describe("How many keys at most."),
    after: z.string().max(64).optional().describe("`next` of the page before."),
  }),
  output: z.object({ keys: z.array(key), count: z.number(), next: z.string().nullable() }),
  errors: ["UNAVAILABLE"],
  async handle(call, { apiKeys }) {
    const { limit, after } = call.query;
    const keys = (await apiKeys.list(call.principal.namespace, { limit, after }, call)).map(membersOf);
    return ok({ keys, count: keys.length, next: keys.length === limit ? keys.at(-1)!.id : null });
  },
});

export const revokeKey = defineRoute({
  method: "DELETE",
  path: "/v1/auth/keys/:id",
  summary: "Revoke an API key",
  description: "Dead on this gateway at once, on the others within a second. Revoking it again is no error.",
  tag: "Keys",
  access,
  params,
  output: z.object({ status: z.literal("ok") }),
  errors: ["NOT_FOUND", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { apiKeys }) {
    await apiKeys.revoke(call.principal.namespace, call.params.id, call.principal, call);
    return ok({ status: "ok" });
  },
});

export const rotateKey = defineRoute({
  method: "POST",
  path: "/v1/auth/keys/:id/rotate",
  summary: "Replace an API key by a new one with the same rights",
  tag: "Keys",
  access,
  params,
  output: newKey,
  errors: ["NOT_FOUND", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { apiKeys }) {
    const made = await apiKeys.rotate(call.principal.namespace, call.params.id, call.principal, call);
    return json(200, { ...membersOf(made), api_key: made.key }, NO_STORE);
  },
});
