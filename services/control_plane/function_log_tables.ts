/** A line that a function logged. Rows name functions by their ids, so that nobody who takes a name later sees them. */
export interface FunctionLogTable {
  namespace: string;
  /** A UUID. */
  function_id: string;
  /** Rises with time; see the functions' log. */
  id: string;
  version: number;
  at: number;
  /** `debug`, `info`, `warn` or `error`. */
  level: string;
  request_id: string;
  message: string;
}

/** One try of one call of a function. */
export interface FunctionInvocationTable {
  namespace: string;
  /** A UUID. */
  function_id: string;
  /** Rises with time, and is greater than those of the lines that it logged. */
  id: string;
  version: number;
  request_id: string;
  /** From 1. */
  attempt: number;
  trigger: string;
  trigger_id: string | null;
  caller: string | null;
  started_at: number;
  /** Milliseconds. */
  duration: number;
  /** `success`, `error` or `timeout`. */
  status: string;
  input_bytes: number;
  output_bytes: number;
  memory_bytes: number;
  host_calls: number;
  cold_start: number;
  error: string | null;
}
