import { z } from "zod";
import { defineRoute } from "../../src/http/route.ts";
import { change, changeText, since, tableNames } from "./change_json.ts";
import { integers } from "./result_json.ts";

const MOST = 1_000;

export const readChanges = defineRoute({
  method: "GET",
  path: "/v1/rqlite/changes/log",
  summary: "Read what is kept of the changes of tables",
  description:
    "For those without server-sent events: ask again with `next` as `since`, at once while `more` is true. Of the changes " +
    "of other tables only the place is seen, so a page may be empty and more may follow.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  query: z.object({
    tables: tableNames.optional(),
    since: since("0"),
    limit: z.coerce.number().int().min(1).max(MOST).default(100).describe("How many changes are looked at."),
    integers,
  }),
  output: z.object({
    changes: z.array(change),
    count: z.int(),
    next: z.string().describe("Where to go on."),
    more: z.boolean().describe("Whether more is kept already."),
  }),
  errors: ["NOT_FOUND", "POSITION_GONE", "STATEMENT_TIMEOUT", "UNAVAILABLE"],
  async handle(call, { databaseChanges }) {
    const { tables, since, limit, integers } = call.query;
    const page = await databaseChanges.log(call.principal.namespace, { tables, since }, limit, call);
    const texts = page.changes.map((one) => changeText(one, integers));
    const rest = JSON.stringify({ count: texts.length, next: page.next, more: page.more }).slice(1);
    return { status: 200, body: `{"changes":[${texts.join(",")}],${rest}` };
  },
});
