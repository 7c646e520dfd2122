import { z } from "zod";
import type { BulkEvent } from "../../src/contracts/bulk_loads.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { streamContext } from "../../src/http/streamed_reply.ts";
import { bulkBody, bulkQuery, bulkSource } from "./bulk_source.ts";
import { WRITE_ERRORS } from "./errors.ts";
import { errorLine, linesReply, NDJSON, wantsLines } from "./ndjson.ts";

const done = z.object({
  rows: z.int().describe("Rows of the load."),
  rows_affected: z.int().describe("Rows that are there now; fewer where some were ignored."),
  replayed: z.literal(true).optional().describe("Answered from what was kept for the `Idempotency-Key`."),
});

export const bulk = defineRoute({
  method: "POST",
  path: "/v1/rqlite/bulk",
  summary: "Load many rows into one table, all or none",
  description:
    "The body is JSON, NDJSON (a first line `{table, columns?, on_conflict?}`, unless the address names the table, then a " +
    "row per line) or CSV (a first line with the names of columns). It is taken in as it comes, and nothing is visible " +
    "before all of it is. A line of NDJSON, or a record of CSV, may be as long as an ordinary body. An error names the row, " +
    "from 1, in `details.row`. With `Accept: application/x-ndjson` the answer tells of the progress.",
  tag: "Database",
  access: { kind: "namespace", scope: "sql:write" },
  query: bulkQuery,
  rawBody: {
    types: {
      "application/json": bulkBody,
      [NDJSON]: z.string().describe("A row per line: a list of values, or an object of columns and values."),
      "text/csv": z.string().describe("RFC 4180, with a first line that names the columns."),
    },
    maxBytes: 2 ** 30,
  },
  idempotent: true,
  output: done,
  alsoProduces: {
    [NDJSON]: z.string().describe(
      "Lines `{progress: {rows}}`, and at the end `{done: {rows, rows_affected}}` or `{error: {code, error, request_id}}`.",
    ),
  },
  errors: [...WRITE_ERRORS, "NO_CAPACITY"],
  async handle(call, { bulkLoads }) {
    const { context, until } = streamContext(call);
    const load = await bulkSource(call.upload, call.query);
    const idempotencyKey = idempotencyKeyOf(call.incoming);
    const events = bulkLoads.load(call.principal.namespace, load, context, { idempotencyKey });
    const iterator = events[Symbol.asyncIterator]();
    let next = await iterator.next();
    if (wantsLines(call)) {
      return linesReply(until(eventLines(next, iterator, call.requestId), () => iterator.return?.()));
    }
    while (!next.done && next.value.kind === "progress") next = await iterator.next();
    if (next.done || next.value.kind === "progress") throw new Error("a load ended without a word");
    await iterator.next();
    return ok(doneOf(next.value));
  },
});

const encoder = new TextEncoder();

async function* eventLines(
  first: IteratorResult<BulkEvent>,
  rest: AsyncIterator<BulkEvent>,
  requestId: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>, unknown> {
  try {
    for (let next = first; !next.done; next = await rest.next()) {
      const event = next.value;
      const line = event.kind === "progress" ? { progress: { rows: event.rows } } : { done: doneOf(event) };
      yield encoder.encode(`${JSON.stringify(line)}\n`);
    }
    return undefined;
  } catch (error) {
    yield encoder.encode(errorLine(error, requestId));
    return error;
  } finally {
    await rest.return?.();
  }
}

const doneOf = ({ rows, rowsAffected, replayed }: BulkEvent & { readonly kind: "done" }) => ({
  rows,
  rows_affected: rowsAffected,
  ...(replayed && { replayed }),
});
