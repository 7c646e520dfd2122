import type { Migration } from "../migrate.ts";

/** Requests to keep content, several for one CID, beside the claim that they share. */
export const pinRequests: Migration = {
  version: 4,
  statements: [
    "ALTER TABLE storage_objects ADD COLUMN requested INTEGER NOT NULL DEFAULT 0 CHECK (requested IN (0, 1))",

    "ALTER TABLE storage_pins ADD COLUMN withheld_for TEXT",

    // They go with the claim, whoever gives that up.
    `CREATE TABLE storage_pin_requests (
      namespace TEXT NOT NULL,
      id TEXT NOT NULL CHECK (id <> ''),
      cid TEXT NOT NULL,
      written TEXT NOT NULL CHECK (written <> ''),
      name TEXT CHECK (name <> ''),
      meta TEXT NOT NULL CHECK (json_type(meta) = 'object'),
      origins TEXT NOT NULL CHECK (json_type(origins) = 'array'),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      PRIMARY KEY (namespace, id),
      FOREIGN KEY (namespace, cid) REFERENCES storage_objects (namespace, cid) ON DELETE CASCADE
    ) STRICT`,
    // Unique, because lists go on behind a moment.
    "CREATE UNIQUE INDEX storage_pin_requests_by_time ON storage_pin_requests (namespace, created_at)",
    "CREATE INDEX storage_pin_requests_by_cid ON storage_pin_requests (namespace, cid)",
  ],
};
