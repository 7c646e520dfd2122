import type { RequestContext } from "../../../src/contracts/request.ts";
import type { SqlRules } from "../../../src/contracts/settings.ts";
import type { BulkSpool } from "./spool.ts";
import type { BulkStatements } from "./statements.ts";
import type { IdempotentWrites } from "../idempotency.ts";
import type { Runner } from "../runner.ts";

/** A load whose rows lie in a file. */
export interface LargeLoad {
  readonly namespace: string;
  readonly statements: BulkStatements;
  readonly spool: BulkSpool;
  /** Its idempotency key, and what the key stands for. */
  readonly once: { readonly key: string; readonly fingerprint: string } | undefined;
  readonly rules: SqlRules;
  /** Milliseconds. */
  readonly timeout: number;
}

/** A driver's way with loads that are too much for one request. */
export interface LargeLoads {
  /** Where rows are put down meanwhile. */
  readonly folder: string;
  /**
   * Loads all rows or none.
   * @param around what is shared with other writes: what runs everything else on the same database, and what keeps keys
   * @throws GatewayError as `BulkLoads.load`
   */
  run(
    load: LargeLoad,
    around: { readonly runner: Runner; readonly idempotent: IdempotentWrites },
    request: RequestContext,
  ): Promise<{ readonly rowsAffected: number; readonly replayed: boolean }>;
}
