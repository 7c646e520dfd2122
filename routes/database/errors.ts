import type { ErrorCode } from "../../src/contracts/errors.ts";

/** What any statement that writes can end in. */
export const WRITE_ERRORS: readonly ErrorCode[] = [
  "SQL_INVALID",
  "SQL_NOT_ALLOWED",
  "CONSTRAINT_FAILED",
  "STATEMENT_TIMEOUT",
  "QUOTA_EXCEEDED",
  "TOO_MANY_STATEMENTS",
  "OUTCOME_UNKNOWN",
  "UNAVAILABLE",
];

/** What any statement that gives rows can end in. */
export const READ_ERRORS: readonly ErrorCode[] = [
  "SQL_INVALID",
  "SQL_NOT_ALLOWED",
  "STATEMENT_TIMEOUT",
  "TOO_MANY_STATEMENTS",
  "RESULT_TOO_LARGE",
  "UNAVAILABLE",
];
