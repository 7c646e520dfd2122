import { z } from "zod";
import { ROLES } from "../../src/contracts/identity.ts";
import type { Member } from "../../src/contracts/namespaces.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { pageQuery } from "./paging.ts";

const role = z.enum(ROLES).describe(
  "`owner` and `admin`: everything, and only owners make owners or delete the namespace; `member`: all data; `viewer`: reading.",
);
const member = z.object({ wallet: z.string(), role, added_at: z.string(), added_by: z.string() });
const access = { kind: "namespace", scope: "namespace:admin", param: "ns", role: "admin" } as const;
const memberParams = z.object({
  ns: z.string().max(64).describe("The namespace's name."),
  wallet: z.string().max(128).describe("The wallet's address."),
});

const membersOf = ({ wallet, role, addedAt, addedBy }: Member) => ({
  wallet,
  role,
  added_at: rfc3339(addedAt),
  added_by: addedBy,
});

export const listMembers = defineRoute({
  method: "GET",
  path: "/v1/namespaces/:ns/members",
  summary: "List the wallets of a namespace",
  description: "In the order in which they were added.",
  tag: "Namespaces",
  access,
  params: z.object({ ns: z.string().max(64).describe("The namespace's name.") }),
  query: pageQuery,
  output: z.object({ members: z.array(member), count: z.number(), next_cursor: z.string().nullable() }),
  errors: ["UNAVAILABLE"],
  async handle(call, { namespaces }) {
    const { items, next = null } = await namespaces.members(call.params.ns, call.query, call);
    return ok({ members: items.map(membersOf), count: items.length, next_cursor: next });
  },
});

export const setMember = defineRoute({
  method: "PUT",
  path: "/v1/namespaces/:ns/members/:wallet",
  summary: "Add a wallet to a namespace, or change its role",
  description: "A change ends the wallet's sessions and tokens in the namespace; its next sign-in has the new role.",
  tag: "Namespaces",
  access,
  params: memberParams,
  body: z.object({ role }),
  output: member,
  errors: ["CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { namespaces }) {
    const { params: { ns, wallet }, body, principal } = call;
    return ok(membersOf(await namespaces.setMember(ns, wallet, body.role, principal, call)));
  },
});

export const removeMember = defineRoute({
  method: "DELETE",
  path: "/v1/namespaces/:ns/members/:wallet",
  summary: "Remove a wallet from a namespace",
  description: "Its sessions, tokens and key of the namespace die at once.",
  tag: "Namespaces",
  access,
  params: memberParams,
  output: z.object({ status: z.literal("ok") }),
  errors: ["NOT_FOUND", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { namespaces }) {
    const { params: { ns, wallet }, principal } = call;
    await namespaces.removeMember(ns, wallet, principal, call);
    return ok({ status: "ok" });
  },
});
