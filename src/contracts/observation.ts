import type { Principal } from "./identity.ts";

/** A request as the access log and the metrics see it. Members that cost something are read only where they are needed. */
export interface Observed {
  readonly requestId: string;
  readonly method: string;
  /** The route's template; `*` where no route matched. A metric label must not grow with the tenants' data. */
  readonly template: string;
  /** The path as it came, without its query: for the log alone. */
  readonly path: string;
  readonly clientAddress: string;
  readonly caller: Principal | undefined;
  readonly traceparent: string | undefined;
  /** Whether a success is not worth a line in the access log: a probe that comes every second. */
  readonly quiet: boolean;
}

/** How a request ended. */
export interface Outcome {
  readonly status: number;
  readonly milliseconds: number;
  /** What went wrong, for the log alone. */
  readonly error: unknown;
}

/** Told of every answer. Must not throw. */
export type Observe = (request: Observed, outcome: Outcome) => void;
