import { z } from "zod";
import { execMembers } from "../../src/contracts/sql_values.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { defineRoute } from "../../src/http/route.ts";
import { args } from "./arguments.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { statementOptions } from "./options.ts";
import { execFields, integers, replayed, replayedMember } from "./result_json.ts";
import { requireScopes } from "./scopes.ts";

export const exec = defineRoute({
  method: "POST",
  path: "/v1/rqlite/exec",
  summary: "Run one SQL statement of any kind",
  description:
    "Definitions (`CREATE`, `DROP`, `ALTER` …) also need the scope `sql:admin`, rows of a `RETURNING` clause `sql:read`. " +
    "`last_insert_id` is 0 where nothing was inserted; definitions have 0 and 0. Repeated with its `Idempotency-Key`, the " +
    "statement is not run again: the figures are the same, `replayed` says so, and the rows of a `RETURNING` clause are lost.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:write" },
  bodyHint: "{sql, args?}",
  body: z.object({ sql: z.string().trim().min(1), args, integers, ...statementOptions }),
  idempotent: true,
  output: z.object({ ...execFields, execution_state: z.literal("ok"), replayed }),
  errors: ["RESULT_TOO_LARGE", ...WRITE_ERRORS],
  async handle(call, { database }) {
    const { sql, args, integers, timeout } = call.body;
    requireScopes(call.principal, database.classify(sql));
    const options = { timeout: timeout ?? undefined, idempotencyKey: idempotencyKeyOf(call.incoming) };
    const result = await database.execute(call.principal.namespace, { sql, args }, call, options);
    return { status: 200, body: `{${execMembers(result, integers)},"execution_state":"ok"${replayedMember(result)}}` };
  },
});
