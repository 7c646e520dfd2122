import type { ErrorCode } from "../../../src/contracts/errors.ts";

/** What is done with a file in a process of its own, which ends with it. */
export type FileTask =
  /** Makes a copy of a database fit to be given away: without what is the gateway's own, in one file. */
  | { readonly kind: "clean"; readonly path: string }
  /** Finds out whether a file may become a database, and takes out of it what may not. */
  | { readonly kind: "check"; readonly path: string }
  /** Puts what is in the log of a database into its file. One that cannot be read has nothing to be put anywhere. */
  | { readonly kind: "settle"; readonly path: string }
  /** Makes a database of SQL text. `maxBytes`: what it may have, 0 for no bound. */
  | { readonly kind: "load"; readonly path: string; readonly into: string; readonly maxBytes: number };

/** A stream of pieces of SQL text that make a database again, and behind them a {@link FileReport} if it failed. */
export interface DumpTask {
  readonly kind: "dump";
  readonly path: string;
}

/** How a task ended. */
export type FileReport =
  | { readonly ok: true; readonly tables?: number }
  | { readonly ok: false; readonly code: ErrorCode; readonly message: string; readonly details?: unknown };
