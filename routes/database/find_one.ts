import { GatewayError } from "../../src/contracts/errors.ts";
import { rowTexts } from "../../src/contracts/sql_values.ts";
import { defineRoute } from "../../src/http/route.ts";
import { READ_ERRORS } from "./errors.ts";
import { findBody, findSpec } from "./find.ts";
import { LEVEL_HEADERS, READ_LEVEL_HEADER, readOptionsOf } from "./options.ts";
import { atMostOne, ONE_ROW, refusePaging, underPrefix } from "./parts.ts";
import { row } from "./result_json.ts";

export const findOne = defineRoute({
  method: "POST",
  path: "/v1/rqlite/find-one",
  summary: "Find the first row by the values of columns",
  description: "Answers the row itself.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  bodyHint: "{table, criteria, options?}",
  body: findBody,
  output: row,
  headers: [READ_LEVEL_HEADER],
  errors: ["NOT_FOUND", ...READ_ERRORS],
  async handle(call, { database }) {
    const { spec, after, prefix } = findSpec(call.body);
    refusePaging(after, ONE_ROW, prefix);
    const one = { ...spec, limit: atMostOne(spec.limit) };
    const result = await underPrefix(
      prefix,
      database.select(call.principal.namespace, one, call, readOptionsOf(call.body)),
    );
    const [first] = rowTexts(result, call.body.integers);
    if (first === undefined) throw new GatewayError("NOT_FOUND", "not found");
    return { status: 200, body: first, headers: LEVEL_HEADERS[result.level] };
  },
});
