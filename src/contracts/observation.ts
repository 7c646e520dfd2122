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
  /** Of an answer that was streamed. */
  readonly streamed?: { readonly bytes: number; readonly end: StreamEnd };
}

/** How a streamed answer ended: `left`, the client did not want the rest; `stalled`, it stopped reading. */
export type StreamEnd = "complete" | "failed" | "left" | "stalled";

/** Told of every answer. Must not throw. */
export type Observe = (request: Observed, outcome: Outcome) => void;

/** What happens within a driver of a service, for the metrics. */
export type DriverEvent =
  /** So many statements of different callers went to the engine together. */
  | { readonly kind: "group"; readonly access: "read" | "write"; readonly statements: number }
  | { readonly kind: "host_started" }
  | { readonly kind: "host_ended"; readonly reason: "deadline" | "crashed" | "evicted" | "idle" | "closed" }
  /** A cluster does not come back from a statement, or does again. */
  | { readonly kind: "stuck"; readonly cluster: string; readonly stuck: boolean };
