/** Where a namespace's database keeps which migrations were applied to it, so that a copy of it knows as well. */
export const MIGRATIONS_TABLE = "_orama_migrations";
/** What the table has. */
export const MIGRATIONS_COLUMNS = "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, " +
  "applied_at INTEGER NOT NULL, duration INTEGER)";
