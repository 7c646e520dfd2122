import type { ReadLevel } from "../../src/contracts/database.ts";

export type { ReadLevel } from "../../src/contracts/database.ts";

/** What connections to `https://` addresses are made with, all of it text in PEM. */
export interface TlsOptions {
  /** Certificates of authorities that are believed beside those that Deno knows. */
  readonly ca?: string | undefined;
  /** The certificate that is shown to a node that asks for one (mutual TLS), with what leads to its authority. */
  readonly cert?: string | undefined;
  /** The private key of {@link cert}. */
  readonly key?: string | undefined;
}

/** How to reach one cluster. Times in milliseconds. */
export interface RqliteClusterOptions {
  /** For logs and health; in no public message. */
  readonly name: string;
  /** HTTP addresses of some or all nodes; the others are learned from these, but of `https://` alone where all of these are. */
  readonly urls: readonly string[];
  readonly tls?: TlsOptions | undefined;
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
  /** Told when writes no longer come back although the cluster lives, and when they do again, after how many seconds. */
  readonly onStuck?: ((stuck: boolean, seconds: number) => void) | undefined;
  /** Told how many statements of different callers went together. */
  readonly onGroup?: ((access: "read" | "write", statements: number) => void) | undefined;
}

/** Whoever waits for an answer. Its signal is left alone until something takes long, because making one costs. */
export interface Waiter {
  readonly signal: AbortSignal;
}

/** What every call may say. Times in milliseconds. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** In place of `signal`. */
  readonly waiter?: Waiter | undefined;
  /** After which rqlite interrupts a statement; it then fails with `query timeout` or `execute timeout`. */
  readonly dbTimeout?: number | undefined;
  /** How long a request may take, instead of the cluster's own; in any case somewhat longer than `dbTimeout`. */
  readonly timeout?: number | undefined;
  /** The largest answer in bytes, where that is less than the cluster's. */
  readonly maxBytes?: number | undefined;
}

/** What a read must see. */
export interface ReadConsistency {
  readonly level: ReadLevel;
  /** With `none`: a node that has not heard from the leader for so many milliseconds refuses, and another one is asked. */
  readonly freshness?: number | undefined;
}

/** Of a read. */
export interface QueryOptions extends CallOptions, ReadConsistency {}

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
