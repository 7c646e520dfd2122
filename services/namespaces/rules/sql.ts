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
export interface SqlDefaults extends Record<Bounded, number> {
  readonly limits: SqlLimitValues;
}

/** Settings that a limit of the same name bounds. */
const BOUNDED = ["statement_timeout", "retained_changes", "change_retention"] as const;
type Bounded = typeof BOUNDED[number];

/** What holds for SQL, in each of the forms it is asked for. */
export interface EffectiveSql {
  readonly settings: SqlSettings;
  readonly limits: SqlLimitValues;
  readonly rules: SqlRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_SQL_SETTINGS: SqlSettings = {
  read_level: null,
  freshness: null,
  statement_timeout: null,
  retained_changes: null,
  change_retention: null,
};

/** The limits of a namespace for which no operator set anything. */
export const NO_SQL_LIMITS: OrDefault<SqlLimitValues> = {
  statement_timeout: null,
  database_bytes: null,
  rows_per_answer: null,
  bytes_per_answer: null,
  statements_in_flight: null,
  bulk_rows: null,
  retained_changes: null,
  change_retention: null,
};

/** Settings within limits, and defaults for what neither says. */
export function effectiveSql(
  own: SqlSettings,
  ownLimits: OrDefault<SqlLimitValues>,
  defaults: SqlDefaults,
): EffectiveSql {
  const limits = withDefaults(ownLimits, defaults.limits);
  const within = (name: Bounded) => Math.min(own[name] ?? defaults[name], limits[name]);
  const bounded = {
    statement_timeout: within("statement_timeout"),
    retained_changes: within("retained_changes"),
    change_retention: within("change_retention"),
  };
  return {
    settings: { ...own, ...bounded },
    limits,
    rules: {
      level: own.read_level ?? undefined,
      freshness: own.freshness ?? undefined,
      timeout: bounded.statement_timeout,
      maxTimeout: limits.statement_timeout,
      maxDatabaseBytes: limits.database_bytes,
      maxRows: limits.rows_per_answer,
      maxAnswerBytes: limits.bytes_per_answer,
      maxInFlight: limits.statements_in_flight,
      maxBulkRows: limits.bulk_rows,
      retainedChanges: bounded.retained_changes,
      changeRetention: bounded.change_retention,
    },
  };
}

/** What of a change lies beyond the limits. */
export function sqlBeyondLimits(
  change: NonNullable<Change<NamespaceSettings>["sql"]>,
  limits: SqlLimitValues,
): FieldProblem[] {
  return BOUNDED.filter((name) => (change[name] ?? 0) > limits[name]).map((name) => ({
    field: `sql.${name}`,
    problem: `at most ${limits[name]}${name === "retained_changes" ? "" : " ms"}, which is the limit of this namespace`,
  }));
}
