import type { Compilable, CompiledQuery, Kysely } from "kysely";
import type { Lifecycle } from "../../src/contracts/health.ts";
import type { Schema } from "./schema.ts";

/** A query of the one builder, or SQL with its parameters where the builder has no words for it. */
export type ControlQuery = Compilable | CompiledQuery;

/** Rows that a query returned (`RETURNING` included) and how many it changed. */
export interface ControlResult<Row = Record<string, unknown>> {
  readonly rows: readonly Row[];
  readonly changes: number;
}

/**
 * The control plane's own database: namespaces, keys, sessions, audit. Never where tenant SQL runs.
 * Times are Unix milliseconds and random values are made by the caller; both are always parameters, because on RQLite
 * SQL functions of time and chance differ from node to node.
 * Every method throws `GatewayError` `UNAVAILABLE` when the database cannot be reached and nothing was applied,
 * `OUTCOME_UNKNOWN` when a write may have been applied, and {@link ConstraintViolation} when a constraint refused a write.
 */
export interface ControlDatabase extends Lifecycle {
  /** Builds queries; its `execute…` methods run through {@link run}. Transactions of Kysely are refused: use {@link atomically}. */
  readonly db: Kysely<Schema>;
  /** Runs one query. Reads see every write acknowledged before (strongly enough for credentials: RQLite level `weak`, at the leader). */
  run<Row = Record<string, unknown>>(query: ControlQuery, signal?: AbortSignal): Promise<ControlResult<Row>>;
  /** Runs all queries in one transaction, or none: the first error rolls back. There is no reading in between. */
  atomically(queries: readonly ControlQuery[], signal?: AbortSignal): Promise<ControlResult[]>;
}

/** Milliseconds that a caller waits for the control plane to say who it is. */
const LOOK_UP_PATIENCE = 3_000;

/** For looking up a credential that nobody here knows: when it fires, the caller gets 503 and may come again. */
export const lookUpDeadline = (): AbortSignal => AbortSignal.timeout(LOOK_UP_PATIENCE);

/** A write that a constraint of the schema refused: the loser of a race learns it by this. Nothing was applied. */
export class ConstraintViolation extends Error {
  override readonly name = "ConstraintViolation";
  /**
   * @param kind which kind of constraint
   * @param subject `table.column[, table.column]` as SQLite names it
   */
  constructor(
    readonly kind: "unique" | "not_null" | "check" | "foreign_key",
    readonly subject: string,
    cause?: unknown,
  ) {
    super(`${kind} constraint failed: ${subject}`, { cause });
  }
}
