const WELL_FORMED = /^[A-Za-z0-9._~-]{1,128}$/;

/** Whether a client's `X-Request-ID` may be taken over: short, and nothing that could forge a log line or a header. */
export const isRequestId = (id: string): boolean => WELL_FORMED.test(id);

/**
 * Makes ids that are unique across gateways and restarts: a random prefix and a counter, which is far cheaper than
 * random bytes per request.
 * @param random gives n random bytes
 */
export function requestIds(random: (n: number) => Uint8Array): () => string {
  const prefix = random(8).toHex();
  let count = 0;
  return () => `${prefix}-${(count++).toString(36).padStart(6, "0")}`;
}
