import { GatewayError } from "../../../src/contracts/errors.ts";
import { StatementSplitter, withoutLead } from "./dump_splitter.ts";
import { errorOf, faultOf } from "../faults.ts";
import { RESERVED_PREFIX } from "../gate/forbidden.ts";
import { judge } from "../gate/gate.ts";
import type { SqliteDatabase } from "../sqlite/node_sqlite.ts";

/** Characters of one statement of a dump: one row with a large value is one. */
const MAX_STATEMENT = 64 * 2 ** 20;

/** What a dump says about the connection that loads it, which is the loader's own matter. */
const FRAME = /^(?:BEGIN|COMMIT|END|ANALYZE|PRAGMA\s+(?:foreign_keys|defer_foreign_keys|encoding)\b)/i;
/** What a statement is about, where it is one of those that dumps consist of. */
const TARGET =
  /^(?:CREATE\s+(?:TABLE|VIRTUAL\s+TABLE|VIEW)|INSERT\s+INTO|REPLACE\s+INTO|DELETE\s+FROM|DROP\s+TABLE|CREATE\s+(?:UNIQUE\s+)?INDEX\s+\S+\s+ON)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:main\s*\.\s*)?["'`[]?([^\s"'`\](;.]+)/i;

/**
 * Runs the statements of a dump, each of which has to pass the gate like one of a client's. Statistics and the gateway's own
 * tables are left out, as is what sets up the connection. The caller has begun a transaction, and an authorizer is in place.
 * @throws GatewayError that names the statement by its number
 */
export function loadDump(db: SqliteDatabase, texts: Iterable<string>): void {
  const splitter = new StatementSplitter(MAX_STATEMENT);
  let number = 0;
  const run = (statement: string) => {
    const sql = withoutLead(statement);
    if (sql === "") return;
    number++;
    try {
      runOne(db, sql);
    } catch (error) {
      throw placed(error, number, sql);
    }
  };
  try {
    for (const text of texts) for (const statement of splitter.push(text)) run(statement);
    for (const statement of splitter.end()) run(statement);
  } catch (error) {
    if (error instanceof RangeError) throw new GatewayError("SQL_INVALID", `statement ${number + 1}: ${error.message}`);
    throw error;
  }
  if (number === 0) throw new GatewayError("SQL_INVALID", "the dump holds no statement");
}

function runOne(db: SqliteDatabase, sql: string): void {
  if (FRAME.test(sql)) return;
  if (/^ROLLBACK\b/i.test(sql)) {
    throw new GatewayError("SQL_INVALID", "the dump ends with ROLLBACK: it was broken off when it was made");
  }
  const target = TARGET.exec(sql)?.[1]?.toLowerCase() ?? "";
  if (target.startsWith(RESERVED_PREFIX) || target.startsWith("sqlite_stat")) return;
  const judged = judge(sql, MAX_STATEMENT);
  if (judged.facts.access === "read" || judged.facts.placeholders > 0) {
    throw new GatewayError("SQL_NOT_ALLOWED", "a dump holds definitions and writes with literal values alone");
  }
  db.prepare(judged.sql).run();
}

function placed(error: unknown, number: number, sql: string): unknown {
  const place = `statement ${number} (${sql.slice(0, 40).replaceAll(/\s+/g, " ")}…)`;
  if (error instanceof GatewayError) {
    return new GatewayError(error.code, `${place}: ${error.message}`, error.extra);
  }
  const fault = error instanceof Error && "errcode" in error ? faultOf(error.message) : undefined;
  if (!fault) return error;
  const { code, message } = errorOf(fault);
  return new GatewayError(code, `${place}: ${message}`);
}
