/** An address that is told of events of its namespace, and how it stands with what waits for it. */
export interface WebhookEndpointTable {
  /** Public id, `whe_…`. */
  id: string;
  namespace: string;
  /** When the namespace was made; tells it from another one of its name. */
  namespace_created_at: number;
  url: string;
  /** JSON array of patterns. */
  events: string;
  description: string;
  enabled: number;
  /** Why the gateway switched it off: a public sentence. */
  disabled_reason: string | null;
  /** `hmac-sha256` or `ed25519`. */
  algorithm: string;
  /** JSON array of `{id, sealed, public?, until?}`, the key that signs first. */
  keys: string;
  created_at: number;
  created_by: string;
  updated_at: number;
  /** When something of it is due at the earliest; null where nothing waits. */
  next_at: number | null;
  /** When it was last its turn. */
  served_at: number;
  /** Tries that failed since one succeeded. */
  failures: number;
  /** Before this it is left alone. */
  rest_until: number;
  /** Who sends to it now, until {@link run_until} at most. */
  run: string | null;
  run_until: number | null;
}

/** An event for one endpoint. */
export interface WebhookDeliveryTable {
  /** Public id, `whd_…`. */
  id: string;
  endpoint_id: string;
  namespace: string;
  /** Unique for its endpoint. */
  event_id: string;
  type: string;
  /** `waiting`, `delivered` or `dead`. */
  state: string;
  /** Of {@link body}, in UTF-8. */
  bytes: number;
  /** Tries that count. */
  tries: number;
  /** Requests that were sent, or about to be: never falls, so that each has another nonce. */
  sends: number;
  created_at: number;
  /** When it was made, or sent anew after it was dead. */
  queued_at: number;
  due_at: number;
  last_at: number | null;
  last_status: number | null;
  /** A public sentence; null where it was taken. */
  last_error: string | null;
  /** What is sent, JSON; empty once it was taken. */
  body: string;
}
