import { z } from "zod";
import type { SecretView } from "../../src/contracts/function_secrets.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS } from "./errors.ts";
import { namespaceOf, namespaceQuery } from "./fields.ts";

const secretInPath = z.object({ secret: z.string().max(256).describe("The secret's name.") });
const secretAnswer = z.object({ name: z.string(), created_at: z.string(), updated_at: z.string() });
const secretJson = ({ name, createdAt, updatedAt }: SecretView) => ({
  name,
  created_at: rfc3339(createdAt),
  updated_at: rfc3339(updatedAt),
});

export const listSecrets = defineRoute({
  method: "GET",
  path: "/v1/functions/secrets",
  summary: "List the secrets of the namespace",
  description: "By name, without their values: nobody reads those but the namespace's functions, by `get_secret`.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:admin" },
  query: namespaceQuery,
  output: z.object({ secrets: z.array(secretAnswer), count: z.int() }),
  errors: ["NAMESPACE_MISMATCH", "UNAVAILABLE"],
  async handle(call, { functionSecrets }) {
    const secrets = await functionSecrets.list(namespaceOf(call), call);
    return ok({ secrets: secrets.map(secretJson), count: secrets.length });
  },
});

export const setSecret = defineRoute({
  method: "PUT",
  path: "/v1/functions/secrets/:secret",
  summary: "Set a secret of the namespace",
  description: "Or replace it. It is kept encrypted; calls that begin later read it.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:admin" },
  params: secretInPath,
  query: namespaceQuery,
  body: z.object({ value: z.string().describe("Text.") }),
  output: secretAnswer,
  errors: [...CHANGE_ERRORS, "QUOTA_EXCEEDED"],
  async handle(call, { functionSecrets }) {
    namespaceOf(call);
    const { principal, params: { secret }, body: { value } } = call;
    return ok(secretJson(await functionSecrets.set(principal, secret, value, call)));
  },
});

export const deleteSecret = defineRoute({
  method: "DELETE",
  path: "/v1/functions/secrets/:secret",
  summary: "Delete a secret of the namespace",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:admin" },
  params: secretInPath,
  query: namespaceQuery,
  output: z.object({ message: z.string() }),
  errors: CHANGE_ERRORS,
  async handle(call, { functionSecrets }) {
    namespaceOf(call);
    await functionSecrets.delete(call.principal, call.params.secret, call);
    return ok({ message: "Secret deleted successfully" });
  },
});
