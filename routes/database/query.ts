import { z } from "zod";
import { rowListText } from "../../src/contracts/sql_values.ts";
import { defineRoute } from "../../src/http/route.ts";
import { args } from "./arguments.ts";
import { READ_ERRORS } from "./errors.ts";
import { LINES, NDJSON, rowLines, rowsReply, wantsLines } from "./ndjson.ts";
import { LEVEL_HEADERS, READ_LEVEL_HEADER, readOptions, readOptionsOf } from "./options.ts";
import { integers, rowList } from "./result_json.ts";

export const query = defineRoute({
  method: "POST",
  path: "/v1/rqlite/query",
  summary: "Run one SQL statement that reads",
  description:
    "`SELECT`, `VALUES`, `WITH … SELECT`, `EXPLAIN` and PRAGMAs that only read. Placeholders are `?`, their values stand in `args`. " +
    LINES,
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  bodyHint: "{sql, args?}",
  body: z.object({ sql: z.string().trim().min(1), args, integers, ...readOptions }),
  output: rowList,
  alsoProduces: { [NDJSON]: rowLines },
  headers: [READ_LEVEL_HEADER],
  errors: READ_ERRORS,
  async handle(call, { database }) {
    const { sql, args, integers } = call.body;
    const { namespace } = call.principal;
    const options = readOptionsOf(call.body);
    if (wantsLines(call)) {
      return await rowsReply(call, integers, (context) => database.stream(namespace, { sql, args }, context, options));
    }
    const result = await database.query(namespace, { sql, args }, call, options);
    return { status: 200, body: rowListText(result, integers), headers: LEVEL_HEADERS[result.level] };
  },
});
