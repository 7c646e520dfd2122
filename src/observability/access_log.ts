import type { Observation } from "../contracts/observation.ts";
import { traceIdOf } from "../http/trace.ts";
import type { LineWriter } from "./line_writer.ts";
import { redactText } from "./redact.ts";

/**
 * One line per request. Written by hand and not through the logger because it runs for every request and the general
 * way costs as much as the rest of the request path. The query string is never in it: it may hold credentials.
 */
export function accessLog(
  writer: LineWriter,
  format: "json" | "text",
  now: () => number,
): (observation: Observation) => void {
  const clock = coarseIsoTime(now);
  return (o) => {
    const time = clock();
    if (format === "text") {
      writer.line(`${time.slice(11, 23)} ${o.method} ${pathOf(o)} ${o.status} ${o.milliseconds.toFixed(1)} ms ${o.requestId}`);
      return;
    }
    let line = `{"time":"${time}","level":"info","part":"access","request_id":"${o.requestId}","method":"${o.method}",` +
      `"route":"${o.route}","status":${o.status},"ms":${Math.round(o.milliseconds * 1000) / 1000},"client":"${o.clientAddress}"`;
    if (o.caller) line += `,"namespace":"${o.caller.namespace}","credential":"${o.caller.id}"`;
    if (o.traceparent) line += `,"trace_id":"${traceIdOf(o.traceparent)}"`;
    if (o.error !== undefined) line += `,"path":${JSON.stringify(pathOf(o))}`;
    writer.line(line + "}");
  };
}

const pathOf = ({ path }: Observation) => redactText(path.length > 256 ? path.slice(0, 256) + "…" : path);

/** ISO time whose formatting is paid once per millisecond. */
function coarseIsoTime(now: () => number): () => string {
  let at = NaN, text = "";
  return () => {
    const time = now();
    if (time !== at) text = new Date(at = time).toISOString();
    return text;
  };
}
