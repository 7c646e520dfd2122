import type { Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { readStatement, type StatementText } from "./statement_text.ts";
import type { RqliteResult } from "./wire.ts";

/** How statements are sent, so that rqlite does what was asked. */
export interface Plan {
  readonly path: "/db/execute" | "/db/request";
  readonly sent: readonly Statement[];
  /** It may write although rqlite does not see it: only level `strong` is sure to go through the Raft log. */
  readonly strong: boolean;
  /** At least one statement may change something. */
  readonly writing: boolean;
  /** For each statement that is sent, which one of the caller's it belongs to. */
  readonly origin: readonly number[];
}

const WRITES = new Set(["INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "DROP", "ALTER", "REINDEX", "ANALYZE"]);
const READS = new Set(["SELECT", "VALUES", "EXPLAIN"]);
/** Statements that rqlite inspects or that may not stand after `EXPLAIN`. */
const LEFT_ALONE = new Set(["PRAGMA", "EXPLAIN"]);
/** Calls that rqlite replaces by constants before it writes to the Raft log, as long as the statement is first in its text. */
const REPLACED_CALLS = /(time|date|julianday|unixepoch|timediff|random|randomblob)\s*\(/;

/**
 * Plans a request in which statements of all kinds are mixed.
 *
 * A transaction of rqlite v8 is not atomic: a statement that cannot be compiled (`/db/request`), and one with `RETURNING`
 * that fails, are reported, and what stands around them **is committed**. Nor does `RETURNING` give rows when something else
 * than a space follows it, or when rqlite's own parser does not know the statement. Two things are relied on instead:
 * - `/db/execute` rolls back for every failure of statements that give no rows;
 * - a text that begins with a statement that reads is run as a query, in which every failure rolls back and all rows come.
 *   Of several statements in such a text only the last one is run; the others are compiled.
 *
 * @throws GatewayError `SQL_INVALID` as `readStatement`; `SQL_NOT_ALLOWED` for `RETURNING` beside functions of time or
 *   chance in a transaction, which could be either atomic or the same on all nodes
 */
export function plan(statements: readonly Statement[], transaction: boolean): Plan {
  const texts = statements.map(({ sql }) => readStatement(sql));
  const writing = texts.some(({ keyword, bare }) => !READS.has(keyword) || bare.includes(";"));
  if (texts.every((text) => WRITES.has(text.keyword) && !returns(text))) {
    return { path: "/db/execute", sent: statements, strong: false, writing, origin: statements.map((_, i) => i) };
  }
  const sent: Statement[] = [];
  const origin: number[] = [];
  // A batch in which rqlite finds no write goes another way, on which it does not stop at a failure.
  let strong = transaction && writing;
  texts.forEach((text, i) => {
    const args = statements[i]!.args;
    const { sql, keyword } = text;
    if (returns(text) && !LEFT_ALONE.has(keyword)) {
      if (!REPLACED_CALLS.test(text.bare)) {
        sent.push({ sql: asQuery(sql), args });
        strong = true;
      } else if (transaction) {
        const advice =
          "In a transaction RETURNING cannot stand beside functions of time or chance: send the value as a parameter.";
        throw new GatewayError("SQL_NOT_ALLOWED", advice);
      } else sent.push({ sql, args });
    } else if (!transaction || LEFT_ALONE.has(keyword)) {
      sent.push({ sql, args });
    } else if (keyword === "SELECT" || keyword === "VALUES") {
      sent.push({ sql: asQuery(sql), args });
    } else {
      // Compiled first where that can fail the transaction, and then run where it says how many rows it changed.
      sent.push({ sql: `${asQuery(`EXPLAIN ${sql}`)}; SELECT 1 WHERE 0`, args: args.map(() => null) });
      origin.push(i);
      sent.push({ sql, args });
    }
    origin.push(i);
  });
  return { path: "/db/request", sent, strong, writing, origin };
}

/** The caller's results from those of what was sent; a failure counts for the statement it belongs to. */
export function resultsOf({ origin }: Plan, results: readonly RqliteResult[]): RqliteResult[] {
  return results.filter((result, i) => result.kind === "error" || origin[i] !== origin[i + 1]);
}

const returns = ({ bare }: StatementText) => /\breturning\b/.test(bare);
const asQuery = (sql: string) => `SELECT 1; ${sql}`;
