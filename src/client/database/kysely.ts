import {
  type AbortableOperationOptions,
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type DatabaseMetadataOptions,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type MigrationLockOptions,
  type QueryResult,
  sql,
  SqliteAdapter,
  SqliteQueryCompiler,
  type TableMetadata,
} from "kysely";
import { DEFAULT_MIGRATION_LOCK_TABLE, DEFAULT_MIGRATION_TABLE } from "kysely/migration";
import { OramaError } from "../errors.ts";
import { compiledKind, firstWord } from "./batch.ts";
import type { Database } from "./database.ts";
import type { SqlArgument } from "./values.ts";

/** How Kysely uses a database. */
export interface OramaDialectConfig {
  /** Its defaults (`integers`, `level`, `idempotencyKey` …) count for every query. */
  readonly database: Database;
  /** Columns that hold BLOBs, whatever their table, and come as `Uint8Array`. */
  readonly blobs?: readonly string[];
  /** Milliseconds that a migration waits while another one runs. Default 60,000. */
  readonly migrationLockTimeout?: number;
}

/**
 * Kysely on a database of a gateway: `new Kysely<Tables>({ dialect: new OramaDialect({ database }) })`. Queries run at the same
 * time, each by itself. `transaction()` throws and names `Database.batch`, which takes queries of this builder.
 */
export class OramaDialect implements Dialect {
  readonly #config: OramaDialectConfig;

  constructor(config: OramaDialectConfig) {
    this.#config = config;
  }

  /** What SQLite's dialect can, on connections that are not one. */
  createAdapter(): DialectAdapter {
    return new OramaAdapter(this.#config.migrationLockTimeout ?? 60_000);
  }

  /** Sends queries to the gateway. */
  createDriver(): Driver {
    return new OramaDriver(this.#config);
  }

  /** Tables as the gateway shows them. */
  createIntrospector(): DatabaseIntrospector {
    return new OramaIntrospector(this.#config.database);
  }

  /** SQLite's. */
  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler();
  }
}

/** Milliseconds between two looks at the lock of migrations. */
const LOCK_POLL = 250;

class OramaAdapter extends SqliteAdapter {
  /** What stands in the lock while it is ours: Kysely also releases a lock that it did not get. */
  readonly #marks = new WeakMap<object, number>();
  readonly #timeout: number;

  constructor(timeout: number) {
    super();
    this.#timeout = timeout;
  }

  /** SQLite's own says no, and Kysely would send one query after the other. */
  override get supportsMultipleConnections(): boolean {
    return true;
  }

  override async acquireMigrationLock(db: Kysely<unknown>, { lockTable, lockRowId }: MigrationLockOptions) {
    const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
    const mark = random + 1;
    this.#marks.set(db, mark);
    const end = performance.now() + this.#timeout;
    for (;;) {
      const taken = await sql`UPDATE ${
        sql.table(lockTable)
      } SET is_locked = ${mark} WHERE id = ${lockRowId} AND is_locked = 0`.execute(db);
      if (taken.numAffectedRows === 1n) return;
      if (performance.now() >= end) throw migrating(lockTable);
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL));
    }
  }

  override async releaseMigrationLock(db: Kysely<unknown>, { lockTable, lockRowId }: MigrationLockOptions) {
    const mark = this.#marks.get(db);
    this.#marks.delete(db);
    await sql`UPDATE ${sql.table(lockTable)} SET is_locked = 0 WHERE id = ${lockRowId} AND is_locked = ${mark}`.execute(
      db,
    );
  }
}

const migrating = (lockTable: string) =>
  new Error(
    `another migration holds the lock, or one broke off: if none runs, UPDATE ${lockTable} SET is_locked = 0`,
  );

class OramaDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(config: OramaDialectConfig) {
    this.#connection = new OramaConnection(config);
  }

  init = () => Promise.resolve();
  acquireConnection = () => Promise.resolve(this.#connection);
  beginTransaction = (): Promise<void> => Promise.reject(noTransactions());
  commitTransaction = (): Promise<void> => Promise.reject(noTransactions());
  rollbackTransaction = (): Promise<void> => Promise.reject(noTransactions());
  releaseConnection = () => Promise.resolve();
  destroy = () => Promise.resolve();
}

