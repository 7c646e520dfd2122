import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { statementOptions } from "./options.ts";
import { replayed } from "./result_json.ts";

export const dropTable = defineRoute({
  method: "POST",
  path: "/v1/rqlite/drop-table",
  summary: "Drop a table",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  bodyHint: "{table}",
  body: z.object({ table: z.string().trim().min(1).describe("Its name."), ...statementOptions }),
  idempotent: true,
  output: z.object({ status: z.literal("ok"), replayed }),
  errors: ["NOT_FOUND", ...WRITE_ERRORS],
  async handle(call, { database }) {
    const { table, timeout } = call.body;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(table)) {
      const problem = "a name is letters, digits and _, and begins with no digit; others go to /v1/rqlite/exec";
      throw new GatewayError("INVALID_REQUEST", `invalid table identifier: ${problem}`, {
        details: [{ field: "table", problem }],
      });
    }
    const options = { timeout: timeout ?? undefined, idempotencyKey: idempotencyKeyOf(call.incoming) };
    const { replayed } = await database.dropTable(call.principal.namespace, table, call, options);
    return ok({ status: "ok", replayed });
  },
});
