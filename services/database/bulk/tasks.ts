import type { SqlArgument } from "../../../src/contracts/database.ts";
import type { SqlFault } from "../driver.ts";

/** A statement of the gateway's own, beside the rows. */
export interface OwnStatement {
  readonly sql: string;
  readonly args: readonly SqlArgument[];
}

/** A load into one database file. */
export interface BulkTask {
  readonly path: string;
  /** Inserts one row, and passed the gate. */
  readonly sql: string;
  /** A file of `BulkSpool`. */
  readonly spool: string;
  readonly before: readonly OwnStatement[];
  /** Keeps what was done for this idempotency key. */
  readonly key: string | undefined;
  readonly synchronous: "FULL" | "NORMAL";
  /** Milliseconds to wait for another one's lock. */
  readonly busyTimeout: number;
  /** 0 for no bound. */
  readonly maxDatabaseBytes: number;
}

/** What a load tells on its way; the last three are the end of it. */
export type BulkReport =
  | { readonly kind: "rows"; readonly rows: number }
  /** All rows are in; from now on it may be applied whatever else is heard. */
  | { readonly kind: "committing" }
  | { readonly kind: "done"; readonly rowsAffected: number }
  /** Nothing is kept. `before`: which of the gateway's own statements it was; `row`: which row, from 1. */
  | { readonly kind: "fault"; readonly fault: SqlFault; readonly before?: number; readonly row?: number }
  /** The database, not the load, is the matter. Nothing is kept. */
  | { readonly kind: "trouble"; readonly message: string };
