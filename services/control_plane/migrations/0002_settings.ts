import type { Migration } from "../migrate.ts";

/** Settings and limits of namespaces. */
export const settings: Migration = {
  version: 2,
  statements: [
    `CREATE TABLE namespace_settings (
      namespace TEXT NOT NULL PRIMARY KEY REFERENCES namespaces (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      settings TEXT NOT NULL CHECK (json_type(settings) = 'object'),
      limits TEXT NOT NULL CHECK (json_type(limits) = 'object'),
      version INTEGER NOT NULL CHECK (version > 0)
    ) STRICT, WITHOUT ROWID`,
  ],
};
