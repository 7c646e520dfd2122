import type { StatementSync } from "node:sqlite";
import type { DriverReply, GatedStatement, SqlFault, StatementOutcome, StatementResult } from "../driver.ts";
import { prepareExact } from "./node_sqlite.ts";
import { authorityOf } from "./authorizer.ts";
import { Commits, type Committed, committed, mayWrite } from "./commits.ts";
import type { RunOrder, SqliteSettings } from "./messages.ts";
import { PreparedStatements } from "./prepared.ts";
import { SchemaFacts } from "./schema_facts.ts";
import { type Circumstances, DatabaseTrouble, faultOrTrouble, troubleOf } from "./trouble.ts";
import { bind, fromInteger } from "../../sqlite/values.ts";

/** Row id that no insert leaves behind: while it is the last one, nothing was inserted. */
const NO_ROW = -(2n ** 63n);
/** The largest file that SQLite can have, in pages. */
const MAX_PAGES = 4_294_967_294;
/** Bytes of the log that stay when it is empty: a large transaction must not keep the disk for ever. */
const KEPT_LOG = 64 * 2 ** 20;
/** Pages that are given back in one go, while nobody waits. */
const UPKEEP_PAGES = 1_000;

const settingsOf = ({ synchronous, memory }: SqliteSettings) => [
  `PRAGMA hard_heap_limit = ${memory}`,
  // Before the first table, or never: free pages can be given back without VACUUM, which the gate refuses.
  "PRAGMA auto_vacuum = INCREMENTAL",
  "PRAGMA journal_mode = WAL",
  `PRAGMA journal_size_limit = ${KEPT_LOG}`,
  `PRAGMA synchronous = ${synchronous}`,
  "PRAGMA foreign_keys = ON",
  "PRAGMA temp_store = MEMORY",
  "CREATE TEMP TABLE _orama_mark (id INTEGER PRIMARY KEY)",
];

const CONTROLS = [
  "BEGIN",
  "BEGIN IMMEDIATE",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT one",
  "RELEASE one",
  "ROLLBACK TO one",
] as const;
type Control = typeof CONTROLS[number];

/** Bytes of rows that may wait for one commit. */
const MAX_HELD = 4 * 2 ** 20;

/** Characters of a text that is compiled before its request's turn. */
const MAX_NEW = 1_000;
const SUBQUERY = /\b(?:select|with)\b/i;

/** A request within a group. */
export type GroupMember = Required<Pick<RunOrder, "write">> & RunOrder;

/**
 * The one connection of a namespace's file that writes. Every call runs to its end before it returns, so no two can meet. Knows
 * nothing of namespaces, requests and HTTP.
 */
export class SqliteConnection {
  /** Who asked last before the file was opened. */
  readonly commits: Commits;
  readonly #statements: PreparedStatements;
  readonly #controls: Readonly<Record<Control, StatementSync>>;
  readonly #mark: StatementSync;
  readonly #lastInsertId: StatementSync;
  readonly #pageSize: number;
  readonly #schema: SchemaFacts;
  #maxBytes = 0;

