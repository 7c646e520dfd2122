import type { SqlArgument, WriteOptions } from "./database.ts";
import type { RequestContext } from "./request.ts";

/** What becomes of a row that a constraint refuses: nothing of the load is kept, the row is left out, or it takes the other's place. */
export const ON_CONFLICT = ["abort", "ignore", "replace"] as const;
/** One of {@link ON_CONFLICT}. */
export type OnConflict = typeof ON_CONFLICT[number];

/** Rows on their way into one table. */
export interface BulkLoad {
  readonly table: string;
  /** What the rows give values for, in order; left out, they have one for each column of the table. */
  readonly columns?: readonly string[] | undefined;
  readonly onConflict: OnConflict;
  /** Some at a time, in order, once; all of one width. What it throws ends the load, of which nothing is kept. */
  readonly rows: AsyncIterable<readonly (readonly SqlArgument[])[]>;
}

/** How a load is coming along. */
export type BulkEvent =
  /** So many rows were taken in; nothing of them is visible yet. */
  | { readonly kind: "progress"; readonly rows: number }
  /** The last one: all is there. */
  | {
    readonly kind: "done";
    readonly rows: number;
    /** Fewer than `rows` where some were ignored. */
    readonly rowsAffected: number;
    /** Answered from what was kept for the idempotency key: nothing ran now. */
    readonly replayed: boolean;
  };

/** Loads many rows into one table, all or none. */
export interface BulkLoads {
  /**
   * Events until it is done. Ending the iteration early, or the request's signal, ends the load, of which nothing is kept then;
   * once all rows are taken in, it may be too late for that.
   * @throws GatewayError as `Database.execute`, with `details.row` (from 1) where one row is to blame, and `BODY_TOO_LARGE` for
   *   more than the namespace, or the engine at once, may take, `NO_CAPACITY` when the gateway's disk has no room for it
   */
  load(namespace: string, load: BulkLoad, request: RequestContext, options?: WriteOptions): AsyncIterable<BulkEvent>;
}
