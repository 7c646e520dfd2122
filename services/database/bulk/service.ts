import { createHash, type Hash } from "node:crypto";
import type { BulkEvent, BulkLoad, BulkLoads } from "../../../src/contracts/bulk_loads.ts";
import type { SqlArgument, WriteOptions } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { SqlRules } from "../../../src/contracts/settings.ts";
import { tag } from "../../../src/hosts/tagging.ts";
import type { LargeLoads } from "./large.ts";
import { withRow, wrongRow } from "./rows.ts";
import { BulkSpool } from "./spool.ts";
import { BulkStatements } from "./statements.ts";
import type { SqlDriver, SqlFault } from "../driver.ts";
import type { SpaceAt } from "../room.ts";
import { errorOf } from "../faults.ts";
import { IdempotentWrites, type OnceReply } from "../idempotency.ts";
import { InFlight } from "../in_flight.ts";
import { own } from "../own.ts";
import { DEFAULT_RULES, Runner, type RunnerOptions } from "../runner.ts";
import { problemOf } from "../gate/statements.ts";
import { runUnits } from "../units.ts";

/** What bulk loads are told beside the driver. */
export interface SqlBulkLoadsOptions extends RunnerOptions {
  readonly driver: SqlDriver;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Takes what is too much for one request. Without it that is refused: the engine has to carry a load as a whole. */
  readonly large?: LargeLoads | undefined;
  /** The space of the disk that a file is on. Default: as the system tells it. */
  readonly spaceAt?: SpaceAt;
}

type Row = readonly SqlArgument[];

/** Bytes, roughly as JSON, of what goes to a driver in one request: with a way for larger loads, and without. */
const ONE_REQUEST = 4 * 2 ** 20, AT_MOST = 16 * 2 ** 20;
/** Rows between two events. */
const PROGRESS = 10_000;
/** Loads of one namespace that are taken in at once: each may lie on the disk until it is whole. */
const MAX_LOADS = 4;

/** Loads rows by multi-row `INSERT`s in one transaction. */
export class SqlBulkLoads implements BulkLoads {
  readonly #runner: Runner;
  readonly #rulesOf: NonNullable<RunnerOptions["rulesOf"]>;
  /** One for all loads: it knows which keys are in use. */
  readonly #idempotent: IdempotentWrites;
  readonly #large: LargeLoads | undefined;
  readonly #spaceAt: SpaceAt | undefined;
  readonly #running = new InFlight("loads", { headers: { connection: "close" } });

  constructor({ driver, now, large, spaceAt, rulesOf = () => DEFAULT_RULES, ...options }: SqlBulkLoadsOptions) {
    this.#runner = new Runner(driver, { ...options, rulesOf });
    this.#rulesOf = rulesOf;
    this.#idempotent = new IdempotentWrites(this.#runner, now);
    this.#large = large;
    this.#spaceAt = spaceAt;
  }

  async *load(
    namespace: string,
    load: BulkLoad,
    request: RequestContext,
    options: WriteOptions = {},
  ): AsyncGenerator<BulkEvent, void> {
    this.#running.begin(namespace, MAX_LOADS);
    try {
      yield* this.#load(namespace, load, request, options);
    } finally {
      this.#running.end(namespace);
    }
  }

