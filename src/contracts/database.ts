import type { DatabaseMigrations } from "./database_migrations.ts";
import type { Lifecycle, NamespacedService } from "./health.ts";
import type { RequestContext } from "./request.ts";

/** A value on its way into a statement. `boolean` is stored as 1 or 0; integers that are not safe as numbers are `bigint`. */
export type SqlInput = null | number | bigint | string | boolean | Uint8Array;

/** A value as a driver hands it out: integers beyond ±(2^53 − 1) are `bigint`, the others `number`. */
export type SqlOutput = null | number | bigint | string | boolean | Uint8Array;

/** One SQL statement and the values of its `?` placeholders, in order. */
export interface Statement {
  readonly sql: string;
  readonly args: readonly SqlInput[];
}

/** A number that is stored as REAL even where it is whole. */
export interface SqlReal {
  readonly real: number;
}

/**
 * What a client can give for a placeholder. A `number` that is whole and safe is stored as INTEGER, any other as REAL. Refused
 * with `INVALID_REQUEST`: a `bigint` beyond 64 bits, a number that is not finite, text with U+0000 (SQLite's own functions,
 * and one of the drivers, take it for the end of the text).
 */
export type SqlArgument = SqlInput | SqlReal;

/** A statement as a client gives it. */
export interface ClientStatement {
  readonly sql: string;
  /** As many as there are `?` placeholders. */
  readonly args: readonly SqlArgument[];
}

/**
 * What a read must see, from the least (rqlite.io/docs/api/read-consistency): `none` asks any node (may lag, may miss a new
 * table), `weak` the leader as it believes itself to be one, `linearizable` a leader that asked its followers, `strong` goes
 * through the log. The embedded driver has one node, which satisfies all of them.
 */
export const READ_LEVELS = ["none", "weak", "linearizable", "strong"] as const;
/** One of {@link READ_LEVELS}. */
export type ReadLevel = typeof READ_LEVELS[number];

/** What a caller may ask of any statement. What it leaves out the namespace's settings decide. */
export interface StatementOptions {
  /** Milliseconds that the statement may run; no more than the namespace's ceiling. */
  readonly timeout?: number | undefined;
}

/** What a caller may ask of a read. */
export interface ReadOptions extends StatementOptions {
  readonly level?: ReadLevel | undefined;
  /** Milliseconds by which an answer of level `none` may be behind. */
  readonly freshness?: number | undefined;
}

/** What a caller may ask of a write. */
export interface WriteOptions extends StatementOptions {
  /**
   * Makes repeating safe (draft-ietf-httpapi-idempotency-key-header): the same key with the same statements is applied once,
   * and answered with the same figures. It is kept beside the write, in the namespace's own database.
   */
  readonly idempotencyKey?: string | undefined;
}

/** What a caller may ask of a transaction. */
export interface TransactionOptions extends WriteOptions {
  /** Only where every step reads: one that writes goes through the log as a whole, and its reads with it. */
  readonly level?: ReadLevel | undefined;
}

/** What a statement would do, told from its text alone. */
export interface StatementClass {
  /** `definition`: of tables, indexes, views, triggers, and what else changes the schema. */
  readonly access: "read" | "write" | "definition";
  /** Hands out rows: it reads, or has a `RETURNING` clause. */
  readonly returnsRows: boolean;
}

/** Rows of a query, in column order; duplicate column names are kept apart here. */
export interface ResultSet {
  readonly columns: readonly string[];
  /**
   * Per column its declared type in lower case; of an expression the storage class of its value in the first row (`integer`,
   * `real`, `text`); empty where neither says anything. `services/database/DESIGN.md` has the rules that follow from it.
   */
  readonly types: readonly string[];
  readonly rows: readonly (readonly SqlOutput[])[];
}

/** Rows of a read, and which level it was read at. */
export interface ReadResult extends ResultSet {
  readonly level: ReadLevel;
}

/** A page of rows. */
export interface PageResult extends ReadResult {
  /** Where it ended, for the next one; `null` where it was not full. */
  readonly next: string | null;
}

/** Rows of a query as they come. */
export interface RowStream extends Omit<ReadResult, "rows"> {
  /** Some rows at a time. Ending the iteration early stops the query. @throws GatewayError when it cannot go on */
  readonly batches: AsyncIterable<readonly (readonly SqlOutput[])[]>;
}

/** What a statement that is not a query did. */
export interface ExecResult {
  /** Rows inserted, updated or deleted; 0 for definitions of tables and the like. */
  readonly rowsAffected: number;
  /** Row id of the last row this statement inserted; 0 when it inserted none. Never an update's, also of an upsert. */
  readonly lastInsertId: number | bigint;
  /** The rows of a `RETURNING` clause. */
  readonly returning?: ResultSet;
  /** Answered from what was kept for the idempotency key: nothing ran now, and `returning` is lost. */
  readonly replayed?: true;
}

/** What a query of a transaction must give, or nothing of the transaction happens. */
export type Expectation =
  /** How many rows. */
  | { readonly rows: number }
  /** The rows themselves, in order; compared as SQL compares with `IS`. */
  | { readonly values: readonly (readonly SqlArgument[])[] };

/** One step of a transaction. A `query` must read; an `exec` gives figures, and rows where it has a `RETURNING` clause. */
export interface TransactionStep extends ClientStatement {
  readonly kind: "exec" | "query";
  /** Of a `query`: what it must give. @throws GatewayError `PRECONDITION_FAILED` otherwise, with the step in `details` */
  readonly expect?: Expectation | undefined;
}

