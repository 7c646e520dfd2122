import { z } from "zod";
import type { StepResult, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { args } from "./arguments.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { execFields, execMembers, type Integers, integers, row, rowTexts } from "./result_json.ts";
import { requireScopes } from "./scopes.ts";

const MAX_STEPS = 1_000;
const sql = z.string().trim().min(1);

const body = z.object({
  ops: z.array(z.object({
    kind: z.string().trim().toLowerCase().pipe(z.enum(["exec", "query"], "invalid op kind: it must be exec or query")),
    sql,
    args,
  })).max(MAX_STEPS).nullish(),
  statements: z.array(sql).max(MAX_STEPS).nullish().describe(
    "Each an `exec` without values. Counts where `ops` is missing or empty.",
  ),
  return_results: z.boolean().nullish(),
  integers,
}).refine(({ ops, statements }) => (ops?.length ?? 0) + (statements?.length ?? 0) > 0, {
  path: ["ops"],
  error: "there must be at least one op or statement",
});

export const transaction = defineRoute({
  method: "POST",
  path: "/v1/rqlite/transaction",
  summary: "Run several SQL statements, all or none",
  description:
    "In order, each seeing what those before it did; the first error rolls everything back and is answered with the place " +
    "of its statement in `details.step`. Each statement " +
    "also needs the scope of its kind: `sql:read`, `sql:write`, `sql:admin` for definitions.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:write" },
  bodyHint: "{ops:[{kind,sql,args?}], return_results?} or {statements:[sql...]}",
  body,
  output: z.object({
    status: z.literal("ok"),
    results: z.array(z.union([
      z.object(execFields),
      z.array(row),
    ])).optional(),
  }),
  errors: ["RESULT_TOO_LARGE", ...WRITE_ERRORS],
  async handle(call, { database }) {
    const { ops, statements, return_results, integers } = call.body;
    const [list, steps]: [string, TransactionStep[]] = ops?.length
      ? ["ops", ops]
      : ["statements", (statements ?? []).map((sql) => ({ kind: "exec", sql, args: [] }))];
    steps.forEach((step, at) => inPlace(list, at, () => requireScopes(call.principal, database.classify(step.sql))));
    const results = await database.transaction(call.principal.namespace, steps, call).catch((error) => {
      throw error instanceof GatewayError ? placed(list, error) : error;
    });
    if (!return_results) return ok({ status: "ok" });
    return {
      status: 200,
      body: `{"status":"ok","results":[${results.map((result) => resultText(result, integers)).join(",")}]}`,
    };
  },
});

function resultText(step: StepResult, integers: Integers): string {
  if (step.kind === "query") return `[${rowTexts(step.result, integers).join(",")}]`;
  return `{${execMembers(step.result, integers)}}`;
}

function inPlace(list: string, step: number, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const { code, message, extra } = error;
    const details = typeof extra.details === "object" && !Array.isArray(extra.details) ? extra.details : {};
    throw placed(list, new GatewayError(code, message, { ...extra, details: { ...details, step } }));
  }
}

/** Begins the sentence with the place in the request that it speaks of. */
function placed(list: string, error: GatewayError): GatewayError {
  const { code, message, extra } = error;
  const details = extra.details;
  if (typeof details !== "object" || details === null || !("step" in details)) return error;
  const field = `${list}.${String(details.step)}`;
  return new GatewayError(code, `${field}: ${message}`, { ...extra, details: { ...details, field } });
}
