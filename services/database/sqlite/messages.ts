import type { SqlOutput } from "../../../src/contracts/database.ts";
import type { DriverReply, DriverRequest, GatedStatement, SqlFault } from "../driver.ts";

/** How a database is opened. */
export interface SqliteSettings {
  /** `FULL`: an acknowledged write survives a power cut. `NORMAL`: the last ones may be lost then. */
  readonly synchronous: "FULL" | "NORMAL";
  /** Milliseconds to wait for a lock that another process holds; the thread waits with it. */
  readonly busyTimeout: number;
  /** Bytes that SQLite may take for itself. */
  readonly memory: number;
}

/** The first request to an SQL host: which file is its own. */
export interface OpenOrder {
  readonly op: "open";
  readonly path: string;
  readonly settings: SqliteSettings;
  /** Stands for this gateway in what is written down of its writes. */
  readonly instance: string;
}

/** Statements of one request. */
export interface RunOrder extends Pick<DriverRequest, "mode" | "statements" | "ceiling" | "maxDatabaseBytes"> {
  readonly op: "run";
  /** Of a request that writes: its number, greater than those before it. */
  readonly write?: number;
}

/** A little work on the file while nobody wants anything. */
export interface UpkeepOrder {
  readonly op: "upkeep";
}

/** A spare may get ready for its first request. */
export interface WarmOrder {
  readonly op: "warm";
}

/** What an SQL host is asked. */
export type SqlOrder = OpenOrder | RunOrder | UpkeepOrder | WarmOrder;

/** The database, not a statement, is the matter. */
export interface TroubleReply {
  readonly kind: "trouble";
  readonly message: string;
  readonly mayHaveApplied: boolean;
  /** The host is of no more use. */
  readonly reopen: boolean;
}

/** What it answers to `open`. */
export type OpenReply = { readonly kind: "opened"; readonly commits: CommitRecord | undefined } | TroubleReply;

/** What it answers to `upkeep`. `more`: there is as much to do again. */
export type UpkeepReply =
  | { readonly kind: "done"; readonly outcomes: readonly []; readonly more: boolean }
  | TroubleReply;

/** What it answers to `run`. `group`: so many requests were committed together, told with the first of them. */
export type RunReply = (DriverReply & { readonly group?: number }) | TroubleReply;

/** Streams of one namespace at once. */
export const MAX_STREAMS = 8;

/** A statement whose rows are wanted as they come. */
export type StreamOrder = Pick<GatedStatement, "sql" | "args" | "facts" | "own">;

/** What a stream sends. The first item with rows has the columns and their types. */
export type StreamItem =
  | {
    readonly kind: "rows";
    readonly columns?: readonly string[];
    readonly types?: readonly string[];
    readonly rows: readonly (readonly SqlOutput[])[];
  }
  | { readonly kind: "fault"; readonly fault: SqlFault }
  | TroubleReply;

/** What became of a request, of the one written down by whoever committed last: see `commits.ts`. */
export interface CommitRecord {
  /** Which gateway asked. */
  readonly instance: string;
  readonly requests: readonly (readonly [write: number, outcome: CommittedOutcome])[];
}

/** `nothing`: a member of a group that failed. `rows`: applied, and what it returned is lost. Else figures per statement. */
export type CommittedOutcome = "nothing" | "rows" | readonly (readonly [rowsAffected: number, lastInsertId: string])[];
