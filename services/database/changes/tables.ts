import { own } from "../own.ts";

/**
 * What the feed keeps in the namespace's own database. Positions are the ids of `_orama_changes`: one more than the highest,
 * which is never deleted, so that no id comes twice. Not `AUTOINCREMENT`: clients can write its `sqlite_sequence`.
 */
export const CREATE_TABLES = [
  `CREATE TABLE IF NOT EXISTS _orama_changes (id INTEGER PRIMARY KEY, layout INTEGER, op TEXT, "before" TEXT, "after" TEXT)`,
  // Rows that a statement with `OR REPLACE` may be about to take away: SQLite fires no delete trigger for them.
  `CREATE TABLE IF NOT EXISTS _orama_feed_replaced (feed INTEGER, kind TEXT, slot INTEGER, "key" TEXT, "before" TEXT)`,
  `CREATE TABLE IF NOT EXISTS _orama_feeds (feed INTEGER PRIMARY KEY, wanted TEXT, layout INTEGER NOT NULL, made_from TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0)`,
  `CREATE TABLE IF NOT EXISTS _orama_feed_layouts (layout INTEGER PRIMARY KEY, feed INTEGER NOT NULL, tbl TEXT NOT NULL, shape TEXT NOT NULL)`,
  // One life of the database has one epoch; positions of another one mean nothing in it.
  `CREATE TABLE IF NOT EXISTS _orama_feed_state (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL)`,
  // When which id was the highest: rows have no time, because rqlite's nodes would each write their own.
  `CREATE TABLE IF NOT EXISTS _orama_feed_marks (at INTEGER PRIMARY KEY, id INTEGER NOT NULL)`,
].map((sql) => own(sql));
