import type { Generated } from "kysely";
import type { FunctionInvocationTable, FunctionLogTable } from "./function_log_tables.ts";
import type {
  FunctionAliasTable,
  FunctionSecretTable,
  FunctionTable,
  FunctionVersionTable,
} from "./function_tables.ts";
import type { FunctionTriggerTable } from "./function_trigger_table.ts";
import type { WebhookDeliveryTable, WebhookEndpointTable } from "./webhook_tables.ts";

/**
 * Tables of the control plane. Times are Unix milliseconds; flags are 0 or 1; hashes are SHA-256 in lower-case hex.
 * The definitions that create them are the numbered files in `migrations/`.
 */
export interface Schema {
  schema_migrations: { version: number; applied_at: number };
  namespaces: NamespaceTable;
  namespace_settings: NamespaceSettingsTable;
  members: { namespace: string; wallet: string; role: string; added_at: number; added_by: string };
  api_keys: ApiKeyTable;
  consumed_nonces: { nonce: string; expires_at: number };
  sessions: SessionTable;
  refresh_tokens: RefreshTokenTable;
  revocations: RevocationTable;
  signing_keys: SigningKeyTable;
  login_codes: LoginCodeTable;
  apps: { app_id: string; namespace: string; wallet: string; name: string; created_at: number };
  audit_events: AuditEventTable;
  leases: { name: string; holder: string; expires_at: number };
  storage_objects: StorageObjectTable;
  storage_usage: { namespace: string; bytes: number; objects: number };
  storage_pins: StoragePinTable;
  storage_pin_requests: StoragePinRequestTable;
  gateway_epochs: GatewayEpochTable;
  functions: FunctionTable;
  function_versions: FunctionVersionTable;
  function_aliases: FunctionAliasTable;
  function_secrets: FunctionSecretTable;
  function_triggers: FunctionTriggerTable;
  function_logs: FunctionLogTable;
  function_invocations: FunctionInvocationTable;
  webhook_endpoints: WebhookEndpointTable;
  webhook_deliveries: WebhookDeliveryTable;
}

/** A namespace, from its creation until its last data is gone. */
export interface NamespaceTable {
  name: string;
  /** Where its SQL lives: the name of a cluster of the RQLite pool, or the namespace's own name on SQLite. Unique. */
  database_name: string;
  /** `active` or `deleting`. */
  state: string;
  created_at: number;
  created_by: string;
}

/** What owner and operator set for a namespace; no row where neither set anything. */
export interface NamespaceSettingsTable {
  namespace: string;
  /** JSON object of objects: values by domain and name. What is not in it is the gateway's default. */
  settings: string;
  /** The same for limits. */
  limits: string;
  /** Rises by 1 with each change, from 1. */
  version: number;
}

/** An API key, revoked ones included. */
export interface ApiKeyTable {
  /** Public id, `key_…`. */
  id: string;
  namespace: string;
  /** SHA-256 of the whole key. */
  hash: string;
  name: string;
  /** The wallet whose key this is; null for a named key. */
  wallet: string | null;
  /** Counts the keys of one wallet in one namespace, so that a revoked one is never derived again; 0 for named keys. */
  serial: number;
  /** JSON array of scopes; null: all but `namespace:admin`. */
  scopes: string | null;
  operator: number;
  created_at: number;
  created_by: string;
  expires_at: number | null;
  revoked_at: number | null;
  last_used_at: number | null;
}

/** A sign-in of a wallet. */
export interface SessionTable {
  /** Public id, `ses_…`; the family of its refresh tokens and the `sid` of its access tokens. */
  id: string;
  namespace: string;
  wallet: string;
  /** The wallet as the client spelled it, echoed as `subject`. */
  subject: string;
  created_at: number;
  last_used_at: number;
  expires_at: number;
  revoked_at: number | null;
  address: string;
  user_agent: string;
}

/** A refresh token, used ones included: a second use must be noticed. */
export interface RefreshTokenTable {
  hash: string;
  session_id: string;
  created_at: number;
  expires_at: number;
  used_at: number | null;
  /** Hash of the token that was given in exchange. */
  replaced_by: string | null;
}

/** A revocation, kept while something it concerns can be alive. */
export interface RevocationTable {
  seq: Generated<number>;
  /**
   * `key`, `session`, `member` (id `<namespace>/<wallet>`), `namespace`, `token` (id = `jti`), `settings` (id = namespace), `function`
   * and `secret` (id `<namespace>/<name>`), `triggers` and `webhooks` (id = namespace).
   */
  kind: string;
  id: string;
  /** Credentials issued before this moment are dead. */
  at: number;
  /** After this moment no credential it could concern is alive. */
  expires_at: number;
}

