import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { statementOptions } from "./options.ts";
import { requireScope } from "./scopes.ts";

const MAX_MIGRATIONS = 1_000;
const MAX_STATEMENTS = 1_000;

const migration = z.object({
  version: z.int().min(1).describe("1, 2, 3 … without gaps."),
  name: z.string().trim().min(1).max(200).describe("What it is about, for people."),
  statements: z.array(z.string()).min(1).max(MAX_STATEMENTS).nullish().describe("One SQL statement each, in order."),
  sql: z.string().nullish().describe("In place of `statements`: a script, which is split into them."),
}).refine(({ statements, sql }) => (statements ?? null) === null !== ((sql ?? null) === null), {
  path: ["statements"],
  error: "there must be either statements or sql",
});

const body = z.object({
  migrations: z.array(migration).min(1).max(MAX_MIGRATIONS).describe(
    "By version. Those that are applied may be left out.",
  ),
  dry_run: z.boolean().nullish().describe("Tell what would be done: everything pending is run, and taken back."),
  target: z.int().min(1).nullish().transform((target) => target ?? undefined)
    .describe("The last version to apply. Default: all that are given."),
  ...statementOptions,
});

export const migrate = defineRoute({
  method: "POST",
  path: "/v1/rqlite/migrations",
  summary: "Apply numbered migrations, each once",
  description:
    "Each is applied in a transaction of its own, in order, together with the record that it was; two callers at once apply " +
    "each once. So the request may be repeated whatever came of it, and takes no `Idempotency-Key`. The first failure ends " +
    "it: `details` has the `version`, the `statement` from 0, and the versions that were `applied` before. One that was applied " +
    "with other statements is `CONFLICT`.\n\nAlso needs the scope `sql:write`.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:admin" },
  bodyHint: "{migrations:[{version,name,statements|sql}], dry_run?, target?}",
  body,
  output: z.object({
    version: z.int().describe("The highest version that is applied now."),
    migrations: z.array(z.object({
      version: z.int(),
      name: z.string(),
      checksum: z.string().describe("SHA-256 of its statements, in base64url."),
      state: z.enum(["applied", "applied_now", "pending", "changed"]).describe("`applied_now`: by this request."),
    })),
    dry_run: z.literal(true).optional(),
    problem: z.object({ version: z.int(), statement: z.int().optional(), code: z.string(), message: z.string() })
      .optional().describe("Of a dry run: what stands in the way."),
  }),
  errors: ["CONFLICT", ...WRITE_ERRORS.filter((code) => code !== "OUTCOME_UNKNOWN")],
  async handle(call, { database }) {
    requireScope(call.principal.scopes, "sql:write");
    const { migrations, dry_run, target, timeout } = call.body;
    const given = migrations.map(({ version, name, statements, sql }) => ({
      version,
      name,
      statements: statements ?? sql ?? [],
    }));
    const dryRun = dry_run ?? false;
    const report = await database.migrate(call.principal.namespace, given, call, {
      target,
      dryRun,
      timeout: timeout ?? undefined,
      actor: call.principal,
    });
    return ok({ ...report, ...(dryRun && { dry_run: true }) });
  },
});
