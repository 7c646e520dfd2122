import type {
  ClientStatement,
  Database,
  ExecResult,
  PageResult,
  ReadOptions,
  ReadResult,
  RowStream,
  SchemaObject,
  SelectSpec,
  StatementClass,
  TransactionOptions,
  TransactionResult,
  TransactionStep,
  WriteOptions,
} from "../../src/contracts/database.ts";
import type {
  AppliedMigration,
  Migration,
  MigrationOptions,
  MigrationReport,
} from "../../src/contracts/database_migrations.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { RecordAct } from "../control_plane/audit.ts";
import type { GatedStatement, SqlDriver } from "./driver.ts";
import { errorOf, WRITES_IN_QUERY } from "./faults.ts";
import { Turns } from "./files/turns.ts";
import { fingerprintOf, IdempotentWrites, type OnceReply } from "./idempotency.ts";
import { Migrations } from "./migrations/service.ts";
import { own } from "./own.ts";
import { Pages } from "./pages/service.ts";
import { Preconditions } from "./preconditions.ts";
import {
  atStep,
  execResult,
  figuresOf,
  NO_ROWS,
  onlyResult,
  replayedStep,
  resultOf,
  stepResult,
  withStep,
} from "./results.ts";
import { Runner, type RunnerOptions } from "./runner.ts";
import { buildSelect } from "./select_builder.ts";
import { quoteName } from "./select_parts.ts";
import { Statements } from "./gate/statements.ts";
import { runUnits, type Unit } from "./units.ts";

const SCHEMA = own(
  `SELECT name, type, sql FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_orama\\_%' ESCAPE '\\' ORDER BY name`,
);

/** What the service is told beside its driver. */
export interface SqlDatabaseOptions extends RunnerOptions {
  /** Unix milliseconds. Default `Date.now`. */
  readonly now?: () => number;
  /** Bytes that cannot be guessed. Default `crypto.getRandomValues`. */
  readonly random?: (n: number) => Uint8Array;
  /** Records migrations. Default: nowhere. */
  readonly record?: RecordAct | undefined;
  /** Shared with whoever works on databases of namespaces as a whole. */
  readonly turns?: Turns;
}

/** SQL of the namespaces over one driver: the gate before it, the client's errors behind it. */
export class SqlDatabase implements Database {
  readonly #driver: SqlDriver;
  readonly #runner: Runner;
  readonly #statements = new Statements();
  readonly #idempotent: IdempotentWrites;
  readonly #preconditions: Preconditions;
  readonly #migrations: Migrations;
  readonly #pages: Pages;
  readonly #turns: Turns;

  constructor(driver: SqlDriver, options: SqlDatabaseOptions = {}) {
    const { now = Date.now, random = (n) => crypto.getRandomValues(new Uint8Array(n)) } = options;
    this.#driver = driver;
    this.#turns = options.turns ?? new Turns();
    this.#runner = new Runner(driver, options);
    this.#idempotent = new IdempotentWrites(this.#runner, now);
    this.#preconditions = new Preconditions(random);
    this.#pages = new Pages(this.#runner);
    const record = options.record ?? (() => Promise.resolve());
    this.#migrations = new Migrations({ runner: this.#runner, statements: this.#statements, now, random, record });
  }

  classify(sql: string): StatementClass {
    return this.#statements.classify(sql);
  }

  async query(
    namespace: string,
    statement: ClientStatement,
    request: RequestContext,
    options: ReadOptions = {},
  ): Promise<ReadResult> {
    return await this.#read(namespace, this.#statements.gate(statement), request, options);
  }

