const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/**
 * Continues a trace: same trace id and flags, a span id of our own.
 * @param header `traceparent` as the client sent it (W3C Trace Context, level 1)
 * @param random gives n random bytes
 * @returns `undefined` when the header is malformed or names the all-zero trace: the request then has no trace.
 */
export function continueTrace(header: string, random: (n: number) => Uint8Array): string | undefined {
  const [, trace, parent, flags] = TRACEPARENT.exec(header) ?? [];
  if (!trace || /^0+$/.test(trace) || /^0+$/.test(parent!)) return undefined;
  return `00-${trace}-${random(8).toHex()}-${flags}`;
}

/** The trace id of a `traceparent`, for log lines. */
export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35);
