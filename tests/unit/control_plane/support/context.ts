import type { RequestContext } from "../../../../src/contracts/request.ts";

/** A request that nobody breaks off. */
export const CONTEXT: RequestContext = {
  requestId: "request-1",
  clientAddress: "192.0.2.1",
  signal: new AbortController().signal,
};
