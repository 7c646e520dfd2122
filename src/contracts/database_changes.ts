import type { SqlOutput } from "./database.ts";
import type { RequestContext } from "./request.ts";

/** A table whose changes are kept. */
export interface FeedView {
  /** As it is spelled in the schema. */
  readonly table: string;
  /** Columns that events show, in the table's order; `undefined` where they show all of them, later ones included. */
  readonly columns: readonly string[] | undefined;
  /** Columns that name a row; `rowid` where the table has no primary key. */
  readonly key: readonly string[];
}

/** A row as it was or is, presented as a query would. */
export interface ChangedRow {
  readonly columns: readonly string[];
  /** Declared types in lower case. */
  readonly types: readonly string[];
  readonly values: readonly SqlOutput[];
}

/** One row that was committed, or the end of a table's feed. */
export interface RowChange {
  /** `dropped`: the table is gone, or its feed was switched off; nothing follows for it. */
  readonly kind: "insert" | "update" | "delete" | "dropped";
  /** Where it stands: whoever goes on behind it misses nothing. `<epoch>-<number>`, the numbers rising. */
  readonly position: string;
  readonly table: string;
  /** Of an update the new one. */
  readonly key?: ChangedRow | undefined;
  readonly before?: ChangedRow | undefined;
  readonly after?: ChangedRow | undefined;
  /** A row is not there because it is larger than a feed keeps. */
  readonly tooLarge: boolean;
}

/** What lies between two positions is not kept any more, or was in another life of the database: read the tables again. */
export interface ChangesLost {
  readonly kind: "truncated";
  /** What follows is newer than this. */
  readonly position: string;
}

/** What a listener is told. */
export type ChangeEvent = RowChange | ChangesLost;

/** Whose changes, and from where on. */
export interface ChangeQuery {
  /** Tables by name, in any case. `undefined`: all. */
  readonly tables: readonly string[] | undefined;
  /** A position, `0` for everything kept, or `now`. */
  readonly since: string;
}

/** Some of what is kept. */
export interface ChangePage {
  readonly changes: readonly RowChange[];
  /** Where to go on. */
  readonly next: string;
  /** Whether more is kept behind {@link next}. */
  readonly more: boolean;
}

/** Somebody who listens; counts as one until it is closed. */
export interface ChangeListener {
  /** Everything before this was handed out. Moves on with the changes of other tables too. */
  readonly position: string;
  /**
   * The next changes, one at least, some at a time; waits for them.
   * @returns `undefined` when nothing can come any more
   * @throws the signal's reason
   */
  next(signal: AbortSignal): Promise<readonly ChangeEvent[] | undefined>;
  close(): void;
}

/**
 * The change feed of the namespaces: what was committed to a table whose feed is on, in the order of the commits, at least
 * once. Errors, all `GatewayError`: as `Database`, and `NOT_FOUND` for a table that does not exist or has no feed.
 */
export interface DatabaseChanges {
  /**
   * Switches a table's feed on, or changes its columns.
   * @param columns to be shown, beside those of the key; `undefined` for all
   * @throws GatewayError `INVALID_REQUEST` for an unknown column, `SQL_NOT_ALLOWED` for what is no ordinary table, `CONFLICT`
   */
  enable(
    namespace: string,
    table: string,
    columns: readonly string[] | undefined,
    request: RequestContext,
  ): Promise<FeedView>;
  /** Switches a table's feed off. What it kept stays until it is too old. */
  disable(namespace: string, table: string, request: RequestContext): Promise<void>;
  /** The tables whose feed is on, by name. */
  tables(namespace: string, request: RequestContext): Promise<FeedView[]>;
  /**
   * What is kept.
   * @param limit how many changes are looked at
   * @throws GatewayError `POSITION_GONE` when something is missing behind `since`, `INVALID_REQUEST` for no position
   */
  log(namespace: string, query: ChangeQuery, limit: number, request: RequestContext): Promise<ChangePage>;
  /** Listens. @throws GatewayError `TOO_MANY_LISTENERS`, `INVALID_REQUEST` for no position */
  listen(namespace: string, query: ChangeQuery, request: RequestContext): Promise<ChangeListener>;
}
