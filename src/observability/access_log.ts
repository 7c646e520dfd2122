import type { Observe, Observed } from "../contracts/observation.ts";
import { traceIdOf } from "../http/trace.ts";
import type { LineWriter } from "./line_writer.ts";
import { redactText } from "./redact.ts";

/**
 * One line per request. Written by hand and not through the logger because it runs for every request and the general
 * way costs as much as the rest of the request path. The query string is never in it: it may hold credentials.
 */
export function accessLog(writer: LineWriter, format: "json" | "text", now: () => number): Observe {
  const clock = coarseIsoTime(now);
  return (request, { status, milliseconds, error, streamed }) => {
    const time = clock();
    const { requestId, method, template, caller, traceparent } = request;
    if (format === "text") {
      writer.line(
        `${time.slice(11, 23)} ${method} ${onOneLine(pathOf(request))} ${status} ${
          milliseconds.toFixed(1)
        } ms ${requestId}${streamed ? ` ${streamed.bytes} B ${streamed.end}` : ""}`,
      );
      return;
    }
    let line = `{"time":"${time}","level":"info","part":"access","request_id":"${requestId}","method":"${method}",` +
      `"route":"${template}","status":${status},"us":${
        Math.round(milliseconds * 1000)
      },"client":"${request.clientAddress}"`;
    if (caller) line += `,"namespace":"${caller.namespace}","credential":"${caller.id}"`;
    if (traceparent) line += `,"trace_id":"${traceIdOf(traceparent)}"`;
    if (streamed) line += `,"bytes":${streamed.bytes},"end":"${streamed.end}"`;
    if (error !== undefined) line += `,"path":${JSON.stringify(pathOf(request))}`;
    writer.line(line + "}");
  };
}

/** Shortened after it was searched for secrets, so that no half of one is left; searched no further than it can matter. */
function pathOf({ path }: Observed): string {
  const text = redactText(path.slice(0, 2048));
  return text.length > 256 ? text.slice(0, 256) + "…" : text;
}

/** A path can hold anything once it is decoded: no client may write a line of its own, or to somebody's terminal. */
const onOneLine = (text: string) => text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (char) => encodeURIComponent(char));

/** ISO time whose formatting is paid once per millisecond. */
function coarseIsoTime(now: () => number): () => string {
  let at = NaN, text = "";
  return () => {
    const time = now();
    if (time !== at) text = new Date(at = time).toISOString();
    return text;
  };
}
