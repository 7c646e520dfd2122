import { z } from "zod";
import type { SelectSpec } from "../../src/contracts/database.ts";
import { defineRoute } from "../../src/http/route.ts";
import { READ_ERRORS } from "./errors.ts";
import { criteria, parts, table, toSpec, underPrefix } from "./parts.ts";
import { integers, rowList, rowListText } from "./result_json.ts";

/** The body of `find` and `find-one`. */
export const findBody = z.object({
  table,
  criteria,
  options: z.object(parts).nullish().describe("Where it sets nothing, the same members beside it count."),
  ...parts,
  integers,
});

/**
 * The one `SELECT` that the body asks for, and what stands before the names of its parts in the body.
 */
export function findSpec(body: z.infer<typeof findBody>): { spec: SelectSpec; prefix: "" | "options." } {
  const { table, criteria, options, integers: _, ...beside } = body;
  const isSet = Object.values(options ?? {}).some((value) => value !== undefined);
  return { spec: { table, criteria, ...toSpec(isSet ? options ?? {} : beside) }, prefix: isSet ? "options." : "" };
}

export const find = defineRoute({
  method: "POST",
  path: "/v1/rqlite/find",
  summary: "Find rows by the values of columns",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  bodyHint: "{table, criteria, options?}",
  body: findBody,
  output: rowList,
  errors: READ_ERRORS,
  async handle(call, { database }) {
    const { spec, prefix } = findSpec(call.body);
    const result = await underPrefix(prefix, database.select(call.principal.namespace, spec, call));
    return { status: 200, body: rowListText(result, call.body.integers) };
  },
});
