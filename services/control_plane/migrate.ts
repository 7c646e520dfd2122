import { CompiledQuery } from "kysely";
import { hasCode } from "../../src/contracts/errors.ts";
import { ConstraintViolation, type ControlDatabase } from "./control_database.ts";
import { migrations as released } from "./migrations/index.ts";

/** One step of the schema, forward only. Its statements call no SQL function of time or chance: nodes of RQLite would differ. */
export interface Migration {
  /** Consecutive, from 1. */
  readonly version: number;
  readonly statements: readonly string[];
}

/** The database was made by a newer gateway than this one. */
export class SchemaTooNew extends Error {
  override readonly name = "SchemaTooNew";

  constructor(found: number, known: number) {
    super(
      `The control database has schema version ${found}; this gateway knows versions up to ${known}. Run a newer gateway.`,
    );
  }
}

/** How {@link migrate} works. */
export interface MigrateOptions {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Default: those that came with this gateway. */
  readonly migrations?: readonly Migration[];
  readonly signal?: AbortSignal | undefined;
}

/** How often an unknown outcome is looked at again before it is reported. */
const TRIES = 3;

/**
 * Brings the control database to the newest schema. May be called at every start, by several gateways at once: each step
 * is one transaction that begins by claiming its version, so that exactly one of them takes it.
 * @returns the versions that this call applied
 * @throws SchemaTooNew
 * @throws GatewayError `UNAVAILABLE`, `OUTCOME_UNKNOWN`
 */
export async function migrate(control: ControlDatabase, options: MigrateOptions): Promise<number[]> {
  const applied: number[] = [];
  for (let tries = 1;; tries++) {
    try {
      await applyPending(control, options, applied);
      return applied;
    } catch (error) {
      const unknown = hasCode(error, "OUTCOME_UNKNOWN");
      if (!unknown || tries === TRIES) throw error;
    }
  }
}

async function applyPending(control: ControlDatabase, options: MigrateOptions, applied: number[]): Promise<void> {
  const { now, migrations = released, signal } = options;
  const raw = (sql: string) => CompiledQuery.raw(sql);
  const existing = await control.run(raw("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'"), signal);
  if (existing.rows.length === 0) {
    const columns = "version INTEGER NOT NULL PRIMARY KEY, applied_at INTEGER NOT NULL";
    await control.run(raw(`CREATE TABLE IF NOT EXISTS schema_migrations (${columns}) STRICT`), signal);
  }
  const { rows } = await control.run<{ version: number | null }>(
    raw("SELECT max(version) AS version FROM schema_migrations"),
    signal,
  );
  const version = rows[0]?.version ?? 0;
  const known = migrations.at(-1)?.version ?? 0;
  if (version > known) throw new SchemaTooNew(version, known);

  for (const migration of migrations.filter((one) => one.version > version)) {
    const claim = control.db.insertInto("schema_migrations").values({ version: migration.version, applied_at: now() });
    try {
      await control.atomically([claim, ...migration.statements.map(raw)], signal);
      applied.push(migration.version);
    } catch (error) {
      const lost = error instanceof ConstraintViolation && error.subject === "schema_migrations.version";
      if (!lost) throw error;
    }
  }
}
