import { z } from "zod";
import type { NamespaceView } from "../../src/contracts/namespaces.ts";
import { NAMESPACE_PATTERN } from "../../src/contracts/namespaces.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { json, ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { pageQuery } from "./paging.ts";

const namespace = z.object({
  name: z.string(),
  state: z.enum(["active", "deleting"]),
  created_at: z.string(),
  role: z.string().optional().describe("The caller's part in it."),
});
const params = z.object({ ns: z.string().max(64).describe("The namespace's name.") });

const membersOf = ({ name, state, createdAt, role }: NamespaceView) => ({
  name,
  state,
  created_at: rfc3339(createdAt),
  role,
});

export const createNamespace = defineRoute({
  method: "POST",
  path: "/v1/namespaces",
  summary: "Create a namespace that the caller's wallet owns",
  description:
    "The credential stays in its own namespace: sign in again, naming the new one. An operator names the `owner`, and may " +
    "create where wallets may not.",
  tag: "Namespaces",
  access: { kind: "authenticated" },
  limit: "credentials",
  body: z.object({
    name: z.string().regex(NAMESPACE_PATTERN, "1 to 64 letters, digits, - and _, beginning with a letter or digit"),
    owner: z.string().min(1).max(128).optional().describe("The wallet that owns it. For operators alone."),
  }),
  status: 201,
  output: namespace,
  errors: ["FORBIDDEN", "CONFLICT", "OUTCOME_UNKNOWN", "UNAVAILABLE", "NO_CAPACITY"],
  async handle(call, { namespaces }) {
    const { name, owner } = call.body;
    return json(201, membersOf(await namespaces.create(name, call.principal, call, owner)));
  },
});

export const listNamespaces = defineRoute({
  method: "GET",
  path: "/v1/namespaces",
  summary: "List the namespaces of the caller's wallet, by name",
  description: "A key without a wallet sees its own alone, an operator all that there are.",
  tag: "Namespaces",
  access: { kind: "authenticated" },
  query: pageQuery,
  output: z.object({ namespaces: z.array(namespace), count: z.number(), next_cursor: z.string().nullable() }),
  errors: ["UNAVAILABLE"],
  async handle(call, { namespaces }) {
    const { items, next = null } = await namespaces.list(call.principal, call.query, call);
    return ok({ namespaces: items.map(membersOf), count: items.length, next_cursor: next });
  },
});

export const getNamespace = defineRoute({
  method: "GET",
  path: "/v1/namespaces/:ns",
  summary: "Show the credential's namespace",
  tag: "Namespaces",
  access: { kind: "namespace", scope: "namespace:admin", param: "ns" },
  params,
  output: namespace,
  errors: ["NOT_FOUND", "UNAVAILABLE"],
  async handle(call, { namespaces }) {
    return ok(membersOf(await namespaces.get(call.params.ns, call.principal, call)));
  },
});

export const deleteNamespace = defineRoute({
  method: "DELETE",
  path: "/v1/namespaces/:ns",
  summary: "Delete a namespace and everything in it",
  description:
    "Its credentials die at once, this one too. Its data goes in the background, in every service, and goes on after a " +
    "restart; until then the name cannot be used.",
  tag: "Namespaces",
  access: { kind: "namespace", scope: "namespace:admin", param: "ns", role: "owner" },
  params,
  output: z.object({ status: z.literal("deleting") }),
  errors: ["OUTCOME_UNKNOWN", "UNAVAILABLE"],
  async handle(call, { namespaces }) {
    await namespaces.delete(call.params.ns, call.principal, call);
    return json(200, { status: "deleting" });
  },
});
