import type { SqliteDatabase } from "./node_sqlite.ts";

/** The word stands in the text of every constraint that may wait for the end of a transaction. */
const DEFERS = "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%deferr%' LIMIT 1";
/** Triggers of the gateway's own are known to nest nothing. */
const NESTS =
  "SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger') AND name NOT LIKE '\\_orama\\_%' ESCAPE '\\' " +
  "UNION ALL SELECT 1 FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c WHERE s.type = 'table' AND c.hidden IN (2, 3) " +
  "LIMIT 1";

/** What hangs on the schema alone, looked up once after each change of it. What cannot be looked up counts as there. */
export class SchemaFacts {
  #defers: boolean | undefined;
  #nests: boolean | undefined;

  constructor(private readonly db: SqliteDatabase) {}

  /** Whether a constraint may wait for the end of a transaction. */
  get defers(): boolean {
    return (this.#defers ??= this.#finds(DEFERS)) ?? true;
  }

  /** Whether a short text may mean much: views, triggers, and generated columns, which are made of each other. */
  get nests(): boolean {
    return (this.#nests ??= this.#finds(NESTS)) ?? true;
  }

  /** The schema has changed, or may have. */
  forget(): void {
    this.#defers = this.#nests = undefined;
  }

  #finds(sql: string): boolean | undefined {
    try {
      return this.db.prepare(sql).get() !== undefined;
    } catch {
      return undefined;
    }
  }
}
