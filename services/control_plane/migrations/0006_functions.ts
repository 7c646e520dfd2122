import type { Migration } from "../migrate.ts";

/** Functions with their versions and aliases, and secrets. */
export const functions: Migration = {
  version: 6,
  statements: [
    // No cascade: modules are let go by whoever deletes the namespace, or the storage would keep them for ever.
    // A row outlives its function, so that no number of a version comes twice: nothing serves then.
    `CREATE TABLE functions (
      namespace TEXT NOT NULL REFERENCES namespaces (name) DEFERRABLE INITIALLY DEFERRED,
      name TEXT NOT NULL CHECK (name <> ''),
      id TEXT NOT NULL UNIQUE CHECK (id <> ''),
      last_version INTEGER NOT NULL CHECK (last_version > 0),
      serving INTEGER CHECK (serving BETWEEN 1 AND last_version),
      revision INTEGER NOT NULL CHECK (revision > 0),
      updated_at INTEGER NOT NULL,
      PRIMARY KEY (namespace, name)
    ) STRICT`,
    "CREATE INDEX functions_serving ON functions (namespace, name) WHERE serving IS NOT NULL",

    `CREATE TABLE function_versions (
      namespace TEXT NOT NULL,
      name TEXT NOT NULL,
      version INTEGER NOT NULL CHECK (version > 0),
      deployment TEXT NOT NULL CHECK (deployment <> ''),
      wasm_cid TEXT NOT NULL CHECK (wasm_cid <> ''),
      stored_cid TEXT NOT NULL CHECK (stored_cid <> ''),
      size INTEGER NOT NULL CHECK (size >= 0),
      abi TEXT NOT NULL CHECK (abi IN ('wasi', 'extism')),
      entry TEXT NOT NULL,
      memory_limit INTEGER NOT NULL CHECK (memory_limit > 0),
      timeout INTEGER NOT NULL CHECK (timeout > 0),
      is_public INTEGER NOT NULL CHECK (is_public IN (0, 1)),
      retry_count INTEGER NOT NULL CHECK (retry_count >= 0),
      retry_delay INTEGER NOT NULL CHECK (retry_delay >= 0),
      dlq_topic TEXT,
      concurrency INTEGER CHECK (concurrency > 0),
      env TEXT NOT NULL CHECK (json_type(env) = 'object'),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      PRIMARY KEY (namespace, name, version),
      FOREIGN KEY (namespace, name) REFERENCES functions (namespace, name) DEFERRABLE INITIALLY DEFERRED
    ) STRICT`,
    "CREATE INDEX function_versions_by_module ON function_versions (namespace, wasm_cid)",
    "CREATE INDEX function_versions_by_content ON function_versions (stored_cid)",

    `CREATE TABLE function_aliases (
      namespace TEXT NOT NULL,
      name TEXT NOT NULL,
      alias TEXT NOT NULL CHECK (alias <> ''),
      targets TEXT NOT NULL CHECK (json_type(targets) = 'array'),
      updated_at INTEGER NOT NULL,
      PRIMARY KEY (namespace, name, alias),
      FOREIGN KEY (namespace, name) REFERENCES functions (namespace, name) DEFERRABLE INITIALLY DEFERRED
    ) STRICT, WITHOUT ROWID`,

    `CREATE TABLE function_secrets (
      namespace TEXT NOT NULL REFERENCES namespaces (name) DEFERRABLE INITIALLY DEFERRED,
      name TEXT NOT NULL CHECK (name <> ''),
      key_id TEXT NOT NULL CHECK (key_id <> ''),
      sealed TEXT NOT NULL CHECK (sealed <> ''),
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      PRIMARY KEY (namespace, name)
    ) STRICT`,
    "CREATE INDEX function_secrets_by_key ON function_secrets (key_id)",
  ],
};
