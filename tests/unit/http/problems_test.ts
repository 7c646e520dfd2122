import { deepEqual, equal, ok } from "node:assert/strict";
import { z, type ZodType } from "zod";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { check, type CheckOptions } from "../../../src/http/problems.ts";

function refused(schema: ZodType, value: unknown, options?: CheckOptions): GatewayError {
  try {
    check(schema, value, options);
  } catch (error) {
    ok(error instanceof GatewayError, String(error));
    equal(error.code, "INVALID_REQUEST");
    return error;
  }
  throw new Error(`${JSON.stringify(value)} was taken`);
}
const detailsOf = (...args: Parameters<typeof refused>) =>
  refused(...args).extra.details as { field: string; problem: string }[];
const problemOf = (schema: ZodType, value: unknown) => {
  const details = detailsOf(z.object({ x: schema }), { x: value });
  deepEqual(details.map(({ field }) => field), ["x"], "one problem for one field");
  return details[0]!.problem;
};

Deno.test("what is wrong is told in words of JSON, with what to write in its place", () => {
  const wrong: readonly [ZodType, unknown, string][] = [
    [z.string(), undefined, "is missing; it must be a string"],
    [z.string(), 7, "must be a string"],
    [z.string().min(1).max(3), "", "must not be empty"],
    [z.string().max(3), "four", "must have at most 3 characters"],
    [z.string().min(4), "abc", "must have at least 4 characters"],
    [z.array(z.string()).min(1).max(1), [], "must not be empty"],
    [z.array(z.string()).max(1), ["a", "b"], "must have at most 1 item"],
    [z.array(z.string()).max(3), "a text that is long", "must be a list"],
    [z.object({}), [], "must be an object"],
    [z.boolean(), "true", "must be true or false"],
    [z.number(), "1", "must be a number"],
    [z.int(), "1", "must be a whole number"],
    [z.int(), 1.5, "must be a whole number"],
    [z.int(), null, "must be a whole number"],
    [z.int().min(1), 0, "must be at least 1"],
    [z.int().max(5), 6, "must be at most 5"],
    [z.int().max(5), 1e300, "must be at most 5"],
    [z.number().positive(), 0, "must be more than 0"],
    [z.number(), Infinity, "is too large a number"],
    [z.int(), 2n ** 64n, "is too large a number"],
    [z.coerce.number(), "x", "must be a number"],
    [z.enum(["a", "b"]), "c", "must be one of a, b"],
    [z.literal("S256"), "plain", "must be S256"],
    [z.union([z.string(), z.boolean()]), 1, "must be a string or true or false"],
    [z.enum(["a", "b"]).or(z.literal("")), "c", "must be one of a, b or nothing"],
    [
      z.union([z.array(z.string()), z.object({ a: z.string() })]),
      [1],
      "has none of the forms that the reference shows",
    ],
    [z.iso.datetime(), "yesterday", "must be a time of RFC 3339, such as 2026-01-31T12:00:00Z"],
    [z.string().regex(/^a$/), "b", "is not written as the reference says"],
    [z.string().regex(/^a$/, "must be an a"), "b", "must be an a"],
    [z.number().refine((n) => n > 5, "must be above 5"), 1, "must be above 5"],
  ];
  for (const [schema, value, problem] of wrong) equal(problemOf(schema, value), problem);
});