/** A key that signs access tokens, kept while its last token lives. */
export interface SigningKeyTable {
  kid: string;
  public_jwk: string;
  /** The private JWK, sealed with a key derived from the root key. */
  sealed_private_jwk: string;
  created_at: number;
  /** From when on it signs: a little after it was published, so that every gateway knows it by then. */
  active_from: number;
  /** Until when its signatures are accepted; null while it is the newest. */
  retired_at: number | null;
}

/** A one-time code of the login page. Gone when it is used. */
export interface LoginCodeTable {
  hash: string;
  namespace: string;
  wallet: string;
  callback: string;
  code_challenge: string;
  expires_at: number;
}

/** An entry of an audit log. */
export interface AuditEventTable {
  id: Generated<number>;
  at: number;
  namespace: string;
  actor: string;
  action: string;
  resource: string;
  address: string;
  request_id: string;
  /** JSON object. */
  details: string;
}

/** A namespace's claim to content. */
export interface StorageObjectTable {
  namespace: string;
  /** Version 1, base32. */
  cid: string;
  /** The CID as it was given last. */
  written: string;
  name: string;
  /** Bytes that a reader gets; null until that is known. */
  size: number | null;
  /** Bytes that it counts in {@link Schema.storage_usage}. */
  charged: number;
  type: string | null;
  /** `file`, `directory` or `block`. */
  kind: string;
  /** `private` or `public`. */
  visibility: string;
  encrypted: number;
  pinned: number;
  expires_at: number | null;
  replication_min: number;
  replication_max: number;
  /** 0 while the engine looks for it on its network. */
  available: number;
  /** When it was asked for last. */
  asked_at: number;
  /** Why it is not available, and will not be by itself: a public sentence. */
  problem: string | null;
  /** Links of another number are dead. */
  link_serial: number;
  /** 1 where pin requests alone ask for it, so that it goes with the last of them. */
  requested: number;
  created_at: number;
  created_by: string;
}

/** What is wanted of the engine for a CID, and how much of that it was told. */
export interface StoragePinTable {
  cid: string;
  wanted: number;
  name: string;
  replication_min: number;
  replication_max: number;
  /** JSON array of multiaddresses; null: none. */
  origins: string | null;
  /** Rises with each change of what is wanted. */
  version: number;
  /** The version that the engine was told. */
  applied: number;
  /** How often telling it failed since the last change; once it was told, how often it was to recover the pin since that was well. */
  tries: number;
  /** When it is to be told, or to recover the pin, at the earliest. */
  due_at: number;
  /** What failed last: a public sentence. */
  problem: string | null;
  /** Who tells it now, until {@link leased_until}. */
  holder: string | null;
  leased_until: number;
  /** Until when it is known whose it was or that nodes have it, so that it is not looked for on the network but for that one. */
  withheld_until: number | null;
  /**
   * The namespace whose it was, which may have it again: its name and when it was made, with a space between; `*`: it was public, or
   * was looked for, so all may have it; null: nodes have it, nobody knows whose it is.
   */
  withheld_for: string | null;
}

/** A request that content be kept; there is a claim to it in {@link Schema.storage_objects}. */
export interface StoragePinRequestTable {
  namespace: string;
  /** Public id, `pin_…`. */
  id: string;
  /** Version 1, base32. */
  cid: string;
  /** The CID as it was given. */
  written: string;
  name: string | null;
  /** JSON object of texts. */
  meta: string;
  /** JSON array of multiaddresses. */
  origins: string;
  /** Unique in the namespace. */
  created_at: number;
  created_by: string;
}

/** One life of one gateway. */
export interface GatewayEpochTable {
  /** Rises over the whole cluster, and is never given twice. */
  number: Generated<number>;
  /** Chance, so that a life begins once, however often it is said that it begins. */
  life: string;
  /** The gateway: a libp2p peer id in text. */
  node: string;
  /** `open`, `clean` or `lost`. */
  state: string;
  /** JSON array of multiaddresses. */
  addresses: string;
  /** The life of the same node before this one, where that was held for lost when this one began. */
  former: number | null;
  /** How often it was said that it goes on. */
  renewals: number;
  begun_at: number;
  /** Null while it is open. */
  ended_at: number | null;
}
