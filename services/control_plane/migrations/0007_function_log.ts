import type { Migration } from "../migrate.ts";

/** What functions logged, and the calls of them that ran. */
export const functionLog: Migration = {
  version: 7,
  statements: [
    // Small columns first: what a row is chosen by is read without the text, which may lie on pages of its own.
    `CREATE TABLE function_logs (
      namespace TEXT NOT NULL,
      function_id TEXT NOT NULL CHECK (function_id <> ''),
      id TEXT NOT NULL CHECK (length(id) = 28),
      version INTEGER NOT NULL,
      at INTEGER NOT NULL,
      level TEXT NOT NULL CHECK (level IN ('debug', 'info', 'warn', 'error')),
      request_id TEXT NOT NULL,
      message TEXT NOT NULL
    ) STRICT`,
    // One index serves all there is to ask: a function's newest, those behind an id, all of a namespace.
    "CREATE UNIQUE INDEX function_logs_by_function ON function_logs (namespace, function_id, id)",

    `CREATE TABLE function_invocations (
      namespace TEXT NOT NULL,
      function_id TEXT NOT NULL CHECK (function_id <> ''),
      id TEXT NOT NULL CHECK (length(id) = 28),
      version INTEGER NOT NULL,
      request_id TEXT NOT NULL,
      attempt INTEGER NOT NULL CHECK (attempt > 0),
      trigger TEXT NOT NULL,
      trigger_id TEXT,
      caller TEXT,
      started_at INTEGER NOT NULL,
      duration REAL NOT NULL,
      status TEXT NOT NULL CHECK (status IN ('success', 'error', 'timeout')),
      input_bytes INTEGER NOT NULL,
      output_bytes INTEGER NOT NULL,
      memory_bytes INTEGER NOT NULL,
      host_calls INTEGER NOT NULL,
      cold_start INTEGER NOT NULL CHECK (cold_start IN (0, 1)),
      error TEXT
    ) STRICT`,
    "CREATE UNIQUE INDEX function_invocations_by_function ON function_invocations (namespace, function_id, id)",
  ],
};
