import { z } from "zod";
import type { ChangedRow, ChangeEvent } from "../../src/contracts/database_changes.ts";
import { type Integers, rowTexts } from "../../src/contracts/sql_values.ts";
import { row } from "./result_json.ts";

/** One change as JSON. */
export const change = z.object({
  id: z.string().describe("Its position: whoever goes on behind it misses nothing."),
  event: z.enum(["insert", "update", "delete", "dropped"]),
  table: z.string(),
  key: row.nullable().describe("The primary key, or `rowid` where there is none. Of an `update` the new one."),
  before: row.nullable(),
  after: row.nullable(),
  too_large: z.literal(true).optional().describe("A row is missing because it has more than 256 KiB."),
});

/** `a,b`: names with commas or quotes in them stand in double quotes, as in SQL. */
export const tableNames = z.string().trim().min(1).max(10_000).transform((text) =>
  [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,"]+))\s*(?:,|$)/g)].map(([, quoted, bare]) =>
    quoted?.replaceAll('""', '"') ?? bare!.trim()
  ).filter((name) => name !== "")
).pipe(z.array(z.string()).min(1, "must be names with commas between them; odd ones in double quotes")).describe(
  'Tables, with commas between them; a name with a comma or a quote in it stands in double quotes, as in SQL: `a,"b,c"`.',
);

/** Where to begin. @param fallback where the request does not say */
export const since = (fallback: "now" | "0") =>
  z.string().trim().default(fallback).describe("`now`, `0` for everything that is kept, or the id of an event.");

/** An event as JSON, without line breaks. */
export function changeText(event: ChangeEvent, integers: Integers): string {
  const { kind, position } = event;
  if (kind === "truncated") return `{"id":"${position}","event":"truncated"}`;
  const { table, key, before, after, tooLarge } = event;
  return `{"id":"${position}","event":"${kind}","table":${JSON.stringify(table)},"key":${rowText(key, integers)}` +
    `,"before":${rowText(before, integers)},"after":${rowText(after, integers)}${tooLarge ? ',"too_large":true' : ""}}`;
}

/** The data of the first event. */
export const positionText = (position: string): string => JSON.stringify({ position });

const rowText = (changed: ChangedRow | undefined, integers: Integers): string =>
  changed === undefined
    ? "null"
    : rowTexts({ columns: changed.columns, types: changed.types, rows: [changed.values] }, integers)[0]!;