const noTransactions = () =>
  new OramaError(
    "there are no interactive transactions: requests share connections. Give the queries of this builder to the " +
      "database's batch([...]), which runs all or none",
    { code: "NOT_SUPPORTED" },
  );

const CHANGES = ["insert", "replace", "update", "delete", "create", "drop", "alter", "reindex", "analyze"];

class OramaConnection implements DatabaseConnection {
  readonly #config: OramaDialectConfig;

  constructor(config: OramaDialectConfig) {
    this.#config = config;
  }

  async executeQuery<R>(query: CompiledQuery, options: AbortableOperationOptions = {}): Promise<QueryResult<R>> {
    const kind = compiledKind(query);
    if (kind === "query") return await this.#read<R>(query, options);
    const word = firstWord(query.sql);
    if (kind === "exec" || CHANGES.includes(word)) return await this.#write<R>(query, options);
    try {
      return await this.#read<R>(query, options);
    } catch (error) {
      // Raw SQL behind WITH may change something: then it was refused as a read, and nothing has happened yet.
      if (word !== "with" || !(error instanceof OramaError && error.code === "SQL_NOT_ALLOWED")) throw error;
      return await this.#write<R>(query, options);
    }
  }

  async *streamQuery<R>(
    { sql: text, parameters }: CompiledQuery,
    chunkSize: number,
    { signal }: AbortableOperationOptions = {},
  ): AsyncIterableIterator<QueryResult<R>> {
    const { database, blobs } = this.#config;
    let rows: R[] = [];
    for await (const row of database.stream<R>(text, parameters as SqlArgument[], { blobs, signal })) {
      if (rows.push(row) < chunkSize) continue;
      yield { rows };
      rows = [];
    }
    if (rows.length > 0) yield { rows };
  }

  async #read<R>({ sql: text, parameters }: CompiledQuery, { signal }: AbortableOperationOptions) {
    const { database, blobs } = this.#config;
    return { rows: await database.query<R>(text, parameters as SqlArgument[], { blobs, signal }) };
  }

  async #write<R>({ sql: text, parameters, query }: CompiledQuery, { signal }: AbortableOperationOptions) {
    const { database, blobs } = this.#config;
    const result = await database.exec<R>(text, parameters as SqlArgument[], { blobs, signal });
    if (result.replayed && "returning" in query && query.returning !== undefined) throw rowsLost();
    return {
      rows: result.rows,
      numAffectedRows: BigInt(result.rowsAffected),
      ...(Number(result.lastInsertId) !== 0 && { insertId: BigInt(result.lastInsertId) }),
    };
  }
}

const rowsLost = () =>
  new OramaError("the change was made, but the rows of its RETURNING clause were lost with the first answer", {
    code: "RESULT_LOST",
  });

interface ColumnRow {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
}

const COLUMNS = `SELECT m.name AS "table", p.name, p.type, p."notnull", p.dflt_value, p.pk ` +
  `FROM sqlite_schema AS m, pragma_table_info(m.name) AS p WHERE m.type IN ('table', 'view') ORDER BY m.name, p.cid`;

class OramaIntrospector implements DatabaseIntrospector {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  getSchemas = () => Promise.resolve([]);

  async getTables(options: DatabaseMetadataOptions = { withInternalKyselyTables: false }): Promise<TableMetadata[]> {
    const hidden: readonly string[] = options.withInternalKyselyTables
      ? []
      : [DEFAULT_MIGRATION_TABLE, DEFAULT_MIGRATION_LOCK_TABLE];
    const [tables, columns] = await Promise.all([
      this.#database.schema(),
      this.#database.query<ColumnRow>(COLUMNS, [], { integers: "number" }),
    ]);
    return tables.filter(({ name }) => !hidden.includes(name)).map(({ name, type }) => {
      const own = columns.filter(({ table }) => table === name);
      const keys = own.filter(({ pk }) => pk > 0);
      return {
        name,
        isView: type === "view",
        isForeign: false,
        columns: own.map((column) => ({
          name: column.name,
          dataType: column.type,
          isNullable: column.notnull === 0,
          // An INTEGER PRIMARY KEY is the row id (sqlite.org/autoinc.html).
          isAutoIncrementing: keys.length === 1 && column === keys[0] && column.type.toLowerCase() === "integer",
          hasDefaultValue: column.dflt_value !== null,
        })),
      };
    });
  }
}
