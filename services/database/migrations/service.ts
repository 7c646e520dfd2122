import type { StatementOptions } from "../../../src/contracts/database.ts";
import type {
  AppliedMigration,
  Migration,
  MigrationOptions,
  MigrationProblem,
  MigrationReport,
  MigrationState,
} from "../../../src/contracts/database_migrations.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { RecordAct } from "../../control_plane/audit.ts";
import type { DriverReply, GatedStatement } from "../driver.ts";
import { errorOf } from "../faults.ts";
import { LIST, listOf, MISSING } from "./list.ts";
import { compare, type Plan, plan, type ReadMigration, readMigration } from "./plan.ts";
import { MIGRATIONS_COLUMNS, MIGRATIONS_TABLE } from "./table.ts";
import { own } from "../own.ts";
import type { Runner } from "../runner.ts";
import type { Statements } from "../gate/statements.ts";

const CREATE = own(`CREATE TABLE IF NOT EXISTS ${MIGRATIONS_TABLE} ${MIGRATIONS_COLUMNS}`);
const INSERT = "INSERT INTO _orama_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)";
const NOTE_DURATION = "UPDATE _orama_migrations SET duration = ? WHERE version = ?";
/** Fails with its argument in the sentence: no JSON path begins so. */
const FAIL = "SELECT json_extract('{}', ?)";

const SYSTEM = { subject: "system" };

const TAKEN = /_orama_migrations\.version/;

/** What the migrations need. */
export interface MigrationsOptions {
  readonly runner: Runner;
  readonly statements: Statements;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Bytes that cannot be guessed. */
  readonly random: (n: number) => Uint8Array;
  /** Records what was applied. */
  readonly record: RecordAct;
}

/** One run for one namespace. */
interface Run {
  readonly namespace: string;
  /** Who applies them. */
  readonly actor: string;
  readonly request: RequestContext;
  readonly options: StatementOptions;
}

/**
 * Applications' migrations: each is applied in one transaction with the row that says so, so the row's key decides between
 * two callers, and a repetition after an unknown outcome finds it.
 */
export class Migrations {
  readonly #runner: Runner;
  readonly #statements: Statements;
  readonly #now: () => number;
  readonly #mark: string;
  readonly #record: RecordAct;

  constructor({ runner, statements, now, random, record }: MigrationsOptions) {
    this.#runner = runner;
    this.#statements = statements;
    this.#now = now;
    this.#record = record;
    this.#mark = `tried_${random(16).toHex()}`;
  }

  /** Those that were applied, by version. @throws GatewayError `CONFLICT` for a list that no gateway wrote */
  async applied(namespace: string, request: RequestContext, options: StatementOptions): Promise<AppliedMigration[]> {
    // Whoever leads now must have what the leader before may have acknowledged.
    const asked = { timeout: options.timeout, level: "linearizable" } as const;
    const { reply } = await this.#runner.run({ namespace, mode: "read", statements: [LIST] }, request, asked);
    const outcome = reply.kind === "done" ? reply.outcomes[0] : { ok: false as const, fault: reply.fault };
    if (outcome === undefined) throw new Error("the driver gave no outcome for a statement");
    return listOf(outcome);
  }

