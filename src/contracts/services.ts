import type { AuditLog } from "./audit.ts";
import type { Database } from "./database.ts";
import type { Authenticator } from "./identity.ts";
import type { Namespaces } from "./namespaces.ts";
import type { RateLimits } from "./rate_limits.ts";
import type { SystemInfo } from "./system.ts";
import type { ApiKeys, Sessions, WalletAuth } from "./wallet_auth.ts";

/** Everything a route can reach. Built by `src/container.ts`; a test builds its own. */
export interface Services {
  readonly authenticator: Authenticator;
  readonly walletAuth: WalletAuth;
  readonly sessions: Sessions;
  readonly apiKeys: ApiKeys;
  readonly namespaces: Namespaces;
  readonly audit: AuditLog;
  readonly database: Database;
  readonly rateLimits: RateLimits;
  readonly system: SystemInfo;
}