  async *#load(
    namespace: string,
    load: BulkLoad,
    request: RequestContext,
    { timeout, idempotencyKey: key }: WriteOptions,
  ): AsyncGenerator<BulkEvent, void> {
    const rules = await this.#rulesOf(namespace, request);
    const options = { timeout: timeout ?? rules.maxTimeout };
    const hash = key === undefined ? undefined : createHash("sha256").update(JSON.stringify(headOf(load)));
    await using taken = new Taken(this.#large, rules, this.#spaceAt);
    let told = 0;
    for await (const rows of load.rows) {
      await taken.add(load, rows, hash);
      if (taken.count - told < PROGRESS) continue;
      told = taken.count;
      yield { kind: "progress", rows: told };
    }
    request.signal.throwIfAborted();
    const { count: rows, statements } = taken;
    if (statements === undefined) return yield { kind: "done", rows: 0, rowsAffected: 0, replayed: false };
    const once = key === undefined ? undefined : { key, fingerprint: hash!.digest("base64url") };
    const spool = await taken.spooled();
    const around = { runner: this.#runner, idempotent: this.#idempotent };
    const reply = spool && this.#large
      ? await this.#large.run({ namespace, statements, spool, once, rules, ...options }, around, request)
      : await this.#inOneRequest(namespace, statements, taken.rows, once, request, options);
    yield { kind: "done", rows, ...reply };
  }

  async #inOneRequest(
    namespace: string,
    statements: BulkStatements,
    rows: readonly Row[],
    once: { readonly key: string; readonly fingerprint: string } | undefined,
    request: RequestContext,
    options: WriteOptions,
  ) {
    const chunks = Array.from(
      { length: Math.ceil(rows.length / statements.rows) },
      (_, at) => rows.slice(at * statements.rows, (at + 1) * statements.rows),
    );
    const units = chunks.map((chunk) => ({ statement: statements.of(chunk) }));
    const reply: OnceReply = once
      ? await this.#idempotent.run({ namespace, units, ...once }, request, options)
      : await runUnits(this.#runner, { namespace, units }, request, options);
    if (reply.kind === "rolled_back") {
      const { fault, step } = reply;
      throw withRow(fault, await this.#rowOf(namespace, statements, chunks, step, fault, request, options));
    }
    const results = reply.kind === "replayed"
      ? reply.results
      : reply.outcomes.map((outcome) => outcome.ok ? outcome.result : never(outcome.fault));
    const rowsAffected = results.reduce((sum, result) => sum + result.rowsAffected, 0);
    return { rowsAffected, replayed: reply.kind === "replayed" };
  }

  /**
   * Which row of a statement was refused, from 1: the statement's rows are tried one by one, in a transaction that comes to
   * nothing in any case.
   */
  async #rowOf(
    namespace: string,
    statements: BulkStatements,
    chunks: readonly (readonly Row[])[],
    step: number,
    { kind }: SqlFault,
    request: RequestContext,
    options: WriteOptions,
  ): Promise<number | undefined> {
    if (kind === "timeout" || kind === "quota") return undefined;
    const before = chunks.slice(0, step).map((chunk) => statements.of(chunk));
    const singles = (chunks[step] ?? []).map((row) => statements.of([row]));
    const all = [...before, ...singles, own(FAIL)];
    const tried = await this.#runner.run({ namespace, mode: "atomic", statements: all }, request, options)
      .catch(() => undefined);
    if (tried?.reply.kind !== "rolled_back") return undefined;
    const at = tried.reply.step - before.length;
    return at >= 0 && at < singles.length ? step * statements.rows + at + 1 : undefined;
  }
}

/** Fails when it runs. */
const FAIL = "SELECT json_extract('{}', 'no path')";

function never(fault: SqlFault): never {
  throw errorOf(fault);
}

const headOf = ({ table, columns, onConflict }: BulkLoad) => ["bulk", table, columns, onConflict];

/** The rows of a load that were taken in, in memory or, beyond what one request takes, in a file. */
class Taken implements AsyncDisposable {
  readonly rows: Row[] = [];
  count = 0;
  statements: BulkStatements | undefined;
  #bytes = 0;
  #width = 0;
  #spool: BulkSpool | undefined;

  constructor(
    private readonly large: LargeLoads | undefined,
    private readonly rules: SqlRules,
    private readonly spaceAt: SpaceAt | undefined,
  ) {}

  async add(load: BulkLoad, rows: readonly Row[], hash: Hash | undefined): Promise<void> {
    for (const row of rows) {
      this.statements ??= new BulkStatements(load, this.#width = row.length);
      if (++this.count > this.rules.maxBulkRows) throw tooManyRows(this.rules.maxBulkRows);
      this.#check(row);
      hash?.update(`${JSON.stringify(tag(row).value)}\n`);
    }
    if (this.#spool) return await put(rows, this.#spool);
    for (const row of rows) this.rows.push(row);
    for (const row of rows) this.#bytes += sizeOf(row);
    if (this.#bytes <= (this.large ? ONE_REQUEST : AT_MOST)) return;
    if (!this.large) throw tooManyBytes();
    this.#spool = await BulkSpool.create(this.large.folder, this.spaceAt);
    await put(this.rows.splice(0), this.#spool);
  }

  /** The file with all rows, once none will be added any more. */
  async spooled(): Promise<BulkSpool | undefined> {
    await this.#spool?.flush();
    return this.#spool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#spool?.[Symbol.asyncDispose]();
  }

  #check(row: Row): void {
    if (row.length !== this.#width) {
      throw wrongRow(this.count, `it has ${row.length} values, and the first row has ${this.#width}`);
    }
    for (const value of row) {
      const problem = problemOf(value);
      if (problem) throw wrongRow(this.count, problem);
    }
  }
}

async function put(rows: readonly Row[], spool: BulkSpool): Promise<void> {
  for (const row of rows) if (spool.add(row, sizeOf(row))) await spool.flush();
}

/** Bytes of a row, roughly as JSON. */
function sizeOf(row: Row): number {
  let size = 0;
  for (const value of row) {
    if (typeof value === "string") size += value.length + 3;
    else size += value instanceof Uint8Array ? value.length * 4 : 12;
  }
  return size;
}

const INSTEAD = "send the rows in several loads, or a whole database to /v1/rqlite/restore";
const tooManyRows = (most: number) =>
  new GatewayError("BODY_TOO_LARGE", `one load of this namespace may have ${most} rows: ${INSTEAD}`, {
    headers: { connection: "close" },
  });
const tooManyBytes = () =>
  new GatewayError(
    "BODY_TOO_LARGE",
    `one load may have about ${
      AT_MOST / 2 ** 20
    } MiB of values here, because one entry of the cluster's log has to carry it: ` +
      INSTEAD,
    { headers: { connection: "close" } },
  );
