import { z } from "zod";
import { type BulkLoad, ON_CONFLICT } from "../../src/contracts/bulk_loads.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { check } from "../../src/http/problems.ts";
import type { StreamedBody } from "../../src/http/streaming_body.ts";
import { CSV_TYPES, CsvRows, type CsvType } from "./bulk_csv.ts";
import { jsonLinesOf, wrongBody } from "./bulk_lines.ts";
import { columnsOf, RowReader, type Rows } from "./bulk_values.ts";

const name = z.string().min(1).max(1_000);
const onConflict = z.enum(ON_CONFLICT);
const CONFLICTS =
  "What becomes of a row that a constraint refuses: `abort` (default) keeps nothing of the load, `ignore` " +
  "leaves the row out, `replace` puts it in the other's place.";

const TYPE = `(?:${CSV_TYPES.slice(1).join("|")})?`;
const TYPES = new RegExp(`^${TYPE}(?:,${TYPE})*$`);
const parts = (text: string) => text.split(",");

/** What the address of a load says. */
export const bulkQuery = z.object({
  table: name.optional().describe("The table, where the body does not name it: always for CSV."),
  columns: z.string().regex(/^[^,]+(?:,[^,]+)*$/, "must be names with commas in between").transform(parts).optional()
    .describe("Of NDJSON: the columns that rows give values for, with commas in between."),
  on_conflict: onConflict.optional().describe(CONFLICTS),
  types: z.string().regex(TYPES, `must be some of ${CSV_TYPES.slice(1).join(", ")} with commas in between`)
    .transform((text) => parts(text) as CsvType[]).optional().describe(
      "Of CSV: what the text of each column stands for, in order: `text`, `integer`, `real`, `boolean`, `blob` (base64), or " +
        "nothing, which leaves it to the affinity of the column.",
    ),
  null: z.string().max(100).default("").describe(
    "Of CSV: what stands for NULL where it is not in quotes. Default: nothing.",
  ),
  delimiter: z.string().regex(/^[,;|\t]$/, "must be a comma, a semicolon, a bar or a tab").default(",").describe(
    "Of CSV: what stands between fields: a comma (default), a semicolon, a bar or a tab.",
  ),
});

/** The first line of NDJSON, where the address names no table. */
const bulkHeader = z.object({
  table: name,
  columns: z.array(name).min(1).max(2_000).nullish().describe("What the rows give values for, in order."),
  on_conflict: onConflict.nullish().describe(CONFLICTS),
});

/** A load as one JSON value. */
export const bulkBody = bulkHeader.extend({
  rows: z.array(z.unknown()).describe("Lists of values, or objects of columns and values; a column left out is NULL."),
});

/** Rows of JSON that are handed on at once. */
const BATCH = 1_000;

type Body = Pick<StreamedBody, "mediaType" | "chunks" | "maxValueBytes" | "json">;

/** What a body holds that is a load. @throws GatewayError, as reading the rows does */
export async function bulkSource(body: Body, query: z.infer<typeof bulkQuery>): Promise<BulkLoad> {
  switch (body.mediaType) {
    case "text/csv":
      return await fromCsv(body, query);
    case "application/x-ndjson":
      return await fromLines(body, query);
    default:
      return fromJson(check(bulkBody, await body.json(), { idempotent: true }), query);
  }
}

type Query = z.infer<typeof bulkQuery>;

async function fromCsv(body: Body, query: Query): Promise<BulkLoad> {
  const table = query.table ?? missingTable("a load of CSV names its table in the address");
  const { types = [], null: nullText, delimiter } = query;
  const { columns, rows } = await new CsvRows(body.chunks, { types, nullText, delimiter, most: body.maxValueBytes })
    .header();
  return { table, columns, onConflict: query.on_conflict ?? "abort", rows };
}

async function fromLines(body: Body, query: Query): Promise<BulkLoad> {
  const batches = jsonLinesOf(body.chunks, body.maxValueBytes);
  const first = await batches.next();
  let begun = first.done ? [] : first.value;
  let header: z.infer<typeof bulkHeader>;
  if (query.table === undefined) {
    if (first.done) throw wrongBody("it is empty: its first line is {table, columns?, on_conflict?}");
    header = check(bulkHeader, begun[0], { prefix: "line 1: {table, columns?, on_conflict?}; ", idempotent: true });
    begun = begun.slice(1);
  } else header = { table: query.table, columns: query.columns };
  if (begun.length === 0) {
    const next = await batches.next();
    begun = next.done ? [] : next.value;
  }
  return load(header, query, begun[0], (reader) => rowsOf(begun, batches, reader));
}

function fromJson({ rows, ...header }: z.infer<typeof bulkBody>, query: Query): BulkLoad {
  return load(header, query, rows[0], (reader) => batchesOf(rows, reader));
}

function load(
  header: z.infer<typeof bulkHeader>,
  query: Query,
  first: unknown,
  rows: (reader: RowReader) => BulkLoad["rows"],
): BulkLoad {
  const { table, columns = query.columns, on_conflict } = header;
  const known = columns ?? columnsOf(first);
  return {
    table,
    columns: known,
    onConflict: on_conflict ?? query.on_conflict ?? "abort",
    rows: rows(new RowReader(known)),
  };
}

async function* rowsOf(
  begun: readonly unknown[],
  batches: AsyncIterable<readonly unknown[]>,
  reader: RowReader,
): AsyncGenerator<Rows, void> {
  yield begun.map((value) => reader.read(value));
  for await (const batch of batches) yield batch.map((value) => reader.read(value));
}

/** Asynchronous because the other sources are. */
async function* batchesOf(rows: readonly unknown[], reader: RowReader): AsyncGenerator<Rows, void> {
  for (let at = 0; at < rows.length; at += BATCH) {
    yield rows.slice(at, at + BATCH).map((value) => reader.read(value));
  }
}

function missingTable(problem: string): never {
  throw new GatewayError("INVALID_REQUEST", `table: ${problem}`, { details: [{ field: "table", problem }] });
}
