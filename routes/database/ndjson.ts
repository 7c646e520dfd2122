import { z } from "zod";
import type { RowStream } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { type Integers, quotesIntegers, valueText } from "../../src/contracts/sql_values.ts";
import { prefers } from "../../src/http/accept.ts";
import type { Call } from "../../src/http/call.ts";
import type { Reply } from "../../src/http/reply.ts";
import { streamContext, type StreamedReply } from "../../src/http/streamed_reply.ts";

/** One JSON value per line (github.com/ndjson/ndjson-spec). */
export const NDJSON = "application/x-ndjson";

/** For the descriptions of operations that give rows. */
export const LINES =
  "With `Accept: application/x-ndjson` the rows come line by line while they are read, however many there are.";

/** Characters that are gathered before they are sent. */
const CHUNK = 40_000;

const encoder = new TextEncoder();

/** What the lines of a streamed result look like. */
export const rowLines: z.ZodType = z.string().describe(
  "A line each: `{columns, types, level}`, then one array per row with its values in the order of the columns, then " +
    "`{end: true, rows}`. A result that breaks on the way ends with `{error: {code, error, request_id}}` instead.",
);

/** Whether the caller wants its rows line by line, as they come. */
export const wantsLines = ({ incoming }: Pick<Call, "incoming">): boolean =>
  prefers(incoming.get("accept"), NDJSON, "application/json");

/**
 * Answers with rows as they come. What fails before the first row is an ordinary error answer.
 * @param open starts the query; its context ends when the client leaves
 */
export async function rowsReply(
  call: RequestContext,
  integers: Integers,
  open: (context: RequestContext) => Promise<RowStream>,
): Promise<Reply> {
  const { context, until } = streamContext(call);
  const rows = await open(context);
  const batches = rows.batches[Symbol.asyncIterator]();
  const lines = rowsAsLines({ ...rows, batches: { [Symbol.asyncIterator]: () => batches } }, integers, call.requestId);
  return linesReply(until(lines, () => batches.return?.()), { "orama-read-level": rows.level });
}

/** 200 with lines. `no-transform`: a proxy that compresses would hold them back. */
export const linesReply = (body: StreamedReply, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status: 200,
  body,
  headers: { "content-type": NDJSON, "cache-control": "no-store, no-transform", "vary": "Accept", ...headers },
});

/** The lines of {@link rowLines}. */
async function* rowsAsLines(
  { columns, types, level, batches }: RowStream,
  integers: Integers,
  requestId: string,
): AsyncGenerator<Uint8Array<ArrayBuffer>, unknown> {
  const quoted = types.map((type) => quotesIntegers(type, integers));
  let text = `${JSON.stringify({ columns, types, level })}\n`;
  let rows = 0;
  try {
    for await (const batch of batches) {
      for (const row of batch) {
        text += "[";
        for (let at = 0; at < row.length; at++) text += (at > 0 ? "," : "") + valueText(row[at]!, quoted[at]!);
        text += "]\n";
        if (text.length < CHUNK) continue;
        yield encoder.encode(text);
        text = "";
      }
      rows += batch.length;
    }
  } catch (error) {
    yield encoder.encode(text + errorLine(error, requestId));
    return error;
  }
  yield encoder.encode(`${text}{"end":true,"rows":${rows}}\n`);
}

/** The last line of what broke on the way: the answer's status is sent by then. */
export function errorLine(error: unknown, requestId: string): string {
  const { code, message, extra } = error instanceof GatewayError
    ? error
    : new GatewayError("INTERNAL", "internal error");
  return `${JSON.stringify({ error: { code, error: message, request_id: requestId, details: extra.details } })}\n`;
}
