import type { InvocationTrigger } from "./function_invocations.ts";
import type { RequestContext } from "./request.ts";

/** How much a line of a log matters, from little to much. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** One of {@link LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** A line that a function logged, or that was logged about it. */
export interface LogLine {
  /** Where it stands among the lines of its function: later lines have greater ids, as texts. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly requestId: string;
  readonly version: number;
}

/** A call as it is remembered. */
export interface LoggedInvocation {
  /** Later ones have greater ids, as texts. */
  readonly id: string;
  readonly requestId: string;
  readonly version: number;
  /** Which try of the call this was, from 1. */
  readonly attempt: number;
  readonly trigger: InvocationTrigger;
  readonly triggerId: string | undefined;
  readonly caller: string | undefined;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** Milliseconds. */
  readonly duration: number;
  readonly status: "success" | "error" | "timeout";
  readonly error: string | undefined;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Bytes that its memory had at the end. */
  readonly memoryBytes: number;
  readonly hostCalls: number;
  readonly coldStart: boolean;
}

/** What of a function's log is wanted. */
export interface LogQuery {
  readonly limit: number;
  /** Older than this id. */
  readonly before?: string | undefined;
  readonly level?: LogLevel | undefined;
  readonly requestId?: string | undefined;
}

/** What functions logged. Written in batches, half a second behind. */
export interface FunctionLogs {
  /** Newest first. @throws GatewayError `NOT_FOUND` for a function that is not there, `UNAVAILABLE` */
  lines(namespace: string, name: string, query: LogQuery, context: RequestContext): Promise<readonly LogLine[]>;
  /** Newest first. @throws GatewayError `NOT_FOUND`, `UNAVAILABLE` */
  invocations(
    namespace: string,
    name: string,
    query: Pick<LogQuery, "limit" | "before" | "requestId">,
    context: RequestContext,
  ): Promise<readonly LoggedInvocation[]>;
  /**
   * Lines as they come, of all gateways, oldest first, until the signal ends it: those after `since`, or from now on.
   * @throws GatewayError `NOT_FOUND`, `UNAVAILABLE`, `TOO_MANY_LISTENERS`
   */
  follow(
    namespace: string,
    name: string,
    since: string | undefined,
    context: RequestContext,
  ): Promise<AsyncIterable<readonly LogLine[]>>;
}