  async execute(
    namespace: string,
    statement: ClientStatement,
    request: RequestContext,
    options: WriteOptions = {},
  ): Promise<ExecResult> {
    const gated = this.#statements.gate(statement);
    const { idempotencyKey: key } = options;
    if (key !== undefined && writes(gated)) {
      const fingerprint = fingerprintOf("execute", [gated]);
      const reply = await this.#idempotent.run(
        { namespace, key, fingerprint, units: [{ statement: gated }] },
        request,
        options,
      );
      if (reply.kind === "replayed") return { ...figuresOf(reply.results[0]!), replayed: true };
      return execResult(gated, onlyResult(reply));
    }
    const mode = writes(gated) ? "write" : "read";
    const { reply } = await this.#runner.run({ namespace, mode, statements: [gated] }, request, options);
    return execResult(gated, onlyResult(reply));
  }

  async select(
    namespace: string,
    spec: SelectSpec,
    request: RequestContext,
    options?: ReadOptions,
  ): Promise<ReadResult> {
    return await this.query(namespace, buildSelect(spec), request, options);
  }

  async page(
    namespace: string,
    spec: SelectSpec,
    after: string,
    request: RequestContext,
    options: ReadOptions = {},
  ): Promise<PageResult> {
    const query = (statement: ClientStatement) => this.query(namespace, statement, request, options);
    return await this.#pages.read(spec, after, { namespace, request, options }, query);
  }

  async stream(
    namespace: string,
    statement: ClientStatement,
    request: RequestContext,
    options: ReadOptions = {},
  ): Promise<RowStream> {
    const gated = readingOnly(this.#statements.gate(statement));
    return await this.#runner.stream(namespace, gated, request, options);
  }

  async streamSelect(
    namespace: string,
    spec: SelectSpec,
    request: RequestContext,
    options?: ReadOptions,
  ): Promise<RowStream> {
    return await this.stream(namespace, buildSelect(spec), request, options);
  }

  async transaction(
    namespace: string,
    steps: readonly TransactionStep[],
    request: RequestContext,
    options: TransactionOptions = {},
  ): Promise<TransactionResult> {
    if (steps.length === 0) return { steps: [] };
    const units = steps.map((step, at) => atStep(at, () => this.#unitOf(step)));
    const reply = await this.#runTransaction(namespace, steps, units, request, options);
    if (reply.kind === "replayed") {
      return { steps: steps.map(({ kind }, at) => replayedStep(kind, reply.results[at]!)), replayed: true };
    }
    if (reply.kind === "rolled_back") {
      const { fault, step } = reply;
      throw withStep(this.#preconditions.errorOf(fault, steps[step]?.expect) ?? errorOf(fault), step);
    }
    const results = steps.map(({ kind }, at) =>
      atStep(at, () => stepResult(kind, units[at]!.statement, resultOf(reply.outcomes[at])))
    );
    return { steps: results, ...(!units.some(({ statement }) => writes(statement)) && { level: reply.level }) };
  }

  async schema(namespace: string, request: RequestContext): Promise<SchemaObject[]> {
    const { rows } = await this.#read(namespace, SCHEMA, request, {});
    return rows.map(([name, type, sql]) => ({
      name: String(name),
      type: type === "view" ? "view" : "table",
      sql: String(sql),
    }));
  }

  async dropTable(
    namespace: string,
    table: string,
    request: RequestContext,
    options?: WriteOptions,
  ): Promise<ExecResult> {
    try {
      return await this.execute(namespace, { sql: `DROP TABLE ${quoteName(table)}`, args: [] }, request, options);
    } catch (error) {
      if (!(error instanceof GatewayError) || !error.message.startsWith("no such table")) throw error;
      throw new GatewayError("NOT_FOUND", `no such table: ${table}`);
    }
  }

  async migrate(
    namespace: string,
    migrations: readonly Migration[],
    request: RequestContext,
    options: MigrationOptions = {},
  ): Promise<MigrationReport> {
    return await this.#migrations.run(namespace, migrations, request, options);
  }

  async migrations(namespace: string, request: RequestContext): Promise<readonly AppliedMigration[]> {
    return await this.#migrations.applied(namespace, request, {});
  }

  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    await this.#turns.remove(namespace, async () => {
      signal.throwIfAborted();
      await this.#driver.purge(namespace, signal);
    });
  }

  usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    return this.#driver.usage(namespace, signal);
  }

  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.#driver.health(signal);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  async #read(
    namespace: string,
    gated: GatedStatement,
    request: RequestContext,
    options: ReadOptions,
  ): Promise<ReadResult> {
    const statements = [readingOnly(gated)];
    const { reply, level } = await this.#runner.run({ namespace, mode: "read", statements }, request, options);
    const { columns, types, rows } = onlyResult(reply).rows ?? NO_ROWS;
    return { columns, types, rows, level };
  }

  #runTransaction(
    namespace: string,
    steps: readonly TransactionStep[],
    units: readonly Unit[],
    request: RequestContext,
    options: TransactionOptions,
  ): Promise<OnceReply> {
    const { idempotencyKey: key, level } = options;
    const writing = units.some(({ statement }) => writes(statement));
    if (writing && level !== undefined) throw levelOfWrites();
    if (!writing || key === undefined) return runUnits(this.#runner, { namespace, units }, request, options);
    const named = steps.map(({ kind, expect }, at) => ({ ...units[at]!.statement, kind, expect }));
    return this.#idempotent.run(
      { namespace, key, units, fingerprint: fingerprintOf("transaction", named) },
      request,
      options,
    );
  }

  #unitOf(step: TransactionStep): Unit {
    const { kind, expect } = step;
    const statement = this.#statements.gate(step);
    if (kind === "query" && statement.facts.access !== "read") {
      throw new GatewayError("SQL_NOT_ALLOWED", "this step writes: its kind must be exec");
    }
    if (expect === undefined) return { statement };
    if (kind === "exec") throw new GatewayError("INVALID_REQUEST", "expect belongs to a query; this step is an exec");
    return { statement, behind: [this.#preconditions.check(statement, expect)] };
  }
}

const writes = ({ facts }: GatedStatement) => facts.access !== "read";

function levelOfWrites(): GatewayError {
  const problem = "a transaction that writes goes through the log as a whole, and its reads with it: leave it out";
  return new GatewayError("INVALID_REQUEST", `level: ${problem}`, { details: [{ field: "level", problem }] });
}

function readingOnly(gated: GatedStatement): GatedStatement {
  if (writes(gated)) throw new GatewayError("SQL_NOT_ALLOWED", WRITES_IN_QUERY);
  return gated;
}
