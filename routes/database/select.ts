import { z } from "zod";
import type { ResultSet, SelectSpec } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { type Integers, rowListText, rowTexts } from "../../src/contracts/sql_values.ts";
import { defineRoute } from "../../src/http/route.ts";
import { args } from "./arguments.ts";
import { READ_ERRORS } from "./errors.ts";
import { LINES, NDJSON, rowLines, rowsReply, wantsLines } from "./ndjson.ts";
import { LEVEL_HEADERS, READ_LEVEL_HEADER, readOptions, readOptionsOf } from "./options.ts";
import { atMostOne, NO_LINES, ONE_ROW, parts, refusePaging, table, toSpec } from "./parts.ts";
import { integers, row, rowPage, rowPageText } from "./result_json.ts";

const body = z.object({
  table,
  alias: z.string().trim().max(4_000).nullish().transform((alias) => alias || undefined),
  ...parts,
  where: z.array(z.object({
    conj: z.string().trim().toUpperCase().pipe(z.enum(["AND", "OR"])).nullish().or(z.literal("")).transform((conj) =>
      conj || undefined
    )
      .describe("How it joins the clause before it. Default `AND`."),
    expr: z.string().min(1).max(100_000).describe("An SQL condition of your own, with `?` for values."),
    args,
  })).max(1_000).nullish().transform((where) => where ?? undefined),
  one: z.boolean().nullish().describe("Answer the first row alone."),
  integers,
  ...readOptions,
});

export const select = defineRoute({
  method: "POST",
  path: "/v1/rqlite/select",
  summary: "Run a SELECT given in parts",
  description: "With `one` the answer is the row itself with `items`, the list of this one row, beside its columns. " +
    LINES,
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  bodyHint: "{table, select?, where?, joins?, order_by?, group_by?, limit?, offset?, one?}",
  body,
  output: z.union([rowPage, row]),
  alsoProduces: { [NDJSON]: rowLines },
  headers: [READ_LEVEL_HEADER],
  errors: ["NOT_FOUND", ...READ_ERRORS],
  async handle(call, { database }) {
    const { table, alias, where, one, integers, after } = call.body;
    const spec: SelectSpec = { table, alias, where, ...toSpec(call.body) };
    const limited = one ? { ...spec, limit: atMostOne(spec.limit) } : spec;
    const { namespace } = call.principal;
    const options = readOptionsOf(call.body);
    if (one) refusePaging(after, ONE_ROW);
    if (!one && wantsLines(call)) {
      refusePaging(after, NO_LINES);
      return await rowsReply(call, integers, (context) => database.streamSelect(namespace, spec, context, options));
    }
    if (after !== undefined) {
      const page = await database.page(namespace, spec, after, call, options);
      return { status: 200, body: rowPageText(page, integers), headers: LEVEL_HEADERS[page.level] };
    }
    const result = await database.select(namespace, limited, call, options);
    const body = one ? oneText(result, integers) : rowListText(result, integers);
    return { status: 200, body, headers: LEVEL_HEADERS[result.level] };
  },
});

/** The row at the top and in `items`, because clients look in either place; a column named `items` wins. */
function oneText(result: ResultSet, integers: Integers): string {
  const [first] = rowTexts(result, integers);
  if (first === undefined) throw new GatewayError("NOT_FOUND", "not found");
  return result.columns.includes("items") ? first : `{"items":[${first}],${first.slice(1)}`;
}
