import { GatewayError } from "../../src/contracts/errors.ts";
import type { SqlFault } from "./driver.ts";
import { UNPRESENTABLE_TIME } from "./values.ts";

/** SQLite's sentences about its surroundings, not about the statement (`sqlite3ErrStr`); what follows a colon is the system's. */
const SURROUNDINGS =
  /^(database is locked|database table is locked|database or disk is full|disk I\/O error|database disk image is malformed|file is not a database|unable to open database file|attempt to write a readonly database|out of memory|locking protocol|unable to delete\/modify)/;

/**
 * Judges SQLite's sentence about a statement.
 * @returns `undefined` when it is not about the statement: then nothing of it may reach the client
 */
export function faultOf(message: string): SqlFault | undefined {
  if (SURROUNDINGS.test(message)) return undefined;
  if (/^[A-Z ]+ constraint failed/.test(message)) return { kind: "constraint", message };
  if (/^(query|execute) timeout$/.test(message)) {
    return { kind: "timeout", message: "the statement ran longer than it may, and was stopped" };
  }
  if (message === "not authorized" || message.startsWith("access to ") || message.startsWith("not authorized to use")) {
    return { kind: "not_allowed", message: "this statement touches what is not allowed" };
  }
  if (message === "attempt to change database via query operation") {
    return { kind: "not_allowed", message: WRITES_IN_QUERY };
  }
  if (message.startsWith("Time.MarshalText")) return { kind: "invalid", message: UNPRESENTABLE_TIME };
  if (message === "string or blob too big") return { kind: "too_big", message };
  return { kind: "invalid", message: message.slice(0, 500) };
}

/** What a client is told that sends a write to be read. */
export const WRITES_IN_QUERY = "this statement writes: send it to /v1/rqlite/exec";

const CODES = {
  invalid: "SQL_INVALID",
  constraint: "CONSTRAINT_FAILED",
  not_allowed: "SQL_NOT_ALLOWED",
  too_big: "RESULT_TOO_LARGE",
  timeout: "STATEMENT_TIMEOUT",
  quota: "QUOTA_EXCEEDED",
} as const;

/** A fault as the client gets it. */
export const errorOf = ({ kind, message }: SqlFault): GatewayError => new GatewayError(CODES[kind], message);
