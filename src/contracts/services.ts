import type { AuditLog } from "./audit.ts";
import type { BulkLoads } from "./bulk_loads.ts";
import type { Cache } from "./cache.ts";
import type { Database } from "./database.ts";
import type { DatabaseChanges } from "./database_changes.ts";
import type { DatabaseFiles } from "./database_files.ts";
import type { Authenticator } from "./identity.ts";
import type { LiveConnections } from "./live_connections.ts";
import type { Namespaces } from "./namespaces.ts";
import type { Network } from "./network.ts";
import type { PinRequests } from "./pinning.ts";
import type { PubSub } from "./pubsub.ts";
import type { RateLimits } from "./rate_limits.ts";
import type { ResumableUploads } from "./resumable_uploads.ts";
import type { Settings } from "./settings.ts";
import type { Storage } from "./storage.ts";
import type { SystemInfo } from "./system.ts";
import type { TopicTokens } from "./topic_tokens.ts";
import type { ApiKeys, Sessions, WalletAuth } from "./wallet_auth.ts";

/** Everything a route can reach. Built by `src/container.ts`; a test builds its own. */
export interface Services {
  readonly authenticator: Authenticator;
  readonly walletAuth: WalletAuth;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly topicTokens: TopicTokens;
  readonly namespaces: Namespaces;
  readonly settings: Settings;
  readonly audit: AuditLog;
  readonly database: Database;
  readonly databaseChanges: DatabaseChanges;
  readonly databaseFiles: DatabaseFiles;
  readonly bulkLoads: BulkLoads;
  readonly cache: Cache;
  readonly storage: Storage;
  readonly pinRequests: PinRequests;
  readonly resumableUploads: ResumableUploads;
  readonly pubsub: PubSub;
  readonly connections: LiveConnections;
  readonly network: Network;
  readonly rateLimits: RateLimits;
  readonly system: SystemInfo;
}
