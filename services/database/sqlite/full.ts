import { statfsSync } from "node:fs";

/** SQLite's sentence for a disk that is full, and for a database that is as large as it may be (`sqlite3ErrStr`). */
export const FULL = "database or disk is full";

/**
 * Which of the two it was: whichever comes first.
 * @param path of the database
 * @param maxDatabaseBytes what it may have
 */
export function isDiskFull(path: string, maxDatabaseBytes: number): boolean {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < maxDatabaseBytes - Deno.statSync(path).size;
}
