import type { Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { AnswerRows } from "./answer_rows.ts";
import type { Call } from "./call.ts";
import { type Before, type GroupedStatement, Lane, type LaneOptions } from "./groups.ts";
import type { RqliteNode } from "./members.ts";
import type {
  CallOptions,
  ExecuteOptions,
  QueryOptions,
  ReadConsistency,
  ReadLevel,
  RequestOptions,
  RqliteClusterOptions,
  Waiter,
} from "./options.ts";
import { plan, resultsOf } from "./plan.ts";
import type { PoolStream } from "./pool_stream.ts";
import { firstFailure, undone } from "./results.ts";
import { outcomeUnknown, Transport, unavailable } from "./transport.ts";
import { encodeStatements, type RqliteAnswer, type RqliteResult } from "./wire.ts";

export type {
  CallOptions,
  ExecuteOptions,
  QueryOptions,
  ReadLevel,
  RequestOptions,
  RqliteClusterOptions,
} from "./options.ts";
export type { RqliteNode } from "./members.ts";
export { firstFailure } from "./results.ts";
export { type AnswerRows, StatementFailed } from "./answer_rows.ts";
export type { GroupedStatement } from "./groups.ts";
export { encodeText } from "./wire.ts";
export type { RqliteChange, RqliteFailure, RqliteResult, RqliteRows } from "./wire.ts";

/** How long a load may take: the file goes through the Raft log. */
const LOAD_TIMEOUT = 30_000;
/** What a request has beyond the time of its statements, in milliseconds: rqlite notices late on a busy machine. */
const GRACE = 1_500;
/** The least that rqlite is given, in milliseconds: an interrupt that comes before a statement runs is lost. */
const LEAST_DB_TIMEOUT = 100;
/**
 * Tells the schema's version, and makes a connection notice that it has changed: rqlite asks for the columns of a result before
 * SQLite looks whether it has to compile the statement again.
 */
const SCHEMA_NOTICE = '["SELECT schema_version, (SELECT 1 FROM sqlite_schema WHERE 0) FROM pragma_schema_version"]';
/** Ways of reading that have a lane of their own; `freshness` makes them many. */
const MAX_LANES = 32;

/** Who wants to know the schema's version. */
export interface SchemaWatch {
  /** Whether it is time. */
  readonly due: () => boolean;
  readonly seen: (version: number) => void;
}

/**
 * One rqlite cluster, which is one database: leader-aware, pooled, and honest about what may have happened.
 *
 * Results come one per statement, in order; a statement that SQLite refused is a result, not an exception. Every method
 * throws `GatewayError`: `UNAVAILABLE` (nothing was applied, for as long as {@link RqliteClusterOptions.patience}),
 * `OUTCOME_UNKNOWN` (a write that may have been applied), `SQL_INVALID` (a statement without content, a value that SQLite
 * cannot hold, a result with an infinite number), `SQL_NOT_ALLOWED` (a pragma that rqlite refuses), `RESULT_TOO_LARGE`.
 * Statements are not judged here: `BEGIN`, `ATTACH` and the like harm every user of the cluster and must not get this far.
 */
export class RqliteCluster {
  readonly name: string;
  readonly #transport: Transport;
  readonly #writes: Lane;
  readonly #reads = new Map<string, Lane>();
  readonly #onGroup: LaneOptions["onGroup"];
  #schemaWatch: SchemaWatch | undefined;

  constructor(options: RqliteClusterOptions) {
    this.name = options.name;
    this.#transport = new Transport(options);
    this.#onGroup = options.onGroup ?? (() => {});
    this.#writes = this.#lane("write", "/db/execute?", {});
  }

  /** From now on grouped reads bring the schema's version along when it is due. */
  watchSchema(watch: SchemaWatch): void {
    this.#schemaWatch = watch;
  }

  /** Whether writes do not come back, although the cluster lives: then they are `UNAVAILABLE` at once. */
  get stuck(): boolean {
    return this.#transport.stuck.stuck;
  }

  /**
   * A read that shares its request with those of other callers. It must certainly be short: see {@link Lane}.
   * @returns `undefined` when it has to be asked by {@link query}
   */
  readGrouped(statement: GroupedStatement, { level, freshness }: ReadConsistency): Promise<RqliteResult | undefined> {
    const key = freshness === undefined ? level : `${level} ${freshness}`;
    let lane = this.#reads.get(key);
    if (lane === undefined) {
      if (this.#reads.size >= MAX_LANES) return Promise.resolve(undefined);
      this.#reads.set(key, lane = this.#lane("read", `/db/query?${consistency(level, freshness)}`, { level }));
    }
    return lane.run(statement);
  }

  /**
   * As {@link readGrouped}, of a write without rows: each stands alone, and a failing one touches no other.
   * @returns `undefined` when it has to be asked by {@link request}
   */
  writeGrouped(statement: GroupedStatement): Promise<RqliteResult | undefined> {
    return this.#writes.run(statement);
  }

  /** Reads. A statement that would write fails. Asked again of another node when one does not answer. */
  async query(statements: readonly Statement[], options: QueryOptions): Promise<RqliteResult[]> {
    const path = `/db/query?${consistency(options.level, options.freshness)}`;
    const { results } = await this.#run(path, statements, true, options.level, options);
    if (results.length !== statements.length) throw unavailable(results);
    return results;
  }

  /**
   * Writes; definitions too. Without `transaction` each statement stands alone and a failing one does not stop the others;
   * with it, one failure undoes everything and makes every result an `error`: see {@link firstFailure}.
   */
  execute(statements: readonly Statement[], options: ExecuteOptions): Promise<RqliteResult[]> {
    return this.request(statements, options);
  }

  /**
   * Reads and writes mixed, as {@link execute}; `SELECT` and `RETURNING` give rows.
   * @throws GatewayError also `SQL_NOT_ALLOWED` for `RETURNING` beside functions of time or chance in a transaction
   */
  async request(statements: readonly Statement[], options: RequestOptions): Promise<RqliteResult[]> {
    const { transaction, level = "weak" } = options;
    const planned = plan(statements, transaction);
    // Here rqlite v8 answers `linearizable` from any node without asking anybody, so the next stronger level stands in.
    const strong = planned.strong || level === "linearizable";
    // And there v8 reads this flag the wrong way round: without it each node would make random values of its own.
    const rewritten = planned.path === "/db/request" ? "&norwrandom" : "";
    const path = `${planned.path}?level=${strong ? "strong" : level}${transaction ? "&transaction" : ""}${rewritten}`;
    const through = strong ? "strong" : level;
    const { results: raw, error } = await this.#run(path, planned.sent, !planned.writing, through, options);
    if (error !== undefined) return undone(statements.length, { index: statements.length - 1, error });
    // It went on after a failure, so it did not roll back.
    if (transaction && planned.writing && raw.slice(0, -1).some(({ kind }) => kind === "error")) {
      throw outcomeUnknown(raw);
    }
    const results = resultsOf(planned, raw);
    const failure = transaction ? firstFailure(results) : undefined;
    if (failure !== undefined) return undone(statements.length, failure);
    if (results.length !== statements.length) throw planned.writing ? outcomeUnknown(results) : unavailable(results);
    return results;
  }

  /**
   * Replaces the whole database.
   * @param file a SQLite file that is not in WAL mode
   * @throws GatewayError also `INVALID_REQUEST` for anything else
   */
  async load(file: Uint8Array, signal?: AbortSignal): Promise<void> {
    // rqlite takes what has another beginning for SQL, and runs it.
    const isFile = new TextDecoder().decode(file.subarray(0, 16)) === "SQLite format 3\0";
    const isWal = file[18] !== 1;
    if (!isFile || isWal) throw new GatewayError("INVALID_REQUEST", "not a SQLite file, or one in WAL mode");
    const { results } = await this.#transport.send({
      path: `/db/load?timeout=${LOAD_TIMEOUT}ms`,
      body: file,
      contentType: "application/octet-stream",
      reading: false,
      throughLog: true,
      anyNode: false,
      timeout: LOAD_TIMEOUT,
      holds: LOAD_TIMEOUT,
      waiter: signal && { signal },
    });
    if (results.length > 0) throw outcomeUnknown(results);
  }

  /** The whole database as the leader has it now, as a SQLite file, piece by piece. */
  async backup(waiter: Waiter): Promise<PoolStream> {
    return await this.#transport.open({
      method: "GET",
      path: `/db/backup?timeout=${LOAD_TIMEOUT}ms`,
      body: "",
      contentType: "application/octet-stream",
      reading: true,
      throughLog: false,
      anyNode: false,
      timeout: LOAD_TIMEOUT,
      waiter,
    }, (stream) => stream);
  }

  /** As {@link query} of one statement, with the rows as they come. Its faults are in what the stream throws, too. */
  async stream(statement: Statement, before: readonly Statement[], options: QueryOptions): Promise<AnswerRows> {
    const path = `/db/query?${consistency(options.level, options.freshness)}`;
    const call = this.#call(path, [...before, statement], true, options.level, options);
    return await this.#transport.open(call, (stream) => AnswerRows.open(stream, before.length));
  }

  /** The members, voters or not, as the first node that answers sees them. */
  async nodes(signal?: AbortSignal): Promise<readonly RqliteNode[]> {
    return await this.#transport.first((url, one) => this.#transport.list(url, one), signal)
      .catch((cause) => Promise.reject(unavailable(cause)));
  }

  /** Whether a node answers that it is up, has a leader and has caught up with it. Never throws. */
  ready(signal?: AbortSignal): Promise<boolean> {
    return this.#transport.first((url, one) => this.#transport.ready(url, one), signal).then(() => true, () => false);
  }

  /** Gives back the connections. Requests in flight fail. */
  close(): Promise<void> {
    this.#transport.close();
    for (const lane of [this.#writes, ...this.#reads.values()]) lane.close();
    return Promise.resolve();
  }

  #lane(access: "read" | "write", path: string, { level }: { level?: ReadLevel }): Lane {
    const reading = access === "read";
    return new Lane({
      access,
      send: (body, dbTimeout, atomic) => {
        const bounds = this.#bounds(atomic ? `${path}&transaction` : path, reading, level, { dbTimeout });
        return this.#transport.send({ ...bounds, body: `[${body}]`, waiter: undefined });
      },
      before: reading ? (wildcard) => this.#schemaNotice(wildcard, level) : undefined,
      onGroup: this.#onGroup,
    });
  }

  /** What any node says about the schema may be old, so it is heard from the leader alone. */
  #schemaNotice(wildcard: boolean, level: ReadLevel | undefined): Before | undefined {
    const watch = level === "none" ? undefined : this.#schemaWatch;
    if (!wildcard && watch?.due() !== true) return undefined;
    return {
      body: SCHEMA_NOTICE,
      seen: (result) => {
        const version = result.kind === "rows" ? result.rows[0]?.[0] : undefined;
        if (typeof version === "number") watch?.seen(version);
      },
    };
  }

  async #run(
    path: string,
    statements: readonly Statement[],
    reading: boolean,
    level: ReadLevel,
    options: CallOptions,
  ): Promise<RqliteAnswer> {
    if (statements.length === 0) return { results: [], error: undefined };
    if (options.signal?.aborted === true) throw unavailable(options.signal.reason);
    return await this.#transport.send(this.#call(path, statements, reading, level, options));
  }

  #call(
    path: string,
    statements: readonly Statement[],
    reading: boolean,
    level: ReadLevel,
    options: CallOptions,
  ): Call {
    const { signal, waiter = signal && { signal }, maxBytes } = options;
    return {
      ...this.#bounds(path, reading, level, options),
      body: encodeStatements(statements),
      maxBytes,
      waiter,
    };
  }

  #bounds(
    path: string,
    reading: boolean,
    level: ReadLevel | undefined,
    { timeout: wished, dbTimeout: asked }: Pick<CallOptions, "timeout" | "dbTimeout">,
  ) {
    const dbTimeout = asked === undefined ? undefined : Math.ceil(Math.max(asked, LEAST_DB_TIMEOUT));
    const least = dbTimeout === undefined ? 0 : dbTimeout + GRACE;
    const timeout = Math.ceil(Math.max(wished ?? this.#transport.timeout, least));
    const interrupted = dbTimeout === undefined ? "" : `&db_timeout=${dbTimeout}ms`;
    const throughLog = !reading || level === "strong";
    return {
      path: `${path}&blob_array&timeout=${timeout}ms${interrupted}`,
      contentType: "application/json",
      reading,
      throughLog,
      anyNode: reading && level === "none",
      timeout,
      holds: throughLog ? dbTimeout : undefined,
    };
  }
}

const consistency = (level: ReadLevel, freshness: number | undefined) =>
  level === "none" && freshness !== undefined ? `level=none&freshness=${Math.ceil(freshness)}ms` : `level=${level}`;
