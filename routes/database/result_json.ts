import { z } from "zod";
import type { ExecResult, PageResult, ResultSet, SqlOutput } from "../../src/contracts/database.ts";

/** Which JSON an INTEGER becomes. */
export const integers = z.enum(["number", "string"]).default("number").describe(
  "`number`: exact JSON numbers, which JavaScript's `JSON.parse` rounds beyond 2^53. `string`: every whole number as text, " +
    "those of REAL columns excepted.",
);
/** As numbers, or as texts that no parser rounds. */
export type Integers = z.infer<typeof integers>;

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

/** The rows as texts of JSON objects. Written by hand: `JSON.stringify` rounds no integer here, and no column name is special. */
export function rowTexts({ columns, types, rows }: ResultSet, integers: Integers): string[] {
  const last = new Map(columns.map((name, at) => [name, at]));
  const members = [...last].map(([name, at]) => ({
    key: `${JSON.stringify(name)}:`,
    at,
    quoted: quotesIntegers(types[at] ?? "", integers),
  }));
  return rows.map((values) => {
    let text = "";
    for (const { key, at, quoted } of members) text += (text && ",") + key + valueText(values[at] ?? null, quoted);
    return `{${text}}`;
  });
}

/** `{"items":[…],"count":n}`. */
export function rowListText(result: ResultSet, integers: Integers): string {
  const texts = rowTexts(result, integers);
  return `{"items":[${texts.join(",")}],"count":${texts.length}}`;
}

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

/** The members of {@link execFields} as JSON, without the braces. */
export function execMembers({ rowsAffected, lastInsertId, returning }: ExecResult, integers: Integers): string {
  const text = (value: number | bigint) => integers === "string" ? `"${value}"` : String(value);
  const rows = returning ? `,${rowListText(returning, integers).slice(1, -1)}` : "";
  return `"rows_affected":${text(rowsAffected)},"last_insert_id":${text(lastInsertId)}${rows}`;
}

/** One value as JSON. @param quoted whether an integer becomes a text */
export function valueText(value: SqlOutput, quoted: boolean): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      // Minus zero is `0`, as `JSON.stringify` has it.
      return quoted && Number.isSafeInteger(value) ? `"${value}"` : String(value);
    case "bigint":
      return quoted ? `"${value}"` : String(value);
    case "boolean":
      return value ? "true" : "false";
    default:
      return value === null ? "null" : `"${value.toBase64()}"`;
  }
}

/** Whether the integers of a column become texts, by its type. */
export const quotesIntegers = (type: string, integers: Integers): boolean => integers === "string" && !isRealType(type);

/** Whether a column is REAL by its declared type (sqlite.org/datatype3.html, 3.1): its whole numbers are then no integers. */
const isRealType = (type: string) => !/int|char|clob|text|blob/.test(type) && /real|floa|doub/.test(type);
