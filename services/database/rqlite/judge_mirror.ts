import { faultOf } from "../faults.ts";
import type { JudgeItem, Judgement, SchemaObjectText } from "./judge_protocol.ts";
import { isOperator, isWord, tokenize } from "../gate/lexer.ts";
import { ACTION, LIMITS_OF_GATED, openSqlite, type SqliteDatabase } from "../sqlite/node_sqlite.ts";
import { type Authority, authorize } from "../sqlite/authorizer.ts";
import { isShort } from "../gate/statement_proof.ts";

/** What the SQLite of rqlite may have and this one lacks. */
const LACKING = /^no such (function|module|collation sequence)/;
/** SQLite's own tables, which it makes by itself when they are needed. */
const OF_SQLITE = /^sqlite_/i;

/**
 * A schema without data, in memory, on which statements are compiled and never run. SQLite's parser with the authorizer says
 * what the lexical gate can only guess, and its bytecode how long a statement may take.
 */
export class JudgeMirror {
  /** Whether all of the schema is here: otherwise what seems to be a mistake may be none. */
  readonly complete: boolean;
  readonly #db: SqliteDatabase;
  /** `ANALYZE` has run: which way a join goes then hangs on figures that are not here, and may be anything. */
  readonly #statistics: boolean;
  #authority: Authority = "own";
  readonly #tables = new Set<string>();

  constructor(objects: readonly SchemaObjectText[]) {
    this.#db = openSqlite(":memory:", { timeout: 0, limits: LIMITS_OF_GATED });
    this.#statistics = objects.some(({ name }) => /^sqlite_stat/i.test(name));
    this.complete = this.#load(objects);
    this.#db.setAuthorizer((action, first, second, _schema, trigger) => {
      if (action === ACTION.READ) this.#tables.add(first ?? "");
      return authorize(this.#authority, action, first, second, trigger);
    });
  }

  /** Judges statements, each by itself; with `inOrder`, under the schema that the definitions before it leave. */
  judge(items: readonly JudgeItem[], inOrder: boolean): Judgement[] {
    if (!inOrder) return items.map((item) => this.#one(item));
    this.#own("SAVEPOINT judge");
    try {
      let known = true;
      return items.map((item) => {
        if (!known) return { is: "unknown" };
        const judgement = this.#one(item);
        if (item.access === "definition") known = judgement.is === "good" && this.#apply(item.sql);
        return judgement;
      });
    } finally {
      this.#own("ROLLBACK TO judge");
      this.#own("RELEASE judge");
    }
  }

  /** Gives the memory back. */
  close(): void {
    this.#db.close();
  }

  /** Virtual tables first, because they make further tables by themselves, which are in the schema too. */
  #load(objects: readonly SchemaObjectText[]): boolean {
    const virtual = ({ sql }: SchemaObjectText) => /^CREATE\s+VIRTUAL/i.test(sql ?? "");
    const made = objects.filter(({ name, sql }) => sql !== null && !OF_SQLITE.test(name));
    let complete = true;
    for (const { name, sql } of [...made.filter(virtual), ...made.filter((object) => !virtual(object))]) {
      try {
        const known = this.#db.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(name);
        if (known === undefined) this.#db.prepare(sql!).run();
      } catch {
        complete = false;
      }
    }
    if (this.#statistics) this.#db.exec("ANALYZE");
    return complete;
  }

  #one({ sql, access }: JudgeItem): Judgement {
    // EXPLAIN compiles a statement without running it, so it needs the rights of that statement.
    this.#authority = access === "read" && !/^EXPLAIN\b/i.test(sql) ? "read" : "write";
    this.#tables.clear();
    try {
      const { sourceSQL } = this.#db.prepare(sql);
      if (sourceSQL.length < sql.length) return { is: "refused", sentence: "only one statement is allowed here" };
      const join = this.#tables.size > 1;
      return { is: "good", short: !(this.#statistics && join) && isShort(this.#db, sql) };
    } catch (error) {
      return judgementOf(error);
    } finally {
      this.#authority = "own";
    }
  }

  /** @returns whether what follows can be judged. `CREATE TABLE … AS SELECT` would run a query, of any length */
  #apply(sql: string): boolean {
    if (/^(ANALYZE|REINDEX)\b/i.test(sql)) return true;
    const tokens = tokenize(sql);
    const opens = tokens.findIndex((token) => isOperator(token, "("));
    const asSelect = tokens.findIndex((token) => isWord(token, "AS"));
    if (isWord(tokens[1], "TABLE") && asSelect >= 0 && (opens < 0 || asSelect < opens)) return false;
    this.#authority = "write";
    try {
      this.#db.prepare(sql).run();
      return true;
    } catch {
      return false;
    } finally {
      this.#authority = "own";
    }
  }

  #own(sql: string): void {
    this.#authority = "own";
    this.#db.prepare(sql).run();
  }
}

function judgementOf(error: unknown): Judgement {
  const message = error instanceof Error ? error.message : String(error);
  if (LACKING.test(message)) return { is: "unknown" };
  const fault = faultOf(message);
  if (fault === undefined) return { is: "unknown" };
  return { is: fault.kind === "not_allowed" ? "refused" : "mistake", sentence: fault.message };
}
