import type { Duration } from "../durations.ts";
import type { CallOptions } from "../http.ts";

/** What goes with a deploy. What is not said is the gateway's default, never the version's before. */
export interface DeployOptions extends CallOptions {
  /** MiB that the memory of a call may have. Default 64. */
  readonly memory?: number | undefined;
  /** How long a call may take, in whole seconds. Default 30 s. */
  readonly timeout?: Duration | undefined;
  /** Whether anyone may call it, without a credential. Default false. */
  readonly isPublic?: boolean | undefined;
  /** How often a call is tried again that failed. Default 0. */
  readonly retries?: number | undefined;
  /** The pause before the first of these tries, in whole seconds; doubled each time. Default 5 s. */
  readonly retryDelay?: Duration | undefined;
  /** A topic that is told of calls that failed for good. */
  readonly deadLetterTopic?: string | undefined;
  /** Calls that run at once on one gateway. Default: as many as the namespace may have. */
  readonly concurrency?: number | undefined;
  /** What the function reads by `get_env`. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Which export of an Extism plug-in is called. Default: its only one, or `handle`. */
  readonly entry?: string | undefined;
}

/** How a function is called. */
export interface InvokeOptions extends CallOptions {
  /** Of another namespace, whose function must be public. Default: the credential's own. */
  readonly namespace?: string | undefined;
  /** A version, an alias, or `latest`, which is the default. */
  readonly reference?: string | number | undefined;
  /** The media type of the input, for whoever looks; the function gets the bytes alone. */
  readonly type?: string | undefined;
}

/** How functions, aliases and secrets are changed. */
export interface FunctionWriteOptions extends CallOptions {
  /**
   * Whether a change is repeated like a read. Harmless where nobody else makes or deletes what has this name at the same moment.
   * Default false: it is sent once, and `OUTCOME_UNKNOWN` without an answer.
   */
  readonly repeat?: boolean | undefined;
}

/** Which lines of a log are wanted. */
export interface LogOptions extends CallOptions {
  /** Lines at most. Default 100. */
  readonly limit?: number | undefined;
  /** Older than the line with this id. */
  readonly before?: string | undefined;
  readonly level?: LogLevel | undefined;
  /** Of one call. */
  readonly requestId?: string | undefined;
}

/** How a log is followed. */
export interface FollowOptions extends CallOptions {
  /** Goes on behind the line with this id. Default: from now on. */
  readonly since?: string | undefined;
  /** Called when it is being listened, for the first time and after each break: lines that are logged from then on are heard. */
  readonly onReady?: (() => void) | undefined;
}

/** How much a line of a log matters. */
export type LogLevel = "debug" | "info" | "warn" | "error";
