import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { json } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { WRITE_ERRORS } from "./errors.ts";

export const createTable = defineRoute({
  method: "POST",
  path: "/v1/rqlite/create-table",
  summary: "Run one definition: CREATE TABLE, CREATE INDEX, ALTER TABLE …",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  bodyHint: "{schema}",
  body: z.object({ schema: z.string().trim().min(1) }),
  status: 201,
  output: z.object({ status: z.literal("ok") }),
  errors: WRITE_ERRORS,
  async handle(call, { database }) {
    const { schema: sql } = call.body;
    if (database.classify(sql).access !== "definition") {
      throw new GatewayError(
        "SQL_NOT_ALLOWED",
        "this is no definition: send it to /v1/rqlite/exec or /v1/rqlite/query",
      );
    }
    await database.execute(call.principal.namespace, { sql, args: [] }, call);
    return json(201, { status: "ok" });
  },
});
