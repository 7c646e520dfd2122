import type { Migration } from "../migrate.ts";

const HASH = "CHECK (length(hash) = 64)";

/** Namespaces, their members and keys, sessions, signing keys, revocations, the audit log. */
export const identity: Migration = {
  version: 1,
  statements: [
    `CREATE TABLE namespaces (
      name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
      database_name TEXT NOT NULL UNIQUE CHECK (database_name <> ''),
      state TEXT NOT NULL CHECK (state IN ('active', 'deleting')),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`,

    // Names that differ in case alone would be one file on some systems, and one name to many people.
    "CREATE UNIQUE INDEX namespaces_by_folded_name ON namespaces (name COLLATE NOCASE)",

    `CREATE TABLE members (
      namespace TEXT NOT NULL REFERENCES namespaces (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      wallet TEXT NOT NULL CHECK (wallet <> ''),
      role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
      added_at INTEGER NOT NULL,
      added_by TEXT NOT NULL,
      PRIMARY KEY (namespace, wallet)
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX members_by_wallet ON members (wallet)",

    `CREATE TABLE api_keys (
      id TEXT NOT NULL PRIMARY KEY,
      namespace TEXT NOT NULL,
      hash TEXT NOT NULL UNIQUE ${HASH},
      name TEXT NOT NULL,
      wallet TEXT,
      serial INTEGER NOT NULL CHECK (serial >= 0),
      scopes TEXT CHECK (json_type(scopes) = 'array'),
      operator INTEGER NOT NULL CHECK (operator IN (0, 1)),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      expires_at INTEGER,
      revoked_at INTEGER,
      last_used_at INTEGER,
      UNIQUE (namespace, wallet, serial)
    ) STRICT`,
    "CREATE INDEX api_keys_by_expiry ON api_keys (expires_at) WHERE expires_at IS NOT NULL",

    `CREATE TABLE consumed_nonces (
      nonce TEXT NOT NULL PRIMARY KEY,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX consumed_nonces_by_expiry ON consumed_nonces (expires_at)",

    `CREATE TABLE sessions (
      id TEXT NOT NULL PRIMARY KEY,
      namespace TEXT NOT NULL,
      wallet TEXT NOT NULL,
      subject TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      last_used_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      revoked_at INTEGER,
      address TEXT NOT NULL,
      user_agent TEXT NOT NULL
    ) STRICT`,
    "CREATE INDEX sessions_by_wallet ON sessions (namespace, wallet)",
    "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",

    `CREATE TABLE refresh_tokens (
      hash TEXT NOT NULL PRIMARY KEY ${HASH},
      session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      used_at INTEGER,
      replaced_by TEXT
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id)",
    "CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at)",

    // AUTOINCREMENT: gateways ask for what came after the last number they saw, so no number may come twice.
    `CREATE TABLE revocations (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT`,
    "CREATE INDEX revocations_by_expiry ON revocations (expires_at)",

    `CREATE TABLE signing_keys (
      kid TEXT NOT NULL PRIMARY KEY,
      public_jwk TEXT NOT NULL,
      sealed_private_jwk TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      active_from INTEGER NOT NULL,
      retired_at INTEGER
    ) STRICT`,

    `CREATE TABLE login_codes (
      hash TEXT NOT NULL PRIMARY KEY ${HASH},
      namespace TEXT NOT NULL,
      wallet TEXT NOT NULL,
      callback TEXT NOT NULL,
      code_challenge TEXT NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX login_codes_by_expiry ON login_codes (expires_at)",

    `CREATE TABLE apps (
      app_id TEXT NOT NULL PRIMARY KEY,
      namespace TEXT NOT NULL,
      wallet TEXT NOT NULL,
      name TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT`,
    "CREATE INDEX apps_by_namespace ON apps (namespace)",

    `CREATE TABLE audit_events (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      at INTEGER NOT NULL,
      namespace TEXT NOT NULL,
      actor TEXT NOT NULL,
      action TEXT NOT NULL,
      resource TEXT NOT NULL,
      address TEXT NOT NULL,
      request_id TEXT NOT NULL,
      details TEXT NOT NULL CHECK (json_type(details) = 'object')
    ) STRICT`,
    "CREATE INDEX audit_events_by_namespace ON audit_events (namespace, id)",
    "CREATE INDEX audit_events_by_time ON audit_events (at)",

    `CREATE TABLE leases (
      name TEXT NOT NULL PRIMARY KEY,
      holder TEXT NOT NULL,
      expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
  ],
};
