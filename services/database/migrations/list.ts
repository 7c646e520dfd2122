import type { AppliedMigration } from "../../../src/contracts/database_migrations.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { SqlOutput } from "../../../src/contracts/database.ts";
import type { StatementOutcome } from "../driver.ts";
import { errorOf } from "../faults.ts";
import { own } from "../own.ts";
import { MIGRATIONS_TABLE } from "./table.ts";

/** Bytes of a name; a request's has fewer. */
const LONGEST_NAME = 1_000;
/** Milliseconds: the last of the year 9999, beyond which RFC 3339 has no words. */
const LAST_TIME = 253_402_300_799_999;
const SAFE = Number.MAX_SAFE_INTEGER;

/** What stands in a column of a list that a gateway wrote, for those who mend one. */
const EXPECTED = {
  name: "a text of at most 1,000 bytes",
  checksum: "a SHA-256 in base64url",
  applied_at: "a time in Unix milliseconds",
  duration: "NULL, or milliseconds without a fraction",
} as const;

const COLUMNS = Object.keys(EXPECTED);

/**
 * Everything in the list, and beside each version the column that no gateway can have written so. A restored file may hold any
 * values there: none of such a row leaves the database, because some of them no driver can present.
 */
export const LIST = own(
  `SELECT version, odd, ${COLUMNS.map((column) => `CASE WHEN odd IS NULL THEN ${column} END`).join(", ")}
FROM (SELECT version, ${COLUMNS.join(", ")}, CASE
WHEN typeof(name) <> 'text' OR octet_length(name) > ${LONGEST_NAME} THEN 'name'
WHEN typeof(checksum) <> 'text' OR octet_length(checksum) <> 43 THEN 'checksum'
WHEN typeof(applied_at) <> 'integer' OR applied_at NOT BETWEEN 0 AND ${LAST_TIME} THEN 'applied_at'
WHEN duration IS NOT NULL AND (typeof(duration) <> 'integer' OR duration NOT BETWEEN ${-SAFE} AND ${SAFE}) THEN 'duration'
END AS odd FROM ${MIGRATIONS_TABLE}) ORDER BY version`,
);

/** What is said where no migration was ever applied. */
export const MISSING = /^no such table: (main\.)?_orama_migrations$/;

/**
 * The answer to {@link LIST}.
 * @throws GatewayError `CONFLICT` for a list that no gateway wrote, and says how to mend it
 */
export function listOf(outcome: StatementOutcome): AppliedMigration[] {
  if (!outcome.ok) {
    const { kind, message } = outcome.fault;
    if (MISSING.test(message)) return [];
    throw kind === "invalid" ? foreign(message) : errorOf(outcome.fault);
  }
  return (outcome.result.rows?.rows ?? []).map(migrationOf);
}

function migrationOf(row: readonly SqlOutput[], at: number): AppliedMigration {
  const [version, odd, name, checksum, appliedAt, duration] = row;
  if (version !== at + 1) throw foreign(`version ${version} stands where ${at + 1} must`, { version: at + 1 });
  if (odd !== null) {
    const expected = EXPECTED[odd as keyof typeof EXPECTED];
    throw foreign(`${odd} of version ${version} must be ${expected}`, { version, column: odd });
  }
  return {
    version,
    name: String(name),
    checksum: String(checksum),
    appliedAt: Number(appliedAt),
    duration: duration === null ? null : Number(duration),
  };
}

function foreign(what: string, details?: Readonly<Record<string, unknown>>): GatewayError {
  return new GatewayError(
    "CONFLICT",
    `the list of applied migrations in this database is not one that a gateway wrote (${what}): mend the table ` +
      `${MIGRATIONS_TABLE} in a backup and restore it, or restore an export as SQL, which leaves the list out`,
    { details },
  );
}
