/**
 * How much a read must see, from the least: `none` asks any node (may lag, may miss a new table), `weak` the leader as it
 * believes itself to be one, `linearizable` a leader that asked its followers, `strong` goes through the log.
 */
export type ReadLevel = "none" | "weak" | "linearizable" | "strong";

/** How to reach one cluster. Times in milliseconds. */
export interface RqliteClusterOptions {
  /** For logs and health; in no public message. */
  readonly name: string;
  /** HTTP addresses of some or all nodes; the others are learned from these. */
  readonly urls: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** How long one request may take; one that may take longer is given up when its node does not even say that it lives. Default 2,000. */
  readonly timeout?: number | undefined;
  /** For how long a call is tried again while nothing was applied: to outlive an election (about 1.6 s). Default 4,000. */
  readonly patience?: number | undefined;
  /** The largest answer that is taken, in bytes. Default 64 MiB. */
  readonly maxAnswerBytes?: number | undefined;
  /** Milliseconds that never run backwards. Default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** What every call may say. Times in milliseconds. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** In place of `signal`: whoever waits, whose signal is read only when the call takes long, because making one costs. */
  readonly waiter?: { readonly signal: AbortSignal } | undefined;
  /** After which rqlite interrupts a statement; it then fails with `query timeout` or `execute timeout`. */
  readonly dbTimeout?: number | undefined;
  /** How long a request may take, instead of the cluster's own; in any case half a second longer than `dbTimeout`. */
  readonly timeout?: number | undefined;
}

/** Of a read. */
export interface QueryOptions extends CallOptions {
  readonly level: ReadLevel;
  /** With `none`: a node that has not heard from the leader for so many milliseconds refuses, and another one is asked. */
  readonly freshness?: number | undefined;
}

/** Of writes. */
export interface ExecuteOptions extends CallOptions {
  /** All statements or none. */
  readonly transaction: boolean;
}

/** Of reads and writes mixed. */
export interface RequestOptions extends ExecuteOptions {
  /** Applies when no statement writes. Default `weak`. */
  readonly level?: ReadLevel | undefined;
}