  /**
   * Opens the file, or makes it.
   * @param instance stands for this gateway
   * @throws DatabaseTrouble when it is no database or cannot be opened
   */
  constructor(path: string, settings: SqliteSettings, instance: string) {
    this.#statements = new PreparedStatements(path, settings);
    const { db } = this.#statements;
    this.#schema = new SchemaFacts(db);
    try {
      // Not by `exec`, whose errors have no result code.
      for (const setting of settingsOf(settings)) db.prepare(setting).all();
      this.#mark = db.prepare(`INSERT OR REPLACE INTO temp._orama_mark VALUES (${NO_ROW})`);
      this.#controls = Object.fromEntries(CONTROLS.map((sql) => [sql, db.prepare(sql)])) as Record<
        Control,
        StatementSync
      >;
      this.#lastInsertId = prepareExact(db, "SELECT last_insert_rowid()");
      this.#pageSize = Number(db.prepare("PRAGMA page_size").get()!["page_size"]);
      this.commits = new Commits(this.#statements, instance);
    } catch (cause) {
      this.close();
      throw troubleOf(cause, false) ?? cause;
    }
  }

  /** @throws DatabaseTrouble */
  run(order: RunOrder): DriverReply {
    this.#limit(order.maxDatabaseBytes);
    const { mode, statements } = order;
    if (mode === "atomic" || mayWrite(statements)) return this.#atomically(order);
    return { kind: "done", outcomes: statements.map((statement) => this.#outcome(statement, order, true)) };
  }

  /** Whether a request is known to take no time worth speaking of. */
  isShort({ statements }: RunOrder): boolean {
    return statements.every((statement) => this.#statements.isShort(statement.sql, authorityOf(statement), false));
  }

  /**
   * Whether a request may share a transaction with others: nobody must notice.
   * @param isTurn whether the clock counts for this one; if not, what is new and might take long to compile does not share
   */
  mayShare(order: RunOrder, isTurn: boolean): order is GroupMember {
    return order.write !== undefined &&
      order.statements.every(({ facts }) => facts.access !== "definition" && !facts.asksConnection) &&
      // A savepoint ends without a look at them: a violation would show only at the end, as everybody's, or be healed by somebody
      // else's statement.
      !this.#schema.defers &&
      order.statements.every((statement) =>
        this.#statements.isShort(statement.sql, authorityOf(statement), isTurn || this.#compilesFast(statement))
      );
  }

  /**
   * Runs requests that write in one transaction, each in a savepoint of its own.
   * @returns the replies to the first of them, or to all: the rest would be too much for one commit; `undefined` when nothing was
   *   applied, because one of them spoilt it for all: run each alone
   * @throws DatabaseTrouble when none can run now, or nobody knows whether they were applied
   */
  together(members: readonly GroupMember[]): DriverReply[] | undefined {
    this.#limit(members[0]!.maxDatabaseBytes);
    const replies: DriverReply[] = [];
    const requests: Committed[] = [];
    const full = this.#statements.bytesRead + MAX_HELD;
    let done = false;
    if (this.#control("BEGIN IMMEDIATE")) return undefined;
    try {
      for (const member of members) {
        if (this.#control("SAVEPOINT one")) return undefined;
        const reply = this.#steps(member);
        // `OR ROLLBACK`, and what SQLite does when it has no memory or no room.
        if (!this.#statements.db.isTransaction) return undefined;
        if (reply.kind === "rolled_back" && this.#control("ROLLBACK TO one")) return undefined;
        if (this.#control("RELEASE one")) return undefined;
        requests.push([member.write, committed(reply)]);
        replies.push(asAskedFor(member, reply));
        if (this.#statements.bytesRead > full) break;
      }
      done = !this.#commit(requests);
      return done ? replies : undefined;
    } catch (error) {
      if (!(error instanceof DatabaseTrouble) || error.mayHaveApplied) throw error;
      return undefined;
    } finally {
      if (!done) this.#rollback();
    }
  }

  /** Gives some free pages back to the file system. @returns whether more can be given back @throws DatabaseTrouble */
  upkeep(): boolean {
    const { db } = this.#statements;
    const free = () => Number(db.prepare("PRAGMA freelist_count").get()!["freelist_count"]);
    try {
      const before = free();
      db.prepare(`PRAGMA incremental_vacuum(${UPKEEP_PAGES})`).all();
      const after = free();
      // In a file that was made elsewhere it may come to nothing, each time.
      return after > 0 && after < before;
    } catch (error) {
      throw troubleOf(error, true) ?? error;
    }
  }

  /** Gives the file back. */
  close(): void {
    this.#statements.close();
  }

  #atomically(order: RunOrder): DriverReply {
    const { statements, write } = order;
    let done = false;
    try {
      const busy = this.#control(write === undefined ? "BEGIN" : "BEGIN IMMEDIATE");
      if (busy) return asAskedFor(order, { kind: "rolled_back", fault: busy, step: 0 });
      const reply = this.#steps(order);
      if (reply.kind === "rolled_back") return asAskedFor(order, reply);
      // Constraints that were deferred are checked here; rqlite, too, blames the last statement.
      const fault = this.#commit(write === undefined ? [] : [[write, committed(reply)]]);
      done = !fault;
      return fault ? asAskedFor(order, { kind: "rolled_back", fault, step: statements.length - 1 }) : reply;
    } finally {
      if (!done) {
        this.#rollback();
        this.#forgetAfter(statements);
      }
    }
  }

  /** The statements of a request up to the first that fails, which is all that a transaction may do. */
  #steps(order: RunOrder): DriverReply {
    const { statements } = order;
    // A mark would be seen by a statement that asks for the row id or the changes of the one before it.
    const marks = !statements.some(({ facts }) => facts.asksConnection);
    const outcomes: StatementOutcome[] = [];
    for (const [step, statement] of statements.entries()) {
      const outcome = this.#outcome(statement, order, marks);
      if (!outcome.ok) return { kind: "rolled_back", fault: outcome.fault, step };
      outcomes.push(outcome);
    }
    return { kind: "done", outcomes };
  }

  /** @returns the fault of a commit that a constraint refused */
  #commit(requests: readonly Committed[]): SqlFault | undefined {
    if (requests.length > 0) {
      try {
        this.commits.write(requests);
      } catch (error) {
        return this.#fault(error, { writing: true });
      }
    }
    return this.#control("COMMIT", { writing: requests.length > 0, committing: true });
  }

  #rollback(): void {
    this.commits.rolledBack();
    // SQLite may have done it already.
    if (this.#statements.db.isTransaction) this.#control("ROLLBACK");
  }

  #control(control: Control, circumstances: Circumstances = { writing: false }): SqlFault | undefined {
    try {
      this.#controls[control].run();
      return undefined;
    } catch (error) {
      return this.#fault(error, circumstances);
    }
  }

  #outcome(statement: GatedStatement, order: RunOrder, mayMark: boolean): StatementOutcome {
    const reads = statement.facts.access === "read";
    try {
      return { ok: true, result: reads ? this.#read(statement, order) : this.#write(statement, order, mayMark) };
    } catch (error) {
      return { ok: false, fault: this.#fault(error, { writing: !reads }) };
    } finally {
      if (!reads) this.#forgetAfter([statement]);
    }
  }

  #read(statement: GatedStatement, { ceiling }: RunOrder): StatementResult {
    const prepared = this.#statements.prepare(statement.sql, authorityOf(statement));
    return { rows: this.#statements.rows(prepared, statement.args, ceiling), rowsAffected: 0, lastInsertId: 0 };
  }

  #write(statement: GatedStatement, { ceiling }: RunOrder, mayMark: boolean): StatementResult {
    const { sql, args, facts } = statement;
    const inserts = facts.verb === "INSERT" || facts.verb === "REPLACE";
    if (inserts && mayMark && !facts.asksConnection) this.#mark.run();
    const prepared = this.#statements.prepare(sql, authorityOf(statement));
    const rows = prepared.columns.length > 0 ? this.#statements.rows(prepared, args, ceiling) : undefined;
    const changes = rows ? rows.rows.length : Number(prepared.statement.run(...bind(args)).changes);
    if (facts.access === "definition") return { rowsAffected: 0, lastInsertId: 0 };
    const lastInsertId = inserts && changes > 0 ? this.#insertedId() : 0;
    return { ...(rows && { rows }), rowsAffected: changes, lastInsertId };
  }

  #insertedId(): number | bigint {
    const [id] = this.#lastInsertId.get() as unknown as [bigint];
    return id === NO_ROW ? 0 : fromInteger(id);
  }

  #fault(error: unknown, circumstances: Circumstances): SqlFault {
    return faultOrTrouble(error, { ...circumstances, bounded: this.#maxBytes > 0 });
  }

  #forgetAfter(statements: readonly GatedStatement[]): void {
    if (!statements.some(({ facts }) => facts.access === "definition")) return;
    this.#statements.forget();
    this.#schema.forget();
  }

  /** Nothing interrupts a compilation, and a subquery may double its time for every few characters. */
  #compilesFast({ sql, own }: GatedStatement): boolean {
    return own === true || (sql.length <= MAX_NEW && !SUBQUERY.test(sql) && !this.#schema.nests);
  }

  /** SQLite never makes the bound smaller than the database is: what is there stays, and does not grow. */
  #limit(bytes: number): void {
    if (bytes === this.#maxBytes) return;
    const pages = bytes === 0 ? MAX_PAGES : Math.max(1, Math.floor(bytes / this.#pageSize));
    this.#statements.db.prepare(`PRAGMA max_page_count = ${pages}`).all();
    this.#maxBytes = bytes;
  }
}

/** A statement that was to stand alone has an outcome, where a transaction came to nothing. */
function asAskedFor({ mode }: RunOrder, reply: DriverReply): DriverReply {
  if (mode === "atomic" || reply.kind === "done") return reply;
  return { kind: "done", outcomes: [{ ok: false, fault: reply.fault }] };
}
