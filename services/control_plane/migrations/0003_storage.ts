import type { Migration } from "../migrate.ts";

/** What namespaces have in the storage, how much of it, and what the engine is to keep for them. */
export const storage: Migration = {
  version: 3,
  statements: [
    // No cascade: what a namespace has is let go by whoever deletes it, or the engine would keep it for ever.
    `CREATE TABLE storage_objects (
      namespace TEXT NOT NULL REFERENCES namespaces (name) DEFERRABLE INITIALLY DEFERRED,
      cid TEXT NOT NULL CHECK (cid <> ''),
      written TEXT NOT NULL CHECK (written <> ''),
      name TEXT NOT NULL CHECK (name <> ''),
      size INTEGER CHECK (size >= 0),
      charged INTEGER NOT NULL CHECK (charged >= 0),
      type TEXT,
      kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'block')),
      visibility TEXT NOT NULL CHECK (visibility IN ('private', 'public')),
      encrypted INTEGER NOT NULL CHECK (encrypted IN (0, 1)),
      pinned INTEGER NOT NULL CHECK (pinned IN (0, 1)),
      expires_at INTEGER,
      replication_min INTEGER NOT NULL,
      replication_max INTEGER NOT NULL,
      available INTEGER NOT NULL CHECK (available IN (0, 1)),
      asked_at INTEGER NOT NULL,
      problem TEXT,
      link_serial INTEGER NOT NULL CHECK (link_serial >= 0),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      PRIMARY KEY (namespace, cid)
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX storage_objects_by_cid ON storage_objects (cid, namespace)",
    "CREATE INDEX storage_objects_by_time ON storage_objects (namespace, created_at, cid)",
    "CREATE INDEX storage_objects_by_expiry ON storage_objects (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX storage_objects_awaited ON storage_objects (cid, namespace) WHERE available = 0",

    `CREATE TABLE storage_usage (
      namespace TEXT NOT NULL PRIMARY KEY REFERENCES namespaces (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      bytes INTEGER NOT NULL CHECK (bytes >= 0),
      objects INTEGER NOT NULL CHECK (objects >= 0)
    ) STRICT, WITHOUT ROWID`,

    `CREATE TABLE storage_pins (
      cid TEXT NOT NULL PRIMARY KEY CHECK (cid <> ''),
      wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
      name TEXT NOT NULL,
      replication_min INTEGER NOT NULL,
      replication_max INTEGER NOT NULL,
      origins TEXT CHECK (json_type(origins) = 'array'),
      version INTEGER NOT NULL CHECK (version > 0),
      applied INTEGER NOT NULL CHECK (applied BETWEEN 0 AND version),
      tries INTEGER NOT NULL CHECK (tries >= 0),
      due_at INTEGER NOT NULL,
      problem TEXT,
      holder TEXT,
      leased_until INTEGER NOT NULL,
      withheld_until INTEGER
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX storage_pins_due ON storage_pins (due_at) WHERE applied < version",
    "CREATE INDEX storage_pins_withheld ON storage_pins (withheld_until) WHERE withheld_until IS NOT NULL",
  ],
};
