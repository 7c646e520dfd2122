import { z } from "zod";
import { rfc3339 } from "../../src/http/formats.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";

export const listMigrations = defineRoute({
  method: "GET",
  path: "/v1/rqlite/migrations",
  summary: "List the migrations that were applied, by version",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  output: z.object({
    migrations: z.array(z.object({
      version: z.int(),
      name: z.string(),
      checksum: z.string().describe("SHA-256 of its statements, in base64url."),
      applied_at: z.string(),
      duration: z.int().nullable().describe("Milliseconds. `null` where it could not be noted."),
    })),
    count: z.int(),
  }),
  errors: ["CONFLICT", "STATEMENT_TIMEOUT", "TOO_MANY_STATEMENTS", "UNAVAILABLE"],
  async handle(call, { database }) {
    const applied = await database.migrations(call.principal.namespace, call);
    const migrations = applied.map(({ appliedAt, ...rest }) => ({ ...rest, applied_at: rfc3339(appliedAt) }));
    return ok({ migrations, count: migrations.length });
  },
});
