import { z } from "zod";
import type { Expectation, StepResult, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { execMembers, type Integers, MAX_STEPS, rowTexts } from "../../src/contracts/sql_values.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { defineRoute } from "../../src/http/route.ts";
import { args, argument } from "./arguments.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { LEVEL_HEADERS, READ_LEVEL_HEADER, readOptionsOf, transactionOptions } from "./options.ts";
import { execFields, integers, replayed, replayedMember, row } from "./result_json.ts";
import { requireScopes } from "./scopes.ts";

const MAX_EXPECTED_ROWS = 1_000;
const MAX_EXPECTED_COLUMNS = 1_000;
const sql = z.string().trim().min(1);

const expect = z.strictObject({
  rows: z.int().min(0).nullish().describe("How many rows."),
  values: z.array(z.array(argument).min(1).max(MAX_EXPECTED_COLUMNS)).max(MAX_EXPECTED_ROWS).nullish().describe(
    "The rows, in order, each with a value for every column. They are compared with what is stored, as SQL's `IS` does.",
  ),
}).nullish().transform((expect, context): Expectation | undefined => {
  const rows = expect?.rows ?? undefined, values = expect?.values ?? undefined;
  if (rows !== undefined && values === undefined) return { rows };
  if (values !== undefined && rows === undefined) return { values };
  if (expect) context.addIssue({ code: "custom", message: "must be either {rows: n} or {values: [[…], …]}" });
  return undefined;
});

const body = z.object({
  ops: z.array(z.object({
    kind: z.string().trim().toLowerCase().pipe(z.enum(["exec", "query"], "invalid op kind: it must be exec or query")),
    sql,
    args,
    expect: expect.describe(
      "Of a `query`: what it must give. Otherwise nothing of the transaction happens, and the answer is `PRECONDITION_FAILED`.",
    ),
  })).max(MAX_STEPS).nullish(),
  statements: z.array(sql).max(MAX_STEPS).nullish().describe(
    "Each an `exec` without values. Counts where `ops` is missing or empty.",
  ),
  return_results: z.boolean().nullish(),
  integers,
  ...transactionOptions,
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
    "also needs the scope of its kind: `sql:read`, `sql:write`, `sql:admin` for definitions.\n\n" +
    "A `query` with `expect` is a precondition: what it reads cannot change before the steps behind it are done. Repeated " +
    "with its `Idempotency-Key`, a transaction that writes is not run again: `replayed` says so, figures are the same, the " +
    "results of queries are `null`.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:write" },
  bodyHint: "{ops:[{kind,sql,args?}], return_results?} or {statements:[sql...]}",
  body,
  idempotent: true,
  output: z.object({
    status: z.literal("ok"),
    results: z.array(z.union([
      z.object(execFields),
      z.array(row),
      z.null(),
    ])).optional(),
    replayed,
  }),
  headers: [READ_LEVEL_HEADER],
  errors: ["RESULT_TOO_LARGE", "PRECONDITION_FAILED", ...WRITE_ERRORS],
  async handle(call, { database }) {
    const { ops, statements, return_results, integers, level, timeout } = call.body;
    const [list, steps]: [string, TransactionStep[]] = ops?.length
      ? ["ops", ops]
      : ["statements", (statements ?? []).map((sql) => ({ kind: "exec", sql, args: [] }))];
    steps.forEach((step, at) => inPlace(list, at, () => requireScopes(call.principal, database.classify(step.sql))));
    const options = { ...readOptionsOf({ level, timeout }), idempotencyKey: idempotencyKeyOf(call.incoming) };
    const result = await database.transaction(call.principal.namespace, steps, call, options).catch((error) => {
      throw error instanceof GatewayError ? placed(list, error) : error;
    });
    const results = return_results
      ? `,"results":[${result.steps.map((step) => resultText(step, integers)).join(",")}]`
      : "";
    return {
      status: 200,
      body: `{"status":"ok"${results}${replayedMember(result)}}`,
      ...(result.level && { headers: LEVEL_HEADERS[result.level] }),
    };
  },
});

function resultText(step: StepResult, integers: Integers): string {
  if (step.kind === "query") return step.result ? `[${rowTexts(step.result, integers).join(",")}]` : "null";
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
