import { z } from "zod";
import type { PageResult } from "../../src/contracts/database.ts";
import { type Integers, rowListText } from "../../src/contracts/sql_values.ts";

/** Which JSON an INTEGER becomes. */
export const integers = z.enum(["number", "string"]).default("number").describe(
  "`number`: exact JSON numbers, which JavaScript's `JSON.parse` rounds beyond 2^53. `string`: every whole number as text, " +
    "those of REAL columns excepted.",
);
/** What one row looks like. */
export const row = z.record(z.string(), z.json()).describe(
  "Column name to value; of columns with one name the last counts.",
);
/** What a list of rows looks like. */
export const rowList = z.object({ items: z.array(row), count: z.int() });

/** The same where a page may have been asked for. */
export const rowPage = rowList.extend({
  next: z.string().nullable().optional().describe(
    "With `after`: what the next request has as `after`; null where this page was not full.",
  ),
});

/** `{"items":[…],"count":n,"next":…}`. */
export const rowPageText = (page: PageResult, integers: Integers): string =>
  `${rowListText(page, integers).slice(0, -1)},"next":${JSON.stringify(page.next)}}`;

const figure = z.union([z.int(), z.string()]);
/** What an `exec` gives, by the names of the wire. */
export const execFields = {
  rows_affected: figure,
  last_insert_id: figure.describe("0 where nothing was inserted."),
  items: z.array(row).optional().describe("The rows of a `RETURNING` clause."),
  count: z.int().optional(),
};

/** Says that an answer repeats what an earlier request did. */
export const replayed = z.literal(true).optional().describe(
  "The `Idempotency-Key` was known: nothing was run now. Figures are those of the first time; rows were not kept.",
);

/** The member {@link replayed} as JSON, with the comma before it. */
export const replayedMember = ({ replayed }: { readonly replayed?: true }): string =>
  replayed ? `,"replayed":true` : "";
