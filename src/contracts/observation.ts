import type { Principal } from "./identity.ts";

/** One answered request, as the access log and the metrics see it. */
export interface Observation {
  readonly requestId: string;
  readonly method: string;
  /** The route's template; `*` where no route matched. A metric label must not grow with the tenants' data. */
  readonly route: string;
  /** The path as it came, without its query: for the log alone, and only where the request failed. */
  readonly path: string;
  readonly status: number;
  readonly milliseconds: number;
  readonly clientAddress: string;
  readonly caller: Principal | undefined;
  readonly traceparent: string | undefined;
  /** What went wrong, for the log alone. */
  readonly error: unknown;
}
