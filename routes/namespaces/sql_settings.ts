import { z } from "zod";
import { READ_LEVELS } from "../../src/contracts/database.ts";

const DAY = 24 * 60 * 60 * 1000;
const milliseconds = (min: number, max = DAY) => z.int().min(min).max(max).nullable();
/** What is too old goes by minutes. */
const retention = milliseconds(60_000, 365 * DAY);
const amount = (min: number) => z.int().min(min).nullable();

/** What an owner may set for SQL. */
export const sqlSettings = z.strictObject({
  read_level: z.enum(READ_LEVELS).nullable().describe("Consistency of reads that ask for none themselves."),
  freshness: milliseconds(0).describe("Milliseconds by which an answer of level `none` may be behind."),
  statement_timeout: milliseconds(1).describe(
    "Milliseconds that a statement has which asks for nothing else; no more than the limit.",
  ),
  retained_changes: amount(1).describe("Changes of tables that are kept for who listens; no more than the limit."),
  change_retention: retention.describe("Milliseconds for which they are kept; no more than the limit."),
});

/** What an operator may limit of SQL. */
export const sqlLimits = z.strictObject({
  statement_timeout: milliseconds(1).describe("The most milliseconds that a statement may ask for."),
  database_bytes: amount(0).describe("Bytes that the database may hold; 0: any number."),
  rows_per_answer: amount(1).describe("Rows in one answer."),
  bytes_per_answer: amount(1).describe("Bytes of one answer."),
  statements_in_flight: amount(1).describe("Statements that run or wait at once, on each gateway."),
  bulk_rows: amount(1).describe("Rows in one bulk load."),
  retained_changes: amount(1).describe("Changes of tables that may be kept."),
  change_retention: retention.describe("Milliseconds for which they may be kept."),
});
