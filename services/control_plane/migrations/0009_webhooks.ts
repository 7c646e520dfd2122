import type { Migration } from "../migrate.ts";

/** Addresses that are told of events, and what waits to be told. */
export const webhooks: Migration = {
  version: 9,
  statements: [
    `CREATE TABLE webhook_endpoints (
      id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
      namespace TEXT NOT NULL REFERENCES namespaces (name) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      namespace_created_at INTEGER NOT NULL,
      url TEXT NOT NULL CHECK (url <> ''),
      events TEXT NOT NULL CHECK (json_type(events) = 'array'),
      description TEXT NOT NULL,
      enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
      disabled_reason TEXT,
      algorithm TEXT NOT NULL CHECK (algorithm IN ('hmac-sha256', 'ed25519')),
      keys TEXT NOT NULL CHECK (json_type(keys) = 'array'),
      created_at INTEGER NOT NULL,
      created_by TEXT NOT NULL,
      updated_at INTEGER NOT NULL,
      next_at INTEGER,
      served_at INTEGER NOT NULL,
      failures INTEGER NOT NULL,
      rest_until INTEGER NOT NULL,
      run TEXT,
      run_until INTEGER
    ) STRICT`,
    "CREATE INDEX webhook_endpoints_by_namespace ON webhook_endpoints (namespace, created_at)",
    "CREATE INDEX webhook_endpoints_due ON webhook_endpoints (next_at) WHERE next_at IS NOT NULL AND enabled = 1",

    // Small columns first: what a row is chosen by is read without the body, which may lie on pages of its own.
    `CREATE TABLE webhook_deliveries (
      id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
      endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      namespace TEXT NOT NULL,
      event_id TEXT NOT NULL CHECK (event_id <> ''),
      type TEXT NOT NULL CHECK (type <> ''),
      state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
      bytes INTEGER NOT NULL,
      tries INTEGER NOT NULL CHECK (tries >= 0),
      sends INTEGER NOT NULL,
      created_at INTEGER NOT NULL,
      queued_at INTEGER NOT NULL,
      due_at INTEGER NOT NULL,
      last_at INTEGER,
      last_status INTEGER,
      last_error TEXT,
      body TEXT NOT NULL
    ) STRICT`,
    "CREATE UNIQUE INDEX webhook_deliveries_by_event ON webhook_deliveries (endpoint_id, event_id)",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE state = 'waiting'",
    "CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (endpoint_id, state, created_at, id)",
    "CREATE INDEX webhook_deliveries_by_room ON webhook_deliveries (namespace, state, bytes)",
    "CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (state, queued_at)",
  ],
};
