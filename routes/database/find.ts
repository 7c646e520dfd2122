import { z } from "zod";
import type { SelectSpec } from "../../src/contracts/database.ts";
import { defineRoute } from "../../src/http/route.ts";
import { READ_ERRORS } from "./errors.ts";
import { LINES, NDJSON, rowLines, rowsReply, wantsLines } from "./ndjson.ts";
import { LEVEL_HEADERS, READ_LEVEL_HEADER, readOptions, readOptionsOf } from "./options.ts";
import { criteria, parts, table, toSpec, underPrefix } from "./parts.ts";
import { integers, rowList, rowListText } from "./result_json.ts";

/** The body of `find` and `find-one`. */
export const findBody = z.object({
  table,
  criteria,
  options: z.object(parts).nullish().describe("Where it sets nothing, the same members beside it count."),
  ...parts,
  integers,
  ...readOptions,
});

/**
 * The one `SELECT` that the body asks for, and what stands before the names of its parts in the body.
 */
export function findSpec(body: z.infer<typeof findBody>): { spec: SelectSpec; prefix: "" | "options." } {
  const { table, criteria, options } = body;
  const isSet = Object.values(options ?? {}).some((value) => value !== undefined);
  return { spec: { table, criteria, ...toSpec(isSet ? options ?? {} : body) }, prefix: isSet ? "options." : "" };
}

export const find = defineRoute({
  method: "POST",
  path: "/v1/rqlite/find",
  summary: "Find rows by the values of columns",
  description: LINES,
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  bodyHint: "{table, criteria, options?}",
  body: findBody,
  output: rowList,
  alsoProduces: { [NDJSON]: rowLines },
  headers: [READ_LEVEL_HEADER],
  errors: READ_ERRORS,
  async handle(call, { database }) {
    const { spec, prefix } = findSpec(call.body);
    const { namespace } = call.principal;
    const { integers } = call.body;
    const options = readOptionsOf(call.body);
    if (wantsLines(call)) {
      return await rowsReply(
        call,
        integers,
        (context) => underPrefix(prefix, database.streamSelect(namespace, spec, context, options)),
      );
    }
    const result = await underPrefix(prefix, database.select(namespace, spec, call, options));
    return { status: 200, body: rowListText(result, integers), headers: LEVEL_HEADERS[result.level] };
  },
});
