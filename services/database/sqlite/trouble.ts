import type { SqlFault } from "../driver.ts";
import { faultOf } from "../faults.ts";
import { UnpresentableValue } from "../values.ts";

/** The database itself, not a statement, is the matter: full, locked, damaged, no database at all. */
export class DatabaseTrouble extends Error {
  override readonly name = "DatabaseTrouble";
  /**
   * @param mayHaveApplied the write could come back after a crash of the machine
   * @param reopen the connection is of no more use
   */
  constructor(message: string, readonly mayHaveApplied: boolean, readonly reopen: boolean, cause: unknown) {
    super(message, { cause });
  }
}

/** A statement's rows are more than one answer may hold. */
export class ResultTooLarge extends Error {
  override readonly name = "ResultTooLarge";
}

/** SQLite's primary result codes that speak of the surroundings (sqlite.org/rescode.html). */
const LOCKED = new Set([5, 6]);
const SPOILT = new Set([8, 10, 11, 14, 15, 26]);
const NO_MEMORY = 7, IO_ERROR = 10, FULL = 13;

/** What was being done when an error came. */
export interface Circumstances {
  readonly writing: boolean;
  /** A write that ends; what is found full then is the disk. */
  readonly committing?: boolean;
  /** The database may have only so many pages. */
  readonly bounded?: boolean;
}

/** The fault of a statement, where it is the statement's. @throws DatabaseTrouble otherwise, and what is no error of SQLite's */
export function faultOrTrouble(error: unknown, circumstances: Circumstances): SqlFault {
  if (error instanceof UnpresentableValue) return { kind: "invalid", message: error.message };
  if (error instanceof ResultTooLarge) return { kind: "too_big", message: error.message };
  if (!isSqliteError(error)) throw error;
  const code = error.errcode & 0xff;
  if (code === NO_MEMORY) return { kind: "too_big", message: "the statement needs more memory than it may have" };
  if (code === FULL && circumstances.bounded && !circumstances.committing) return { kind: "quota", message: QUOTA };
  const trouble = troubleOf(error, circumstances.writing);
  if (trouble) throw trouble;
  const fault = faultOf(error.message);
  if (!fault) throw error;
  return fault;
}

/** What a client is told whose database is as large as it may be. */
const QUOTA = "the database of this namespace is as large as it may be: delete rows or ask for more room";

/** The trouble that an error of SQLite's speaks of, if it does. */
export function troubleOf(error: unknown, writing: boolean): DatabaseTrouble | undefined {
  if (!isSqliteError(error)) return undefined;
  const code = error.errcode & 0xff;
  if (LOCKED.has(code) || code === FULL || code === NO_MEMORY) {
    return new DatabaseTrouble(error.message, false, false, error);
  }
  if (SPOILT.has(code)) return new DatabaseTrouble(error.message, writing && code === IO_ERROR, true, error);
  return undefined;
}

/** An error of which SQLite's sentence alone is known. Those of the surroundings are `sqlite3ErrStr`'s. */
export function errorFromSentence(message: string): Error {
  const code = SENTENCES.find(([sentence]) => message.startsWith(sentence))?.[1] ?? 1;
  return Object.assign(new Error(message), { errcode: code });
}

const SENTENCES = [
  ["database is locked", 5],
  ["database table is locked", 6],
  ["out of memory", NO_MEMORY],
  ["attempt to write a readonly database", 8],
  ["disk I/O error", IO_ERROR],
  ["database disk image is malformed", 11],
  ["database or disk is full", FULL],
  ["unable to open database file", 14],
  ["locking protocol", 15],
  ["file is not a database", 26],
] as const;

const isSqliteError = (error: unknown): error is Error & { errcode: number } =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number";
