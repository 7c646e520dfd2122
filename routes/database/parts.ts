import { z } from "zod";
import type { JoinSpec, SelectSpec, SqlArgument } from "../../src/contracts/database.ts";
import { type FieldProblem, GatewayError } from "../../src/contracts/errors.ts";
import { argument } from "./arguments.ts";

/** Schemas of the parts of a `SELECT` that `find` and `select` share. What a name may look like the database service decides. */

const name = z.string().trim().min(1).max(4_000);
/** A list that may be missing or null. */
const some = <T extends z.ZodType>(item: T, max: number) =>
  z.array(item).max(max).nullish().transform((list) => list ?? undefined);
const count = z.int().min(0).nullish().transform((value) => value ?? undefined);

/** A table and, if wanted, its alias. */
export const table = name.describe("A table, also with an alias: `orders`, `orders AS o`.");

/** Parts by their names on the wire. */
export const parts = {
  select: some(name, 1_000).describe(
    "Columns and calls, with or without `AS`: `id`, `u.name`, `COUNT(*) AS n`. Default `*`.",
  ),
  joins: some(
    z.object({
      kind: z.string().max(40).nullish().transform((kind) => kind ?? undefined)
        .describe("`INNER` (default), `LEFT`, `RIGHT`, `FULL` or `CROSS`, any case, with or without `JOIN`."),
      table,
      on: z.string().max(100_000).nullish().transform((on) => on ?? "").describe("An SQL condition of your own."),
    }),
    64,
  ),
  group_by: some(name, 100),
  order_by: some(name, 100).describe("`name`, `name DESC`, `name ASC NULLS LAST`, `RANDOM()`."),
  limit: count,
  offset: count,
  after: z.string().nullish().transform((after) => after ?? undefined).describe(
    'Asks for a page of `limit` rows: `""` for the first one, then `next` of the answer before. Needs `limit` and ' +
      "`order_by`, which may be the same for several rows.",
  ),
};

/** The parts as the database service knows them. */
export interface Parts {
  readonly select?: string[] | undefined;
  readonly joins?: JoinSpec[] | undefined;
  readonly group_by?: string[] | undefined;
  readonly order_by?: string[] | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly after?: string | undefined;
}

/** From the words of the wire to those of the contract. */
export const toSpec = (
  { select, joins, group_by: groupBy, order_by: orderBy, limit, offset }: Parts,
): Omit<SelectSpec, "table"> => ({ select, joins, groupBy, orderBy, limit, offset });

/** At most the one row that is asked for. */
export const atMostOne = (limit: number | undefined): number => Math.min(limit ?? 1, 1);

/** Refuses `after` where the answer has no place for what comes next. @throws GatewayError `INVALID_REQUEST` */
export function refusePaging(after: string | undefined, problem: string, prefix = ""): void {
  if (after === undefined) return;
  const field = `${prefix}after`;
  throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}

/** One row is no page. */
export const ONE_ROW = "one row has no next page: leave it out";
/** Lines are no page. */
export const NO_LINES = "pages are JSON: ask for application/json, or leave it out to get all rows line by line";

/** Lets an error name its part as the client wrote it: the service does not know in which object of the body it stood. */
export async function underPrefix<T>(prefix: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    if (prefix === "" || !(error instanceof GatewayError) || !Array.isArray(error.extra.details)) throw error;
    const details = error.extra.details as FieldProblem[];
    if (!details.some(({ field }) => (field.split(".")[0] ?? "") in parts)) throw error;
    const prefixed = details.map((detail) => ({ ...detail, field: prefix + detail.field }));
    throw new GatewayError(error.code, prefix + error.message, { ...error.extra, details: prefixed });
  }
}

const MAX_CRITERIA = 1_000;

/** Column to value, as pairs: as an object a column named `__proto__` would vanish, and with it a condition. */
export const criteria = z.unknown().optional().transform((value, context): [string, SqlArgument][] => {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) {
    return refuse(context, [], "must be an object of columns and values");
  }
  const entries = Object.entries(value);
  if (entries.length > MAX_CRITERIA) return refuse(context, [], `must have at most ${MAX_CRITERIA} columns`);
  return entries.map(([column, given]) => {
    const result = argument.safeParse(given);
    if (!result.success) refuse(context, [column], result.error.issues[0]?.message ?? "is wrong");
    return [column, result.data ?? null];
  });
}).meta({
  description: "Columns and the values they must equal; `null` means `IS NULL`.",
  type: ["object", "null"],
  maxProperties: MAX_CRITERIA,
});

function refuse(context: z.RefinementCtx, path: string[], message: string): [] {
  context.addIssue({ code: "custom", path, message });
  return [];
}
