import type { StatementSync } from "node:sqlite";
import type { DriverReply, GatedStatement, StatementOutcome, StatementResult } from "../driver.ts";
import type { PreparedStatements } from "./prepared.ts";
import type { CommitRecord, CommittedOutcome } from "./messages.ts";
import { fromInteger } from "../../sqlite/values.ts";

/** What is written down for a request: its number, and what it did. */
export type Committed = readonly [write: number, outcome: CommittedOutcome];

const TABLE = "CREATE TABLE IF NOT EXISTS _orama_commit " +
  "(one INTEGER PRIMARY KEY CHECK (one = 1), instance TEXT, requests TEXT)";

/**
 * Writes down within each transaction whose it is and what it did: one row, which the next one replaces. Whoever loses a host
 * reads from the next one whether the transaction it waited for was committed, and with which figures.
 */
export class Commits {
  /** As it was when the database was opened. */
  readonly found: CommitRecord | undefined;
  readonly #statements: PreparedStatements;
  #update: StatementSync | undefined;
  /** Whether the last one that was written down made the table. */
  #isFirst = false;

  constructor(statements: PreparedStatements, private readonly instance: string) {
    this.#statements = statements;
    const { db } = statements;
    if (db.prepare("SELECT 1 FROM sqlite_schema WHERE name = '_orama_commit'").get() === undefined) return;
    this.#compile();
    const row = db.prepare("SELECT instance, requests FROM _orama_commit").get();
    if (row?.["requests"]) {
      this.found = { instance: String(row["instance"]), requests: JSON.parse(String(row["requests"])) };
    }
  }

  /** Within a transaction, behind all else: an insert before it must not see its own changes counted. */
  write(requests: readonly Committed[]): void {
    this.#isFirst = this.#update === undefined;
    if (this.#isFirst) {
      const { db } = this.#statements;
      db.prepare(TABLE).run();
      // Not `INSERT` from then on: that would show as the connection's last row id.
      db.prepare("INSERT OR IGNORE INTO _orama_commit (one) VALUES (1)").run();
      this.#compile();
    }
    this.#update!.run(this.instance, JSON.stringify(requests));
  }

  /** A transaction came to nothing, and the table, if it was new, with it. Where it is there after all, it is not made again. */
  rolledBack(): void {
    if (this.#isFirst) this.#update = undefined;
  }

  #compile(): void {
    this.#update = this.#statements.db.prepare("UPDATE _orama_commit SET instance = ?, requests = ?");
  }
}

/** What is written down of a request. */
export function committed(reply: DriverReply): CommittedOutcome {
  if (reply.kind === "rolled_back") return "nothing";
  const figures: [number, string][] = [];
  for (const outcome of reply.outcomes) {
    if (!outcome.ok) return "nothing";
    if (outcome.result.rows) return "rows";
    figures.push([outcome.result.rowsAffected, String(outcome.result.lastInsertId)]);
  }
  return figures;
}

/** The outcomes that were written down so. */
export const outcomesOf = (figures: Exclude<CommittedOutcome, string>): StatementOutcome[] =>
  figures.map(([rowsAffected, lastInsertId]): StatementOutcome => {
    const result: StatementResult = { rowsAffected, lastInsertId: fromInteger(BigInt(lastInsertId)) };
    return { ok: true, result };
  });

/** Whether statements may change anything. */
export const mayWrite = (statements: readonly GatedStatement[]): boolean =>
  statements.some(({ facts }) => facts.access !== "read");
