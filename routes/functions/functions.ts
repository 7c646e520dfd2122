import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS, FOUND_ERRORS } from "./errors.ts";
import {
  calledInPath,
  calledOf,
  functionAnswer,
  functionJson,
  namespaceInQuery,
  namespaceOf,
  namespaceQuery,
} from "./fields.ts";

export const listFunctions = defineRoute({
  method: "GET",
  path: "/v1/functions",
  summary: "List the functions of the namespace",
  description: "By name; of each the version that serves.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  query: z.object({
    namespace: namespaceInQuery,
    limit: z.coerce.number().int().min(1).max(1000).default(1000).describe("How many entries at most."),
    cursor: z.string().max(1024).optional().describe("`next_cursor` of the page before."),
  }),
  output: z.object({
    functions: z.array(functionAnswer),
    count: z.int().describe("How many are on this page."),
    total: z.int().describe("How many there are."),
    next_cursor: z.string().optional(),
  }),
  errors: ["NAMESPACE_MISMATCH", "UNAVAILABLE"],
  async handle(call, { functions }) {
    const { query: { cursor, limit } } = call;
    const page = await functions.list(namespaceOf(call), { cursor, limit }, call);
    return ok({
      functions: page.functions.map(functionJson),
      count: page.functions.length,
      total: page.total,
      next_cursor: page.cursor,
    });
  },
});

export const getFunction = defineRoute({
  method: "GET",
  path: "/v1/functions/:name",
  summary: "Read what is known of a function",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  missingParam: "Function name required",
  params: calledInPath,
  query: namespaceQuery,
  output: functionAnswer,
  errors: FOUND_ERRORS,
  async handle(call, { functions }) {
    const { name, reference } = calledOf(call.params.name);
    return ok(functionJson(await functions.get(namespaceOf(call), name, reference, call)));
  },
});

export const deleteFunction = defineRoute({
  method: "DELETE",
  path: "/v1/functions/:name",
  summary: "Delete a function, or one version of it",
  description:
    "With all its versions, aliases and triggers, and what it logged. With `@` and a version that one alone: not the one that " +
    "serves, and none that an alias names, which is 409.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  missingParam: "Function name required",
  params: calledInPath,
  query: namespaceQuery,
  output: z.object({ message: z.string() }),
  errors: CHANGE_ERRORS,
  async handle(call, { functions }) {
    const { name, reference } = calledOf(call.params.name);
    namespaceOf(call);
    await functions.delete(call.principal, name, reference, call);
    return ok({ message: "Function deleted successfully" });
  },
});
