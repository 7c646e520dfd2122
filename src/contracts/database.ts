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

/** What a statement that is not a query did. */
export interface ExecResult {
  /** Rows inserted, updated or deleted; 0 for definitions of tables and the like. */
  readonly rowsAffected: number;
  /** Row id of the last row this statement inserted; 0 when it inserted none. Never an update's, also of an upsert. */
  readonly lastInsertId: number | bigint;
  /** The rows of a `RETURNING` clause. */
  readonly returning?: ResultSet;
}

/** One step of a transaction. A `query` must read; an `exec` gives figures, and rows where it has a `RETURNING` clause. */
export interface TransactionStep extends ClientStatement {
  readonly kind: "exec" | "query";
}

/** What a step of a transaction gave, in the order of the steps. */
export type StepResult =
  | { readonly kind: "exec"; readonly result: ExecResult }
  | { readonly kind: "query"; readonly result: ResultSet };

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
 * `STATEMENT_TIMEOUT` (422), `UNAVAILABLE` (503: nothing was applied), `OUTCOME_UNKNOWN` (409: a write that may have been applied).
 */
export interface Database extends Lifecycle, NamespacedService {
  /** Tells what a statement would do, for the decision who may run it. @throws GatewayError as {@link execute} for one that is refused. */
  classify(sql: string): StatementClass;
  /** Runs one statement that reads. A statement that would write is `SQL_NOT_ALLOWED`. */
  query(namespace: string, statement: ClientStatement, request: RequestContext): Promise<ResultSet>;
  /** Runs one statement of any allowed kind, definitions included. The rows of one that reads are dropped. */
  execute(namespace: string, statement: ClientStatement, request: RequestContext): Promise<ExecResult>;
  /** Runs a `SELECT` built from parts. @throws GatewayError `INVALID_REQUEST` that names the part in `details`. */
  select(namespace: string, spec: SelectSpec, request: RequestContext): Promise<ResultSet>;
  /** All steps or none: any error rolls everything back. The error of a step says which in `details.step`, from 0. */
  transaction(namespace: string, steps: readonly TransactionStep[], request: RequestContext): Promise<StepResult[]>;
  /** Tables and views, by name. */
  schema(namespace: string, request: RequestContext): Promise<SchemaObject[]>;
  /** Drops a table. @throws GatewayError `NOT_FOUND` when there is none of that name. */
  dropTable(namespace: string, table: string, request: RequestContext): Promise<void>;
}
