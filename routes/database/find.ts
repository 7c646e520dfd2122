import { z } from "zod";
import type { SelectSpec } from "../../src/contracts/database.ts";
import { rowListText } from "../../src/contracts/sql_values.ts";
import { defineRoute } from "../../src/http/route.ts";
import { READ_ERRORS } from "./errors.ts";
import { LINES, NDJSON, rowLines, rowsReply, wantsLines } from "./ndjson.ts";
import { LEVEL_HEADERS, READ_LEVEL_HEADER, readOptions, readOptionsOf } from "./options.ts";
import { criteria, NO_LINES, type Parts, parts, refusePaging, table, toSpec, underPrefix } from "./parts.ts";
import { integers, rowPage, rowPageText } from "./result_json.ts";

/** The body of `find` and `find-one`. */
export const findBody = z.object({
  table,
  criteria,
  options: z.object(parts).nullish().describe("Where it sets nothing, the same members beside it count."),
  ...parts,
  integers,
  ...readOptions,
});

/** What a body asks for. */
export interface Find {
  readonly spec: SelectSpec;
  /** Where its page begins; absent where none is asked for. */
  readonly after: string | undefined;
  /** What stands before the names of its parts in the body. */
  readonly prefix: "" | "options.";
}

/** The one `SELECT` that the body asks for. */
export function findSpec(body: z.infer<typeof findBody>): Find {
  const { table, criteria, options } = body;
  const isSet = Object.values(options ?? {}).some((value) => value !== undefined);
  const parts: Parts = isSet ? options ?? {} : body;
  // Left aside like the other members beside `options`, it would end a walk at its first page, and nobody would know.
  if (parts.after === undefined) refusePaging(body.after, "it belongs into options, where the other parts are");
  return { spec: { table, criteria, ...toSpec(parts) }, after: parts.after, prefix: isSet ? "options." : "" };
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
  output: rowPage,
  alsoProduces: { [NDJSON]: rowLines },
  headers: [READ_LEVEL_HEADER],
  errors: READ_ERRORS,
  async handle(call, { database }) {
    const { spec, after, prefix } = findSpec(call.body);
    const { namespace } = call.principal;
    const { integers } = call.body;
    const options = readOptionsOf(call.body);
    if (wantsLines(call)) {
      refusePaging(after, NO_LINES, prefix);
      return await rowsReply(
        call,
        integers,
        (context) => underPrefix(prefix, database.streamSelect(namespace, spec, context, options)),
      );
    }
    if (after !== undefined) {
      const page = await underPrefix(prefix, database.page(namespace, spec, after, call, options));
      return { status: 200, body: rowPageText(page, integers), headers: LEVEL_HEADERS[page.level] };
    }
    const result = await underPrefix(prefix, database.select(namespace, spec, call, options));
    return { status: 200, body: rowListText(result, integers), headers: LEVEL_HEADERS[result.level] };
  },
});
