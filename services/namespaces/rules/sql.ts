import type { FieldProblem } from "../../../src/contracts/errors.ts";
import type {
  Change,
  NamespaceSettings,
  OrDefault,
  SqlLimitValues,
  SqlRules,
  SqlSettings,
} from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of SQL. */
export interface SqlDefaults {
  readonly limits: SqlLimitValues;
  /** Milliseconds that a statement has. */
  readonly statement_timeout: number;
}

/** What holds for SQL, in each of the forms it is asked for. */
export interface EffectiveSql {
  readonly settings: SqlSettings;
  readonly limits: SqlLimitValues;
  readonly rules: SqlRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_SQL_SETTINGS: SqlSettings = { read_level: null, freshness: null, statement_timeout: null };

/** The limits of a namespace for which no operator set anything. */
export const NO_SQL_LIMITS: OrDefault<SqlLimitValues> = {
  statement_timeout: null,
  database_bytes: null,
  rows_per_answer: null,
  bytes_per_answer: null,
  statements_in_flight: null,
  bulk_rows: null,
};

/** Settings within limits, and defaults for what neither says. */
export function effectiveSql(
  own: SqlSettings,
  ownLimits: OrDefault<SqlLimitValues>,
  defaults: SqlDefaults,
): EffectiveSql {
  const limits = withDefaults(ownLimits, defaults.limits);
  const timeout = Math.min(own.statement_timeout ?? defaults.statement_timeout, limits.statement_timeout);
  return {
    settings: { ...own, statement_timeout: timeout },
    limits,
    rules: {
      level: own.read_level ?? undefined,
      freshness: own.freshness ?? undefined,
      timeout,
      maxTimeout: limits.statement_timeout,
      maxDatabaseBytes: limits.database_bytes,
      maxRows: limits.rows_per_answer,
      maxAnswerBytes: limits.bytes_per_answer,
      maxInFlight: limits.statements_in_flight,
      maxBulkRows: limits.bulk_rows,
    },
  };
}

/** What of a change lies beyond the limits. */
export function sqlBeyondLimits(
  { statement_timeout: timeout }: NonNullable<Change<NamespaceSettings>["sql"]>,
  limits: SqlLimitValues,
): FieldProblem[] {
  if (timeout === undefined || timeout === null || timeout <= limits.statement_timeout) return [];
  return [{
    field: "sql.statement_timeout",
    problem: `at most ${limits.statement_timeout} ms, which is the limit of this namespace`,
  }];
}