Deno.test("a member that is nearly the name of one that is not there is refused, wherever it stands", () => {
  const schema = z.object({
    sql: z.string(),
    args: z.array(z.unknown()).nullish().transform((args) => args ?? []),
    level: z.string().nullish(),
    order_by: z.string().optional(),
    ops: z.array(z.object({ kind: z.string().default("exec"), args: z.array(z.number()).optional() })).nullish()
      .transform((ops) => ops ?? undefined),
    options: z.object({ limit: z.int().optional(), offset: z.int().optional() }).nullish(),
  }).refine(() => true);
  const told = (more: object) => detailsOf(schema, { sql: "s", ...more }).map(({ field, problem }) => [field, problem]);
  const meant = (field: string, name: string) => [[field, `unknown; did you mean ${name}?`]];
  for (
    const [name, known] of [
      ["levl", "level"],
      ["Level", "level"],
      ["levle", "level"],
      ["argz", "args"],
      ["ARGS", "args"],
      ["orderBy", "order_by"],
      ["order-by", "order_by"],
      ["option", "options"],
    ] as const
  ) deepEqual(told({ [name]: null }), meant(name, known), name);
  deepEqual(told({ options: { limt: 5 } }), meant("options.limt", "limit"));
  deepEqual(told({ ops: [{}, { arg: [] }] }), meant("ops.1.arg", "args"));
  deepEqual(detailsOf(schema, { sq1: "s" }), [
    { field: "sq1", problem: "unknown; did you mean sql?" },
    { field: "sql", problem: "is missing; it must be a string" },
  ]);
  equal(
    refused(schema, { sql: "s", levl: 1 }, { prefix: "invalid body: " }).message,
    "invalid body: levl: unknown; did you mean level?",
  );
  const many = Array.from({ length: 1_000 }, () => ({ arg: 1, kinds: 2 }));
  equal(told({ ops: many }).length, 20);
});

Deno.test("what resembles no name, or one that is there, is let pass as it always was", () => {
  const parts = { limit: z.int().optional(), order_by: z.array(z.string()).optional() };
  const schema = z.object({
    sql: z.string(),
    args: z.array(z.unknown()).optional(),
    level: z.string().optional(),
    return_results: z.boolean().optional(),
    order_by: z.array(z.string()).optional(),
    options: z.object(parts).optional(),
    criteria: z.unknown().optional(),
  });
  const given = {
    sql: "s",
    level: "weak",
    levels: 1,
    label: "a report",
    order: ["id"],
    stop_on_error: true,
    partial_results: true,
    where: [],
    options: { where: {}, lead: 1 },
    criteria: { sq: 1, limt: 2 },
    args: [{ sq: 1 }],
    on: 1,
    ["x".repeat(100_000)]: 1,
    constructor: 1,
    toString: 1,
  };
  const { sql, level, criteria, args } = given;
  deepEqual(check(schema, given), { sql, level, criteria, args, options: {} });
  deepEqual(check(schema, JSON.parse('{"sql":"s","__proto__":{"argz":1}}')), { sql: "s" });
  deepEqual(check(z.looseObject({ name: z.string().optional() }), { nam: 1 }), { nam: 1 });
});

Deno.test("of very many unknown members the first thousand are looked at", () => {
  const schema = z.object({ level: z.string().optional(), ops: z.array(z.object({ sql: z.string().optional() })) });
  const strange = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, i]));
  equal(detailsOf(schema, { ...strange(999), levl: 1, ops: [] }).length, 1);
  deepEqual(check(schema, { ...strange(1_000), levl: 1, ops: [] }), { ops: [] });
  const ops = Array.from({ length: 1_000 }, () => ({ x: 1 }));
  deepEqual(check(schema, { ops: [...ops, { sq1: 1 }] }).ops.length, 1_001);
});

Deno.test("an idempotency key in the body is refused where the header is taken, and nowhere else", () => {
  const schema = z.object({ sql: z.string() });
  for (const name of ["idempotency_key", "idempotencyKey", "Idempotency-Key"]) {
    const [first, ...others] = detailsOf(schema, { sql: "s", [name]: "k" }, { idempotent: true });
    deepEqual([first, others], [
      { field: name, problem: "is no member of the body: send it as the header Idempotency-Key" },
      [],
    ]);
    deepEqual(check(schema, { sql: "s", [name]: "k" }), { sql: "s" });
  }
});

Deno.test("a schema may have a sentence of its own, which stands where no misspelling explains it", () => {
  const key = z.unknown().transform((value, context) => {
    if (value === undefined) {
      context.addIssue({ code: "custom", message: "is missing", params: { sentence: "no key" } });
    }
    return value;
  });
  const schema = z.object({ key, count: z.int() });
  equal(refused(schema, { count: 1 }).message, "no key");
  deepEqual(detailsOf(schema, { count: "x" }).map(({ field }) => field), ["key", "count"]);
  equal(refused(schema, { Key: 1, count: 1 }).message, "Key: unknown; did you mean key?");
  equal(refused(schema, { key: 1, count: "x" }).message, "count: must be a whole number");
});