  /** Applies what is pending, or tries it. @throws GatewayError as `DatabaseMigrations.migrate` */
  async run(
    namespace: string,
    migrations: readonly Migration[],
    request: RequestContext,
    { target, dryRun = false, timeout, actor = SYSTEM }: MigrationOptions,
  ): Promise<MigrationReport> {
    const run = { namespace, actor: actor.subject, request, options: { timeout } };
    const given = migrations.map((migration) => readMigration(migration, this.#statements));
    const planned = plan(given, await this.applied(namespace, request, run.options), target);
    if (dryRun) return await this.#try(run, planned);
    if (planned.changed) throw changed(planned.changed);
    return await this.#applyAll(run, planned);
  }

  async #applyAll(run: Run, { states, pending, version }: Plan): Promise<MigrationReport> {
    const done = new Map<number, MigrationState["state"]>();
    for (const migration of pending) {
      try {
        done.set(migration.version, await this.#apply(run, migration));
      } catch (error) {
        const unknown = hasCode(error, "OUTCOME_UNKNOWN") ? migration.version : undefined;
        await this.#tell(run, done, unknown);
        throw error instanceof GatewayError ? stopped(error, migration, done) : error;
      }
    }
    await this.#tell(run, done);
    return {
      version: pending.at(-1)?.version ?? version,
      migrations: states.map((one) => ({ ...one, state: done.get(one.version) ?? one.state })),
    };
  }

  /** @returns `applied` when another caller was faster */
  async #apply(run: Run, migration: ReadMigration): Promise<"applied_now" | "applied"> {
    const { version, name, checksum, statements } = migration;
    const start = this.#now();
    const all = [own(INSERT, version, name, checksum, start), ...statements];
    let reply = await this.#atomically(run, all);
    let before = 1;
    if (reply.kind === "rolled_back" && reply.step === 0 && MISSING.test(reply.fault.message)) {
      reply = await this.#atomically(run, [CREATE, ...all]);
      before = 2;
    }
    if (reply.kind === "done") {
      await this.#note(run, version, this.#now() - start);
      return "applied_now";
    }
    const { fault, step } = reply;
    if (step < before && fault.kind === "constraint" && TAKEN.test(fault.message)) {
      const others = await this.applied(run.namespace, run.request, run.options);
      if (compare(migration, others.find((one) => one.version === version)) !== "changed") return "applied";
      throw changed(migration);
    }
    throw failed(errorOf(fault), migration, step < before ? undefined : step - before);
  }

  /** @param unknown the version of which nobody knows whether it was applied: a repetition finds it done */
  async #tell(
    { namespace, actor, request }: Run,
    done: ReadonlyMap<number, MigrationState["state"]>,
    unknown?: number,
  ): Promise<void> {
    const versions = [...done].flatMap(([version, state]) => state === "applied_now" ? [version] : []);
    if (versions.length === 0 && unknown === undefined) return;
    const details = { versions, ...(unknown !== undefined && { unknown }) };
    await this.#record({ namespace, actor, action: "database.migrated", resource: namespace, details }, request);
  }

  /** A figure for people, without which everything works. */
  async #note({ namespace, request, options }: Run, version: number, duration: number): Promise<void> {
    const statements = [own(NOTE_DURATION, duration, version)];
    await this.#runner.run({ namespace, mode: "write", statements }, request, options).catch(() => {});
  }

  /** Runs everything that is pending, and behind it a statement that fails, which takes all of it back. */
  async #try(run: Run, { states, pending, changed: other, version }: Plan): Promise<MigrationReport> {
    const report = { version, migrations: states };
    if (other) return { ...report, problem: problemOf(other.version, changed(other)) };
    if (pending.length === 0) return report;
    const places = pending.flatMap(({ version, statements }) =>
      statements.map((_, statement) => ({ version, statement }))
    );
    const statements = pending.flatMap(({ statements }) => statements);
    const reply = await this.#atomically(run, [...statements, own(FAIL, this.#mark)]);
    if (reply.kind === "done") throw new Error("a transaction succeeded whose last statement always fails");
    if (reply.fault.message.includes(this.#mark)) return report;
    const place = places[reply.step];
    const problem = problemOf(place?.version ?? pending[0]!.version, errorOf(reply.fault));
    return { ...report, problem: { ...problem, ...(place && { statement: place.statement }) } };
  }

  async #atomically(
    { namespace, request, options }: Run,
    statements: readonly GatedStatement[],
  ): Promise<DriverReply> {
    return (await this.#runner.run({ namespace, mode: "atomic", statements }, request, options)).reply;
  }
}

const changed = ({ version, name }: ReadMigration) =>
  new GatewayError(
    "CONFLICT",
    `migration ${version} (${name}) was applied with other statements: leave it as it was, and add another one`,
    { details: { version } },
  );

function failed(error: GatewayError, { version, name }: ReadMigration, statement: number | undefined): GatewayError {
  const place = statement === undefined ? "" : `, statement ${statement + 1}`;
  return new GatewayError(error.code, `migration ${version} (${name})${place}: ${error.message}`, {
    ...error.extra,
    details: { version, ...(statement !== undefined && { statement }) },
  });
}

/** The error that ended a run, with what was applied before it. */
function stopped(error: GatewayError, { version }: ReadMigration, done: ReadonlyMap<number, unknown>): GatewayError {
  const applied = [...done.keys()];
  const known = typeof error.extra.details === "object" ? error.extra.details : {};
  const extra = { ...error.extra, details: { version, ...known, applied } };
  if (error.code !== "OUTCOME_UNKNOWN") return new GatewayError(error.code, error.message, extra);
  return new GatewayError(
    "UNAVAILABLE",
    `the database did not confirm migration ${version}; repeat the request, and it is applied once`,
    { ...extra, cause: error, retryAfter: 1 },
  );
}

const problemOf = (version: number, { code, message }: GatewayError): MigrationProblem => ({ version, code, message });
