import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

export const schema = defineRoute({
  method: "GET",
  path: "/v1/rqlite/schema",
  summary: "List tables and views, by name",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:read" },
  output: z.object({
    tables: z.array(z.object({ name: z.string(), type: z.enum(["table", "view"]), sql: z.string() })),
    count: z.int(),
  }),
  errors: ["STATEMENT_TIMEOUT", "UNAVAILABLE"],
  async handle(call, { database }) {
    const tables = await database.schema(call.principal.namespace, call);
    return ok({ tables, count: tables.length });
  },
});
