import { invalidResponse, isObject, OramaError } from "../errors.ts";
import type { CallOptions, Client } from "../http.ts";
import { type BatchItem, batchResultsOf, toStep } from "./batch.ts";
import { bulkBody, type BulkOptions, type BulkResult, bulkResultOf, type BulkRow } from "./bulk.ts";
import { type Change, changesOf, type ChangesOptions } from "./changes.ts";
import {
  type DatabaseDefaults,
  keyOf,
  type KeyOptions,
  optionMembers,
  type ReadOptions,
  type WriteOptions,
} from "./options.ts";
import { Repository, type RepositoryOptions } from "./repository.ts";
import { execResultOf, itemsOf, pageOf, shapeResult, shapeRows, type StatementResult } from "./rows.ts";
import { type Page, partsToWire, type SelectParts, type SelectRunner, SelectStart } from "./select.ts";
import { rowsOf } from "./stream.ts";
import { argsToWire, criteriaToWire, quoteName, type Row, type SqlArgument } from "./values.ts";

/** A table or view. */
export interface SchemaObject {
  readonly name: string;
  readonly type: "table" | "view";
  /** The statement that made it. */
  readonly sql: string;
}

/** Columns and the values they must equal; `null` means `IS NULL`. */
export type Criteria = Readonly<Record<string, SqlArgument>>;

/** What `find` takes beside table and criteria. */
export interface FindOptions<T = Row> extends ReadOptions<T>, SelectParts {}

/** What goes with a definition. */
export interface DefinitionOptions extends CallOptions, KeyOptions {}

/** What a batch takes. `level` only where all of it reads. */
export interface BatchOptions extends Omit<WriteOptions<unknown>, "map">, Pick<ReadOptions, "level"> {}

/**
 * SQL of the namespace that the client's credential belongs to. Placeholders are `?`, their values stand in `args`, in order.
 * All methods throw {@link OramaError}, and `TypeError` or `RangeError` for arguments that SQL has no form for.
 */
export interface Database {
  /** Runs one statement that reads, and gives its rows. */
  query<T = Row>(sql: string, args?: readonly SqlArgument[], options?: ReadOptions<T>): Promise<T[]>;
  /** The same row by row, as they come, at the reader's pace. Leaving the loop ends the query. */
  stream<T = Row>(sql: string, args?: readonly SqlArgument[], options?: ReadOptions<T>): AsyncIterable<T>;
  /** Runs one statement of any kind. @throws OramaError `OUTCOME_UNKNOWN` when no answer tells whether it was applied */
  exec<T = Row>(sql: string, args?: readonly SqlArgument[], options?: WriteOptions<T>): Promise<StatementResult<T>>;
  /** Rows whose columns equal the given values. Names may be bare, or quoted as SQL does (`quoteName`). */
  find<T = Row>(table: string, criteria?: Criteria, options?: FindOptions<T>): Promise<T[]>;
  /** The first of them, or `null`. */
  findOne<T = Row>(table: string, criteria?: Criteria, options?: FindOptions<T>): Promise<T | null>;
  /** Begins a `SELECT` of these columns, or of all: `select("id").from("users").where("age > ?", 18).getMany()`. */
  select(...columns: readonly string[]): SelectStart;
  /** Runs several statements, all or none, each seeing what those before it did. */
  batch<R extends readonly unknown[] = Row[]>(
    items: readonly BatchItem[],
    options?: BatchOptions,
  ): Promise<{ -readonly [At in keyof R]: StatementResult<R[At]> }>;
  /** Loads many rows into one table, all or none. A long load wants a longer `requestTimeout`. */
  bulk(
    table: string,
    rows: Iterable<BulkRow> | AsyncIterable<BulkRow>,
    options?: BulkOptions,
  ): Promise<BulkResult>;
  /**
   * Changes of tables as they are committed, for as long as the loop runs. Each is given at least once, also when the connection
   * is lost meanwhile. The feed of each table must be on.
   */
  changes(tables: readonly string[], options?: ChangesOptions): AsyncIterable<Change>;
  /** Switches the change feed of a table on. @param columns that changes show beside the key; default: all */
  enableChanges(table: string, columns?: readonly string[], options?: CallOptions): Promise<void>;
  /** Switches the change feed of a table off. */
  disableChanges(table: string, options?: CallOptions): Promise<void>;
  /**
   * There is none: requests share connections, so nothing could be held open between two of them.
   * @deprecated Use {@link batch}; a query with `expect` makes it hang on what was read before.
   */
  transaction(...given: readonly unknown[]): never;
  /** Tables and views, by name. */
  schema(options?: CallOptions): Promise<SchemaObject[]>;
  /** Runs one definition: CREATE TABLE, CREATE INDEX, ALTER TABLE … */
  createTable(definition: string, options?: DefinitionOptions): Promise<void>;
  /** Drops a table of this very name. @throws OramaError when there is none */
  dropTable(name: string, options?: DefinitionOptions): Promise<void>;
  /** A table whose rows are objects of the application's. */
  repository<T extends object, K extends keyof T & string = keyof T & string>(
    table: string,
    options: RepositoryOptions<T, K>,
  ): Repository<T, K>;
}

