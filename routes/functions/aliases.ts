import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS, FOUND_ERRORS } from "./errors.ts";
import { aliasAnswer, aliasJson, bareName, nameInPath, namespaceOf, namespaceQuery, targets } from "./fields.ts";

const aliasInPath = z.object({ ...nameInPath.shape, alias: z.string().max(64).describe("The alias, without `@`.") });

export const listAliases = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/aliases",
  summary: "List the aliases of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: nameInPath,
  query: namespaceQuery,
  output: z.object({ aliases: z.array(aliasAnswer), count: z.int() }),
  errors: FOUND_ERRORS,
  async handle(call, { functions }) {
    const aliases = await functions.aliases(namespaceOf(call), bareName(call.params.name), call);
    return ok({ aliases: aliases.map(aliasJson), count: aliases.length });
  },
});

export const getAlias = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/aliases/:alias",
  summary: "Read an alias of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: aliasInPath,
  query: namespaceQuery,
  output: aliasAnswer,
  errors: FOUND_ERRORS,
  async handle(call, { functions }) {
    const { params: { name, alias } } = call;
    const all = await functions.aliases(namespaceOf(call), bareName(name), call);
    const found = all.find((one) => one.name === alias);
    if (found === undefined) throw new GatewayError("NOT_FOUND", "alias not found");
    return ok(aliasJson(found));
  },
});

export const setAlias = defineRoute({
  method: "PUT",
  path: "/v1/functions/:name/aliases/:alias",
  summary: "Make or change an alias of a function",
  description:
    "A name for a version (`prod`), or for several, among which calls are split by weight. From the next call on; no call that " +
    "runs is ended. It is letters, digits, `-` and `_`, not a number and not `latest`.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  params: aliasInPath,
  query: namespaceQuery,
  body: z.object({ targets: targets.describe("Weights are 100 in all.") }),
  output: aliasAnswer,
  errors: CHANGE_ERRORS,
  async handle(call, { functions }) {
    namespaceOf(call);
    const { params: { name, alias }, body: { targets }, principal } = call;
    return ok(aliasJson(await functions.setAlias(principal, bareName(name), { name: alias, targets }, call)));
  },
});

export const deleteAlias = defineRoute({
  method: "DELETE",
  path: "/v1/functions/:name/aliases/:alias",
  summary: "Delete an alias of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  params: aliasInPath,
  query: namespaceQuery,
  output: z.object({ message: z.string() }),
  errors: CHANGE_ERRORS,
  async handle(call, { functions }) {
    namespaceOf(call);
    const { params: { name, alias }, principal } = call;
    await functions.deleteAlias(principal, bareName(name), alias, call);
    return ok({ message: "Alias deleted successfully" });
  },
});
