import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** How a database is written down: as a SQLite file, or as SQL text that makes it again. */
export const FILE_FORMATS = ["sqlite", "sql"] as const;
/** One of {@link FILE_FORMATS}. */
export type FileFormat = typeof FILE_FORMATS[number];

/** A database as bytes. */
export interface DatabaseCopy {
  /** How many bytes there are, where that is known before they are made. */
  readonly bytes: number | undefined;
  /** The bytes, once. Must be read, or ended early: what was made for it goes then. Throws when they cannot be given to the end. */
  readonly chunks: AsyncIterable<Uint8Array<ArrayBuffer>>;
}

/** What a database holds after it was restored. */
export interface Restored {
  /** Tables, the virtual ones included. */
  readonly tables: number;
  readonly bytes: number;
}

/**
 * Whole databases of namespaces as files, the same on every driver: what one gives, another takes. The gateway's own tables
 * (`_orama_*`) and SQLite's statistics are neither given nor taken, but for the list of applied migrations, which a SQLite file
 * carries along.
 * Errors, all `GatewayError`: `TOO_MANY_STATEMENTS` (429: another copy of this namespace is being made or taken), `NO_CAPACITY`
 * (503: of too many namespaces at once, or the gateway's disk has no room), `UNAVAILABLE` (503).
 */
export interface DatabaseFiles {
  /** The database as it was at one moment, while others go on writing. */
  backup(namespace: string, format: FileFormat, request: RequestContext): Promise<DatabaseCopy>;
  /**
   * Puts another database in the place of the namespace's, whole, or not at all on any error but the last of these. It is in the
   * namespace's audit log then, as `database.restored`.
   * @throws GatewayError `INVALID_REQUEST` and `SQL_INVALID` (no database, damaged, of a kind that is not taken),
   *   `SQL_NOT_ALLOWED` (it holds what a statement could not make), `QUOTA_EXCEEDED`, `STATEMENT_TIMEOUT` (looking at it took too
   *   long), `CONFLICT` (the namespace is being deleted), what the body throws, `OUTCOME_UNKNOWN` (it may have been put there)
   */
  restore(
    namespace: string,
    format: FileFormat,
    body: AsyncIterable<Uint8Array>,
    actor: Pick<Principal, "subject">,
    request: RequestContext,
  ): Promise<Restored>;
}
