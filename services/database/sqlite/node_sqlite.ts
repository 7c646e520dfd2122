import { DatabaseSync, type StatementSync } from "node:sqlite";

/** Codes of `sqlite3_set_authorizer` (sqlite.org/c3ref/c_alter_table.html); the library's types do not have them. */
export const ACTION = {
  CREATE_INDEX: 1,
  CREATE_TABLE: 2,
  CREATE_TRIGGER: 7,
  CREATE_VIEW: 8,
  DELETE: 9,
  DROP_INDEX: 10,
  DROP_TABLE: 11,
  DROP_TRIGGER: 16,
  DROP_VIEW: 17,
  INSERT: 18,
  PRAGMA: 19,
  READ: 20,
  SELECT: 21,
  UPDATE: 23,
  ALTER_TABLE: 26,
  REINDEX: 27,
  ANALYZE: 28,
  CREATE_VTABLE: 29,
  DROP_VTABLE: 30,
  FUNCTION: 31,
  RECURSIVE: 33,
} as const;

/** What an authorizer answers. */
export const OK = 0, DENY = 1;

/** In what connections differ. */
export interface SqliteOptions {
  /** SQLITE_DBCONFIG_DEFENSIVE: SQL cannot damage the file. Default true. */
  readonly defensive?: boolean;
  /** Milliseconds to wait for a lock; the thread waits with it. */
  readonly timeout: number;
  readonly limits: SqliteLimits;
  /** Default false. */
  readonly readOnly?: boolean;
}

/** sqlite.org/c3ref/limit.html */
export type SqliteLimits =
  & Readonly<Record<"attach" | "length" | "sqlLength" | "triggerDepth", number>>
  & Readonly<
    Partial<
      Record<
        | "column"
        | "exprDepth"
        | "compoundSelect"
        | "vdbeOp"
        | "functionArg"
        | "likePatternLength"
        | "variableNumber",
        number
      >
    >
  >;

/** Limits that hold wherever statements run that passed the gate. */
export const LIMITS_OF_GATED: SqliteLimits = {
  attach: 0,
  length: 256 * 2 ** 20,
  // A million characters, as the gate allows, have at most three bytes each.
  sqlLength: 3_000_000,
  triggerDepth: 100,
};

/** An open database with what the library's types lack. */
export interface SqliteDatabase extends DatabaseSync {
  readonly isTransaction: boolean;
  setAuthorizer(
    decide: (
      action: number,
      first: string | null,
      second: string | null,
      schema: string | null,
      trigger: string | null,
    ) => number,
  ): void;
}

/** Opens a file, or makes it. As in rqlite, text in double quotes is a name, and text where there is none. */
export function openSqlite(path: string, options: SqliteOptions): SqliteDatabase {
  const common = { allowExtension: false, defensive: true, enableDoubleQuotedStringLiterals: true };
  return new DatabaseSync(path, { ...common, ...options }) as SqliteDatabase;
}

/** Compiles a statement whose rows are arrays and whose integers are `bigint`. */
export function prepareExact(db: SqliteDatabase, sql: string): StatementSync {
  const statement = db.prepare(sql) as StatementSync & { setReturnArrays(on: boolean): void };
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  return statement;
}

/**
 * Why the iteration that has just ended did so, in SQLite's words; `undefined` when there were no more rows. `iterate()` of Deno
 * ends silently where a step fails. A function whose name is too long is refused without a change of the connection's last
 * error, and Deno tells that error in its place.
 */
export function endOfIteration(db: SqliteDatabase): string | undefined {
  try {
    db.function(IMPOSSIBLE_NAME, () => null);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message === "not an error" ? undefined : message;
  }
  throw new Error("a function with an impossible name was taken: an error of an iteration cannot be told");
}

/** SQLite takes 255 bytes. */
const IMPOSSIBLE_NAME = "x".repeat(256);

/** The bytes of a database file without anything in it. */
export function emptyDatabaseFile(): Uint8Array {
  const db = new DatabaseSync(":memory:") as DatabaseSync & { serialize(): Uint8Array };
  try {
    // Writes the header, which a new database puts off.
    db.exec("VACUUM");
    return db.serialize();
  } finally {
    db.close();
  }
}
