import { z } from "zod";
import { defineRoute } from "../../src/http/route.ts";
import { args } from "./arguments.ts";
import { READ_ERRORS } from "./errors.ts";
import { integers, rowList, rowListText } from "./result_json.ts";

export const query = defineRoute({
  method: "POST",
  path: "/v1/rqlite/query",
  summary: "Run one SQL statement that reads",
  description:
    "`SELECT`, `VALUES`, `WITH … SELECT`, `EXPLAIN` and PRAGMAs that only read. Placeholders are `?`, their values stand in `args`.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  bodyHint: "{sql, args?}",
  body: z.object({ sql: z.string().trim().min(1), args, integers }),
  output: rowList,
  errors: READ_ERRORS,
  async handle(call, { database }) {
    const { sql, args, integers } = call.body;
    const result = await database.query(call.principal.namespace, { sql, args }, call);
    return { status: 200, body: rowListText(result, integers) };
  },
});
