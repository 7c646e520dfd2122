import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { json } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { statementOptions } from "./options.ts";
import { replayed } from "./result_json.ts";

export const createTable = defineRoute({
  method: "POST",
  path: "/v1/rqlite/create-table",
  summary: "Run one definition: CREATE TABLE, CREATE INDEX, ALTER TABLE …",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  bodyHint: "{schema}",
  body: z.object({
    schema: z.string().trim().min(1).describe("The definition, one SQL statement."),
    ...statementOptions,
  }),
  status: 201,
  idempotent: true,
  output: z.object({ status: z.literal("ok"), replayed }),
  errors: WRITE_ERRORS,
  async handle(call, { database }) {
    const { schema: sql, timeout } = call.body;
    if (database.classify(sql).access !== "definition") {
      throw new GatewayError(
        "SQL_NOT_ALLOWED",
        "this is no definition: send it to /v1/rqlite/exec or /v1/rqlite/query",
      );
    }
    const options = { timeout: timeout ?? undefined, idempotencyKey: idempotencyKeyOf(call.incoming) };
    const { replayed } = await database.execute(call.principal.namespace, { sql, args: [] }, call, options);
    return json(201, { status: "ok", replayed });
  },
});
