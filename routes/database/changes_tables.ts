import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { WRITE_ERRORS } from "./errors.ts";

const feed = z.object({
  table: z.string(),
  columns: z.array(z.string()).nullable().describe(
    "What events show of a row; `null`: all columns, later ones included.",
  ),
  key: z.array(z.string()).describe("What names a row."),
});

export const enableChanges = defineRoute({
  method: "POST",
  path: "/v1/rqlite/changes/tables",
  summary: "Switch the change feed of a table on",
  description:
    "From now on what is committed to the table is kept: for a day, and at most 100,000 changes of the namespace, where its " +
    "settings (`sql.change_retention`, `sql.retained_changes`) do not say otherwise. Each write " +
    "to the table then writes a second row. With `columns`, events show these and the key alone, and an `UPDATE` that " +
    "changes none of them is none. May be repeated, with other columns too.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  bodyHint: "{table, columns?}",
  body: z.object({
    table: z.string().min(1).max(1_000).describe("A table of the namespace's database."),
    columns: z.array(z.string()).max(2_000).nullish().transform((columns) => columns ?? undefined)
      .describe("What events show beside the key; absent: all columns, later ones included."),
  }),
  output: feed,
  errors: ["NOT_FOUND", "CONFLICT", ...WRITE_ERRORS],
  async handle(call, { databaseChanges }) {
    const { table, columns } = call.body;
    const view = await databaseChanges.enable(call.principal.namespace, table, columns, call);
    return ok({ ...view, columns: view.columns ?? null });
  },
});

export const disableChanges = defineRoute({
  method: "DELETE",
  path: "/v1/rqlite/changes/tables/:table",
  summary: "Switch the change feed of a table off",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  params: z.object({ table: z.string().min(1).describe("The table whose feed ends.") }),
  output: z.object({ status: z.literal("ok") }),
  errors: ["NOT_FOUND", ...WRITE_ERRORS],
  async handle(call, { databaseChanges }) {
    await databaseChanges.disable(call.principal.namespace, call.params.table, call);
    return ok({ status: "ok" });
  },
});

export const listChanges = defineRoute({
  method: "GET",
  path: "/v1/rqlite/changes/tables",
  summary: "List the tables whose change feed is on",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  output: z.object({ tables: z.array(feed), count: z.int() }),
  errors: ["STATEMENT_TIMEOUT", "UNAVAILABLE"],
  async handle(call, { databaseChanges }) {
    const tables = await databaseChanges.tables(call.principal.namespace, call);
    return ok({ tables: tables.map((view) => ({ ...view, columns: view.columns ?? null })), count: tables.length });
  },
});
