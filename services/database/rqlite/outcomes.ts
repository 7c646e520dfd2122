import type { ResultSet, Statement } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { firstFailure, type RqliteResult } from "../../rqlite/client.ts";
import type { DriverReply, GatedStatement, SqlFault, StatementOutcome } from "../driver.ts";
import { faultOf } from "../faults.ts";
import { LAST_INSERT_ID, MARKING, NO_ROW, rqliteStatement } from "./statements.ts";

/** What one statement of the client's becomes at rqlite, and how to read what that gave. */
export interface Plan {
  readonly statements: readonly Statement[];
  /** @param results as many as there are statements, the client's own without failure */
  readonly read: (results: readonly RqliteResult[]) => StatementOutcome;
}

/** The client's statement, and around it what tells the row id: only a mark shows whether an upsert inserted. */
export function planOf(statement: GatedStatement, mayMark: boolean): Plan {
  const { access, returning, upserts } = statement.facts;
  const own = rqliteStatement(statement);
  if (access === "read") return { statements: [own], read: ([result]) => readOutcome(result) };
  const inserts = isInsert(statement);
  const before = inserts && (upserts || returning) && mayMark ? MARKING : [];
  const after = inserts && returning ? [LAST_INSERT_ID] : [];
  return {
    statements: [...before, own, ...after],
    read: (results) => {
      const result = results[before.length];
      return writeOutcome(statement, result, lastIdOf(result, results[before.length + 1]));
    },
  };
}

function lastIdOf(result: RqliteResult | undefined, asked: RqliteResult | undefined): number | bigint {
  if (result?.kind === "change") return result.lastInsertId;
  const id = asked?.kind === "rows" ? asked.rows[0]?.[0] : 0;
  return typeof id === "number" || typeof id === "bigint" ? id : 0;
}

const isInsert = ({ facts: { verb } }: GatedStatement) => verb === "INSERT" || verb === "REPLACE";

/** What a statement that writes gave. */
export function writeOutcome(
  statement: GatedStatement,
  result: RqliteResult | undefined,
  lastId: number | bigint = lastIdOf(result, undefined),
): StatementOutcome {
  if (result === undefined || result.kind === "error") return { ok: false, fault: faultIn(result?.error) };
  // rqlite repeats the figures of the statement before a definition.
  if (statement.facts.access === "definition") return { ok: true, result: { rowsAffected: 0, lastInsertId: 0 } };
  const rowsAffected = result.kind === "rows" ? result.rows.length : result.rowsAffected;
  const lastInsertId = isInsert(statement) && rowsAffected > 0 && lastId !== NO_ROW ? lastId : 0;
  const rows = result.kind === "rows" ? { rows: resultSet(result) } : {};
  return { ok: true, result: { ...rows, rowsAffected, lastInsertId } };
}

/** What a statement that reads gave. */
export function readOutcome(result: RqliteResult | undefined): StatementOutcome {
  if (result?.kind !== "rows") {
    return { ok: false, fault: faultIn(result?.kind === "error" ? result.error : undefined) };
  }
  return { ok: true, result: { rows: resultSet(result), rowsAffected: 0, lastInsertId: 0 } };
}

const resultSet = ({ columns, types, rows }: ResultSet): ResultSet => ({ columns, types, rows });

/** Judges SQLite's sentence about a statement. @throws GatewayError `UNAVAILABLE` when it is not about the statement */
export function faultIn(sentence: string | undefined): SqlFault {
  const found = sentence === undefined ? undefined : faultOf(sentence);
  if (found) return found;
  const cause = new Error(`rqlite gave for a statement: ${sentence ?? "no result"}`);
  throw new GatewayError("UNAVAILABLE", "the database of this namespace cannot be used now", { cause });
}

/** Why a transaction came to nothing, if it did. */
export function rolledBack(plans: readonly Plan[], results: readonly RqliteResult[]): DriverReply | undefined {
  const failure = firstFailure(results);
  if (!failure) return undefined;
  let end = 0;
  const step = plans.findIndex(({ statements }) => failure.index < (end += statements.length));
  return { kind: "rolled_back", fault: faultIn(failure.error), step };
}

/** One outcome for each of the client's statements. */
export function outcomesOf(plans: readonly Plan[], results: readonly RqliteResult[]): StatementOutcome[] {
  let start = 0;
  return plans.map((plan) => plan.read(results.slice(start, start += plan.statements.length)));
}
