import type { StatementOptions } from "./database.ts";
import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** One numbered change of an application's schema or data. */
export interface Migration {
  /** 1, 2, 3 … without gaps. */
  readonly version: number;
  /** What it is about, for people. */
  readonly name: string;
  /** Its statements in order. A script is split into them. */
  readonly statements: readonly string[] | string;
}

/** What a caller may ask of a run of migrations. */
export interface MigrationOptions extends StatementOptions {
  /** The last version to apply. Default: all that are given. */
  readonly target?: number | undefined;
  /** Tell what would be done, run it, and take all of it back. */
  readonly dryRun?: boolean | undefined;
  /** Who applies them, for the audit log (`database.migrated`). Default: the gateway itself. */
  readonly actor?: Pick<Principal, "subject"> | undefined;
}

/** A migration that was applied. */
export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  /** SHA-256 of its statements, without what stands around them, in base64url. */
  readonly checksum: string;
  /** Unix milliseconds. */
  readonly appliedAt: number;
  /** Milliseconds; `null` when the gateway ended before it could be noted. */
  readonly duration: number | null;
}

/** What becomes of one migration that was given. */
export interface MigrationState {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
  /**
   * `applied` before; `applied_now`; `pending`: it would be applied, or is beyond the target; `changed`: it was applied, with other
   * statements (in a dry run alone, otherwise it is an error).
   */
  readonly state: "applied" | "applied_now" | "pending" | "changed";
}

/** Why a dry run would not succeed. */
export interface MigrationProblem {
  readonly version: number;
  /** Which of its statements, from 0; absent where it is none of them. */
  readonly statement?: number;
  readonly code: string;
  readonly message: string;
}

/** What a run of migrations did, or, for a dry run, would do. */
export interface MigrationReport {
  /** The highest version that is applied now; 0 for none. */
  readonly version: number;
  /** Those that were given, in their order. */
  readonly migrations: readonly MigrationState[];
  /** Of a dry run: what stands in the way. */
  readonly problem?: MigrationProblem;
}

/** Migrations for applications, kept in the namespace's own database. */
export interface DatabaseMigrations {
  /**
   * Applies what is not applied yet, each in a transaction of its own, in order; two callers at once apply each once.
   * @throws GatewayError `INVALID_REQUEST` for versions with gaps or out of order, `CONFLICT` for one that was applied with other
   *   statements or is older than what is applied, and for a list that no gateway wrote; what its statements end in, with `details` {version, statement, applied};
   *   `UNAVAILABLE` also where the outcome is unknown: repeating is safe
   */
  migrate(
    namespace: string,
    migrations: readonly Migration[],
    request: RequestContext,
    options?: MigrationOptions,
  ): Promise<MigrationReport>;
  /** Those that were applied, by version. @throws GatewayError `CONFLICT` for a list (of a restored file) that no gateway wrote */
  migrations(namespace: string, request: RequestContext): Promise<readonly AppliedMigration[]>;
}
