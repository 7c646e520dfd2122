import { z } from "zod";
import { READ_LEVELS, type ReadLevel, type ReadOptions } from "../../src/contracts/database.ts";

/** Members by which a request says how it wants to be run. `null` counts as absent: the namespace's settings decide. */

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const DURATION = /^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[smh])){1,4}$/;
const EXPECTED = "must be milliseconds, or a duration such as 500ms, 2s or 1m30s, more than 0";

/** A span of time as a client writes it; comes out in whole milliseconds, at least 1. */
const milliseconds = z.union([z.int(EXPECTED).min(1, EXPECTED), z.string().regex(DURATION, EXPECTED)], EXPECTED)
  .transform(
    (value, context) => {
      if (typeof value !== "string") return value;
      const span = millisecondsOf(value);
      if (span > 0) return span;
      context.addIssue({ code: "custom", message: EXPECTED });
      return z.NEVER;
    },
  ).nullish();

function millisecondsOf(text: string): number {
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|[smh])/g)) total += Number(amount) * UNITS[unit!]!;
  return Math.ceil(total);
}

const level = z.enum(READ_LEVELS).nullish();

/** What every statement takes. */
export const statementOptions = {
  timeout: milliseconds.describe(
    "How long the statement may run: milliseconds, or a duration such as `2s`. No more than the namespace's ceiling.",
  ),
};

/** What reads take beside it. */
export const readOptions = {
  level: level.describe(
    "What the read must see: `none` what any node has (it may lag), `weak` what the leader has, `linearizable` also every " +
      "write acknowledged before, though the leader has just changed, `strong` the same by way of the log.",
  ),
  freshness: milliseconds.describe(
    "With `none`: how long ago the node may have heard from the leader, in milliseconds or as a duration such as `2s`.",
  ),
  ...statementOptions,
};

/** What a transaction takes. */
export const transactionOptions = {
  level: level.describe(
    "As in `query`, where every step reads. One that writes goes through the log as a whole, and its reads with it: there " +
      "is no level to choose, and giving one is refused.",
  ),
  ...statementOptions,
};

type OrNull<Options> = { readonly [Name in keyof Options]: Options[Name] | null };

/** The options among the members of a body. */
export const readOptionsOf = ({ level, freshness, timeout }: OrNull<ReadOptions>): ReadOptions => ({
  level: level ?? undefined,
  freshness: freshness ?? undefined,
  timeout: timeout ?? undefined,
});

/** Names, in the answer to a read, the level that it was read at. */
export const READ_LEVEL_HEADER = "Orama-Read-Level";

/** The headers of an answer that was read at this level. Some have another form for those who ask for it. */
export const LEVEL_HEADERS = Object.fromEntries(
  READ_LEVELS.map((level): [string, Readonly<Record<string, string>>] => [
    level,
    Object.freeze({ [READ_LEVEL_HEADER.toLowerCase()]: level, vary: "Accept" }),
  ]),
) as Readonly<Record<ReadLevel, Readonly<Record<string, string>>>>;