/** What a step of a transaction gave, in the order of the steps. */
export type StepResult =
  | { readonly kind: "exec"; readonly result: ExecResult }
  /** `null`: the rows are lost, because the transaction was replayed. */
  | { readonly kind: "query"; readonly result: ResultSet | null };

/** What a transaction gave. */
export interface TransactionResult {
  /** In the order of the steps. */
  readonly steps: readonly StepResult[];
  /** Answered from what was kept for the idempotency key: nothing ran now, and rows are lost. */
  readonly replayed?: true;
  /** Where every step reads: the level that they read at. */
  readonly level?: ReadLevel;
}

/** A table or view of the namespace's database; SQLite's own and the gateway's are left out. */
export interface SchemaObject {
  readonly name: string;
  readonly type: "table" | "view";
  readonly sql: string;
}

/** `JOIN` clause of {@link SelectSpec}. */
export interface JoinSpec {
  /** `INNER`, `LEFT`, `RIGHT`, `FULL`, `CROSS`, any case, with or without `JOIN`/`OUTER`; empty means `INNER`. */
  readonly kind?: string | undefined;
  /** Table name, optionally followed by an alias. */
  readonly table: string;
  /** A boolean expression of the developer's. */
  readonly on: string;
}

/** One clause of `WHERE`; clauses are parenthesised and joined by their own `conj`, the first one's is ignored. */
export interface WhereSpec {
  readonly conj?: "AND" | "OR" | undefined;
  /** An SQL expression of the developer's own, with `?` placeholders: values belong into `args`. */
  readonly expr: string;
  readonly args: readonly SqlArgument[];
}

/** A `SELECT` in parts. Names are checked and quoted; see `services/database/select_builder.ts` for the grammar. */
export interface SelectSpec {
  readonly table: string;
  readonly alias?: string | undefined;
  readonly select?: readonly string[] | undefined;
  readonly joins?: readonly JoinSpec[] | undefined;
  /** Columns and the values they must equal; `null` means `IS NULL`. */
  readonly criteria?: readonly (readonly [column: string, value: SqlArgument])[] | undefined;
  readonly where?: readonly WhereSpec[] | undefined;
  readonly groupBy?: readonly string[] | undefined;
  readonly orderBy?: readonly string[] | undefined;
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

/**
 * SQL of the namespaces: one database each, unreachable from one another and from the control plane.
 * Errors, all `GatewayError`: `SQL_INVALID` (400: syntax, unknown table or column, wrong number of arguments),
 * `SQL_NOT_ALLOWED` (400: a statement that this gateway refuses, with the alternative), `CONSTRAINT_FAILED` (409),
 * `STATEMENT_TIMEOUT` (422), `RESULT_TOO_LARGE` (413), `QUOTA_EXCEEDED` (403), `TOO_MANY_STATEMENTS` (429: nothing ran),
 * `UNAVAILABLE` (503: nothing was applied), `OUTCOME_UNKNOWN` (409: a write that may have been applied). With an idempotency
 * key also `IDEMPOTENCY_KEY_REUSED` (422: it stands for other statements) and `IDEMPOTENCY_KEY_IN_USE` (409: still running),
 * and `UNAVAILABLE` in place of `OUTCOME_UNKNOWN`: with the key, repeating is safe.
 */
export interface Database extends Lifecycle, NamespacedService, DatabaseMigrations {
  /** Tells what a statement would do, for the decision who may run it. @throws GatewayError as {@link execute} for one that is refused. */
  classify(sql: string): StatementClass;
  /** Runs one statement that reads. A statement that would write is `SQL_NOT_ALLOWED`. */
  query(
    namespace: string,
    statement: ClientStatement,
    request: RequestContext,
    options?: ReadOptions,
  ): Promise<ReadResult>;
  /** Runs one statement of any allowed kind, definitions included. The rows of one that reads are dropped. */
  execute(
    namespace: string,
    statement: ClientStatement,
    request: RequestContext,
    options?: WriteOptions,
  ): Promise<ExecResult>;
  /** Runs a `SELECT` built from parts. @throws GatewayError `INVALID_REQUEST` that names the part in `details`. */
  select(namespace: string, spec: SelectSpec, request: RequestContext, options?: ReadOptions): Promise<ReadResult>;
  /**
   * As {@link select}, `limit` rows behind those of the page before. What tells rows apart is added to the order: a row that is
   * there all the time comes once, whatever is inserted and deleted meanwhile.
   * @param after `next` of the page before; empty for the first one
   * @throws GatewayError `INVALID_REQUEST` also for rows that cannot be paged so, and for an `after` that is none
   */
  page(
    namespace: string,
    spec: SelectSpec,
    after: string,
    request: RequestContext,
    options?: ReadOptions,
  ): Promise<PageResult>;
  /** As {@link query}, with the rows as they come and no bound on their number. */
  stream(
    namespace: string,
    statement: ClientStatement,
    request: RequestContext,
    options?: ReadOptions,
  ): Promise<RowStream>;
  /** As {@link select}, with the rows as they come and no bound on their number. */
  streamSelect(namespace: string, spec: SelectSpec, request: RequestContext, options?: ReadOptions): Promise<RowStream>;
  /** All steps or none: any error rolls everything back. The error of a step says which in `details.step`, from 0. */
  transaction(
    namespace: string,
    steps: readonly TransactionStep[],
    request: RequestContext,
    options?: TransactionOptions,
  ): Promise<TransactionResult>;
  /** Tables and views, by name. */
  schema(namespace: string, request: RequestContext): Promise<SchemaObject[]>;
  /** Drops a table, as {@link execute} would. @throws GatewayError `NOT_FOUND` when there is none of that name. */
  dropTable(namespace: string, table: string, request: RequestContext, options?: WriteOptions): Promise<ExecResult>;
}