/** The database of a client. @param defaults for calls that do not say otherwise */
export const createDatabase = (client: Client, defaults: DatabaseDefaults = {}): Database =>
  new RemoteDatabase(client, defaults);

class RemoteDatabase implements Database {
  readonly #client: Client;
  readonly #defaults: DatabaseDefaults;
  readonly #runner: SelectRunner = {
    all: (body, options) => this.#read("select", body, options),
    stream: (body, options) => this.#stream("select", body, options),
    page: (body, options) => this.#page(body, options),
  };

  constructor(client: Client, defaults: DatabaseDefaults) {
    this.#client = client;
    this.#defaults = defaults;
  }

  async query<T>(sql: string, args: readonly SqlArgument[] = [], options: ReadOptions<T> = {}): Promise<T[]> {
    return await this.#read("query", { sql, args: argsToWire(args) }, options);
  }

  stream<T>(sql: string, args: readonly SqlArgument[] = [], options: ReadOptions<T> = {}): AsyncIterable<T> {
    return this.#stream("query", { sql, args: argsToWire(args) }, options);
  }

  async exec<T>(
    sql: string,
    args: readonly SqlArgument[] = [],
    given: WriteOptions<T> = {},
  ): Promise<StatementResult<T>> {
    const options = this.#withDefaults(given);
    const { signal, requestTimeout, timeout, integers } = options;
    const result = await this.#client.json({
      method: "POST",
      path: "/v1/rqlite/exec",
      body: { sql, args: argsToWire(args), ...optionMembers({ timeout, integers }) },
      effect: "write",
      idempotencyKey: keyOf(options),
      signal,
      requestTimeout,
    }, execResultOf);
    return shapeResult(result, options);
  }

  async find<T>(table: string, criteria: Criteria = {}, options: FindOptions<T> = {}): Promise<T[]> {
    const conditions = criteriaToWire(criteria);
    return await this.#read("find", { table, criteria: conditions, options: partsToWire(options) }, options);
  }

  async findOne<T>(table: string, criteria: Criteria = {}, options: FindOptions<T> = {}): Promise<T | null> {
    // Not `find-one`: its 404 for no row looks like that of an address without a gateway.
    const [first] = await this.find(table, criteria, { ...options, limit: Math.min(options.limit ?? 1, 1) });
    return first ?? null;
  }

  select(...columns: readonly string[]): SelectStart {
    return new SelectStart(this.#runner, columns);
  }

  async batch<R extends readonly unknown[]>(
    items: readonly BatchItem[],
    given: BatchOptions = {},
  ): Promise<{ -readonly [At in keyof R]: StatementResult<R[At]> }> {
    const steps = items.map((item, at) => toStep(item, `batch[${at}]`));
    const reads = steps.every(({ kind }) => kind === "query");
    const options = this.#withDefaults(given);
    const { signal, requestTimeout, timeout, integers } = options;
    const level = reads ? options.level : given.level;
    const results = await this.#client.json({
      method: "POST",
      path: "/v1/rqlite/transaction",
      body: { ops: steps, return_results: true, ...optionMembers({ level, timeout, integers }) },
      effect: reads ? "read" : "write",
      idempotencyKey: reads ? undefined : keyOf(options),
      signal,
      requestTimeout,
    }, (body) => batchResultsOf(body, steps));
    return results.map((result) => shapeResult(result, options)) as { [At in keyof R]: StatementResult<R[At]> };
  }

  async bulk(
    table: string,
    rows: Iterable<BulkRow> | AsyncIterable<BulkRow>,
    given: BulkOptions = {},
  ): Promise<BulkResult> {
    const options = this.#withDefaults(given);
    return await this.#client.json({
      method: "POST",
      path: "/v1/rqlite/bulk",
      body: await bulkBody(table, rows, options),
      effect: "write",
      idempotencyKey: keyOf(options),
      ...callOptions(options),
    }, bulkResultOf);
  }

  changes(tables: readonly string[], options: ChangesOptions = {}): AsyncIterable<Change> {
    return changesOf(this.#client, tables, this.#withDefaults(options));
  }

  async enableChanges(table: string, columns?: readonly string[], options: CallOptions = {}): Promise<void> {
    await this.#client.json({
      method: "POST",
      path: "/v1/rqlite/changes/tables",
      body: { table, columns },
      effect: "write",
      ...callOptions(options),
    }, (body) => {
      if (!isObject(body) || typeof body.table !== "string") throw invalidResponse("it has no table");
    });
  }

  async disableChanges(table: string, options: CallOptions = {}): Promise<void> {
    const path = `/v1/rqlite/changes/tables/${encodeURIComponent(table)}`;
    await this.#client.json({ method: "DELETE", path, effect: "write", ...callOptions(options) }, checkStatus);
  }

  transaction(): never {
    throw new OramaError(
      "there are no interactive transactions: requests share connections. Use batch([...]), which runs all or none; " +
        "a query with expect in it makes it hang on what was read before",
      { code: "NOT_SUPPORTED" },
    );
  }

  async schema(options: CallOptions = {}): Promise<SchemaObject[]> {
    const request = { method: "GET", path: "/v1/rqlite/schema", effect: "read" } as const;
    return await this.#client.json({ ...request, ...callOptions(options) }, (body) => {
      if (isObject(body) && Array.isArray(body.tables)) return body.tables as SchemaObject[];
      throw invalidResponse("it has no tables");
    });
  }

  async createTable(definition: string, options: DefinitionOptions = {}): Promise<void> {
    await this.#define("create-table", { schema: definition }, options);
  }

  async dropTable(name: string, options: DefinitionOptions = {}): Promise<void> {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) await this.#define("drop-table", { table: name }, options);
    else await this.exec(`DROP TABLE ${quoteName(name)}`, [], options);
  }

  repository<T extends object, K extends keyof T & string>(
    table: string,
    options: RepositoryOptions<T, K>,
  ): Repository<T, K> {
    return new Repository(this, table, options);
  }

  async #define(operation: string, body: unknown, options: DefinitionOptions): Promise<void> {
    await this.#client.json({
      method: "POST",
      path: `/v1/rqlite/${operation}`,
      body,
      effect: "write",
      idempotencyKey: keyOf(this.#withDefaults(options)),
      ...callOptions(options),
    }, checkStatus);
  }

  async #read<T>(operation: string, body: Record<string, unknown>, given: ReadOptions<T>): Promise<T[]> {
    const options = this.#withDefaults(given);
    const rows = await this.#client.json(readRequest(operation, body, options), itemsOf);
    return shapeRows(rows, options);
  }

  async #page<T>(body: Record<string, unknown>, given: ReadOptions<T>): Promise<Page<T>> {
    const options = this.#withDefaults(given);
    const { rows, next } = await this.#client.json(readRequest("select", body, options), pageOf);
    return { rows: shapeRows(rows, options), next };
  }

  async *#stream<T>(operation: string, body: Record<string, unknown>, given: ReadOptions<T>): AsyncGenerator<T> {
    const options = this.#withDefaults(given);
    const request = { ...readRequest(operation, body, options), headers: { accept: NDJSON } };
    const answer = await this.#client.open(request, NDJSON);
    for await (const row of rowsOf(answer, options.signal)) yield shapeRows<T>([row], options)[0]!;
  }

  #withDefaults<O extends object>(options: O): O & DatabaseDefaults {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    return { ...this.#defaults, ...Object.fromEntries(given) } as O & DatabaseDefaults;
  }
}

const NDJSON = "application/x-ndjson";

function checkStatus(body: unknown): void {
  if (!isObject(body) || body.status !== "ok") throw invalidResponse("it has no status");
}

const callOptions = ({ signal, requestTimeout }: CallOptions): CallOptions => ({ signal, requestTimeout });

const readRequest = (operation: string, body: Record<string, unknown>, options: ReadOptions<unknown>) => ({
  method: "POST",
  path: `/v1/rqlite/${operation}`,
  body: { ...body, ...optionMembers(options) },
  effect: "read",
  ...callOptions(options),
} as const);
