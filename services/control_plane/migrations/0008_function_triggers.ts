import type { Migration } from "../migrate.ts";

/** What begins calls of functions without anybody's asking. */
export const functionTriggers: Migration = {
  version: 8,
  statements: [
    `CREATE TABLE function_triggers (
      id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
      namespace TEXT NOT NULL REFERENCES namespaces (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      namespace_created_at INTEGER NOT NULL,
      function_id TEXT NOT NULL CHECK (function_id <> ''),
      function_name TEXT NOT NULL CHECK (function_name <> ''),
      reference TEXT,
      kind TEXT NOT NULL CHECK (kind IN ('cron', 'topic', 'database', 'route')),
      source TEXT NOT NULL CHECK (json_type(source) = 'object'),
      route TEXT CHECK ((route IS NOT NULL) = (kind = 'route')),
      declared TEXT,
      enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      next_at INTEGER CHECK (next_at IS NULL OR kind = 'cron'),
      ticked_at INTEGER,
      run TEXT,
      run_until INTEGER,
      position TEXT,
      last_at INTEGER,
      last_error TEXT
    ) STRICT`,
    "CREATE INDEX function_triggers_by_function ON function_triggers (function_id, created_at)",
    "CREATE INDEX function_triggers_by_namespace ON function_triggers (namespace, kind)",
    "CREATE UNIQUE INDEX function_triggers_by_route ON function_triggers (namespace, route) WHERE route IS NOT NULL",
    `CREATE UNIQUE INDEX function_triggers_declared ON function_triggers (function_id, declared)
      WHERE declared IS NOT NULL`,
    `CREATE INDEX function_triggers_due ON function_triggers (next_at, id)
      WHERE next_at IS NOT NULL AND enabled = 1`,
    `CREATE INDEX function_triggers_fed ON function_triggers (id)
      WHERE enabled = 1 AND kind IN ('topic', 'database')`,
  ],
};
