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
  return (request, { status, milliseconds, error }) => {
    const time = clock();
    const { requestId, method, template, caller, traceparent } = request;
    if (format === "text") {
      writer.line(`${time.slice(11, 23)} ${method} ${pathOf(request)} ${status} ${milliseconds.toFixed(1)} ms ${requestId}`);
      return;
    }
    let line = `{"time":"${time}","level":"info","part":"access","request_id":"${requestId}","method":"${method}",` +
      `"route":"${template}","status":${status},"us":${Math.round(milliseconds * 1000)},"client":"${request.clientAddress}"`;
    if (caller) line += `,"namespace":"${caller.namespace}","credential":"${caller.id}"`;
    if (traceparent) line += `,"trace_id":"${traceIdOf(traceparent)}"`;
    if (error !== undefined) line += `,"path":${JSON.stringify(pathOf(request))}`;
    writer.line(line + "}");
  };
}

const pathOf = ({ path }: Observed) => redactText(path.length > 256 ? path.slice(0, 256) + "…" : path);

/** ISO time whose formatting is paid once per millisecond. */
function coarseIsoTime(now: () => number): () => string {
  let at = NaN, text = "";
  return () => {
    const time = now();
    if (time !== at) text = new Date(at = time).toISOString();
    return text;
  };
}
