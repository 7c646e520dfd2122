import type { StatementSync } from "node:sqlite";
import { LRUCache } from "lru-cache";
import type { SqlArgument } from "../../src/contracts/database.ts";
import type {
  DriverReply,
  DriverRequest,
  GatedStatement,
  SqlFault,
  StatementOutcome,
  StatementResult,
} from "./driver.ts";
import { faultOf } from "./faults.ts";
import { openSqlite, prepareExact, type SqliteDatabase } from "./node_sqlite.ts";
import { type Authority, authorize } from "./sqlite_authorizer.ts";
import { fromInteger, present, type StoredValue, UnpresentableValue } from "./values.ts";

/** The database itself, not a statement, is the matter: full, locked, damaged, no database at all. */
export class DatabaseTrouble extends Error {
  override readonly name = "DatabaseTrouble";
  /**
   * @param mayHaveApplied the write could come back after a crash of the machine
   * @param reopen the connection is of no more use
   */
  constructor(message: string, readonly mayHaveApplied: boolean, readonly reopen: boolean, cause: unknown) {
    super(message, { cause });
  }
}

/** SQLite's primary result codes that speak of the surroundings (sqlite.org/rescode.html). */
const LOCKED = new Set([5, 6]);
const SPOILT = new Set([7, 8, 10, 11, 14, 15, 26]);
const FULL = 13, IO_ERROR = 10;

/** Row id that no insert leaves behind: while it is the last one, nothing was inserted. */
const NO_ROW = -(2n ** 63n);

/** How a database is opened. */
export interface SqliteSettings {
  /** `FULL`: an acknowledged write survives a power cut. `NORMAL`: the last ones may be lost then. */
  readonly synchronous: "FULL" | "NORMAL";
  /** Milliseconds to wait for a lock that another process holds; the thread waits with it. */
  readonly busyTimeout: number;
}

const settingsOf = ({ synchronous }: SqliteSettings) => [
  // Before the first table, or never: free pages can be given back without VACUUM, which the gate refuses.
  "PRAGMA auto_vacuum = INCREMENTAL",
  "PRAGMA journal_mode = WAL",
  `PRAGMA synchronous = ${synchronous}`,
  "PRAGMA foreign_keys = ON",
  "PRAGMA temp_store = MEMORY",
  "CREATE TEMP TABLE _orama_mark (id INTEGER PRIMARY KEY)",
];

type Control = "BEGIN" | "BEGIN IMMEDIATE" | "COMMIT" | "ROLLBACK";

interface Prepared {
  readonly statement: StatementSync;
  readonly hasRows: boolean;
}

/**
 * One open database of one namespace. Every call runs to its end before it returns, so no two can meet on one connection.
 * Knows nothing of namespaces, requests and HTTP: it can stand in a process of its own.
 */
export class SqliteConnection {
  readonly #db: SqliteDatabase;
  readonly #prepared = new LRUCache<string, Prepared>({ max: 200 });
  readonly #controls: Readonly<Record<Control, StatementSync>>;
  readonly #mark: StatementSync;
  readonly #lastInsertId: StatementSync;
  #authority: Authority = "own";

  /**
   * Opens the file, or makes it.
   * @throws DatabaseTrouble when it is no database or cannot be opened
   */
  constructor(path: string, settings: SqliteSettings) {
    try {
      this.#db = openSqlite(path, {
        allowExtension: false,
        defensive: true,
        // As in rqlite: text in double quotes is a name, and text where there is none.
        enableDoubleQuotedStringLiterals: true,
        timeout: settings.busyTimeout,
        limits: { attach: 0, length: 256 * 1024 * 1024, sqlLength: 2_000_000, triggerDepth: 100 },
      });
    } catch (cause) {
      throw troubleOf(cause, false) ?? cause;
    }
    try {
      // Not by `exec`, whose errors have no result code.
      for (const setting of settingsOf(settings)) this.#db.prepare(setting).all();
      this.#db.setAuthorizer((action, first, second) => authorize(this.#authority, action, first, second));
      this.#mark = this.#db.prepare(`INSERT OR REPLACE INTO temp._orama_mark VALUES (${NO_ROW})`);
      this.#controls = {
        BEGIN: this.#db.prepare("BEGIN"),
        "BEGIN IMMEDIATE": this.#db.prepare("BEGIN IMMEDIATE"),
        COMMIT: this.#db.prepare("COMMIT"),
        ROLLBACK: this.#db.prepare("ROLLBACK"),
      };
      this.#lastInsertId = prepareExact(this.#db, "SELECT last_insert_rowid()");
    } catch (cause) {
      this.#db.close();
      throw troubleOf(cause, false) ?? cause;
    }
  }

  /** @throws DatabaseTrouble */
  run({ mode, statements }: Pick<DriverRequest, "mode" | "statements">): DriverReply {
    if (mode === "atomic") return this.#atomically(statements);
    return { kind: "done", outcomes: statements.map((statement) => this.#alone(statement)) };
  }

  /** Gives the file back. */
  close(): void {
    this.#prepared.clear();
    this.#db.close();
  }

  /** Rows that cannot be presented undo the write that returned them, so such a write needs a transaction around it. */
  #alone(statement: GatedStatement): StatementOutcome {
    if (!statement.facts.returning) return this.#outcome(statement, true);
    const reply = this.#atomically([statement]);
    return reply.kind === "done" ? reply.outcomes[0]! : { ok: false, fault: reply.fault };
  }

  #atomically(statements: readonly GatedStatement[]): DriverReply {
    // A mark would be seen by a statement that asks for the row id or the changes of the one before it.
    const marks = !statements.some(({ facts }) => facts.asksConnection);
    const reading = statements.every(({ facts }) => facts.access === "read");
    const outcomes: StatementOutcome[] = [];
    try {
      this.#control(reading ? "BEGIN" : "BEGIN IMMEDIATE", false);
      for (const [step, statement] of statements.entries()) {
        const outcome = this.#outcome(statement, marks);
        if (!outcome.ok) return { kind: "rolled_back", fault: outcome.fault, step };
        outcomes.push(outcome);
      }
      // Constraints that were deferred are checked here; rqlite, too, blames the last statement.
      const fault = this.#control("COMMIT", !reading);
      return fault ? { kind: "rolled_back", fault, step: statements.length - 1 } : { kind: "done", outcomes };
    } finally {
      if (this.#db.isTransaction) this.#control("ROLLBACK", false);
      if (outcomes.length < statements.length) this.#forgetAfter(statements);
    }
  }

  /** One of the gateway's own transaction statements; gives the fault of a commit that a constraint refused. */
  #control(control: Control, writing: boolean): SqlFault | undefined {
    this.#authority = "own";
    try {
      this.#controls[control].run();
      return undefined;
    } catch (error) {
      return orTrouble(error, writing);
    }
  }

  #outcome(statement: GatedStatement, mayMark: boolean): StatementOutcome {
    const { facts } = statement;
    try {
      return { ok: true, result: facts.access === "read" ? this.#read(statement) : this.#write(statement, mayMark) };
    } catch (error) {
      return { ok: false, fault: orTrouble(error, facts.access !== "read") };
    } finally {
      this.#authority = "own";
      this.#forgetAfter([statement]);
    }
  }

  /** `node:sqlite` gives rows as wide as they were when the statement was compiled first: after a change of schema that is wrong. */
  #forgetAfter(statements: readonly GatedStatement[]): void {
    if (statements.some(({ facts }) => facts.access === "definition")) this.#prepared.clear();
  }

  #read(statement: GatedStatement): StatementResult {
    // EXPLAIN compiles a statement without running it, so it needs the rights of that statement.
    const { statement: prepared } = this.#prepare(statement.sql, statement.facts.verb === "EXPLAIN" ? "write" : "read");
    return { rows: this.#rows(prepared, statement.args), rowsAffected: 0, lastInsertId: 0 };
  }

  #write({ sql, args, facts }: GatedStatement, mayMark: boolean): StatementResult {
    const inserts = facts.verb === "INSERT" || facts.verb === "REPLACE";
    if (inserts && mayMark && !facts.asksConnection) this.#mark.run();
    const { statement, hasRows } = this.#prepare(sql, "write");
    const rows = hasRows ? this.#rows(statement, args) : undefined;
    const changes = rows ? rows.rows.length : Number(statement.run(...bind(args)).changes);
    if (facts.access === "definition") return { rowsAffected: 0, lastInsertId: 0 };
    const lastInsertId = inserts && changes > 0 ? this.#insertedId() : 0;
    return { ...(rows && { rows }), rowsAffected: changes, lastInsertId };
  }

  #insertedId(): number | bigint {
    this.#authority = "own";
    const [id] = this.#lastInsertId.get() as unknown as [bigint];
    return id === NO_ROW ? 0 : fromInteger(id);
  }

  #rows(statement: StatementSync, args: readonly SqlArgument[]) {
    const stored = statement.all(...bind(args)) as unknown as StoredValue[][];
    // Asked after the rows: SQLite compiles a statement again when the schema has changed since.
    const columns = statement.columns();
    return present(columns.map(({ name }) => name), columns.map(({ type }) => type), stored);
  }

  #prepare(sql: string, authority: "read" | "write"): Prepared {
    this.#authority = authority;
    const key = authority + sql;
    const known = this.#prepared.get(key);
    if (known) return known;
    const statement = prepareExact(this.#db, sql);
    const prepared = { statement, hasRows: statement.columns().length > 0 };
    this.#prepared.set(key, prepared);
    return prepared;
  }
}

type Bound = null | number | bigint | string | Uint8Array;

/** `node:sqlite` binds every number as REAL, and no boolean. */
function bind(args: readonly SqlArgument[]): Bound[] {
  return args.map((arg) => {
    if (typeof arg === "number") return Number.isSafeInteger(arg) ? BigInt(arg) : arg;
    if (typeof arg === "boolean") return arg ? 1n : 0n;
    if (typeof arg === "object" && arg !== null && "real" in arg) return arg.real;
    return arg;
  });
}

function orTrouble(error: unknown, writing: boolean): SqlFault {
  if (error instanceof UnpresentableValue) return { kind: "invalid", message: error.message };
  const trouble = troubleOf(error, writing);
  if (trouble) throw trouble;
  const fault = isSqliteError(error) ? faultOf(error.message) : undefined;
  if (!fault) throw error;
  return fault;
}

function troubleOf(error: unknown, writing: boolean): DatabaseTrouble | undefined {
  if (!isSqliteError(error)) return undefined;
  const code = error.errcode & 0xff;
  if (LOCKED.has(code) || code === FULL) return new DatabaseTrouble(error.message, false, false, error);
  if (SPOILT.has(code)) return new DatabaseTrouble(error.message, writing && code === IO_ERROR, true, error);
  return undefined;
}

const isSqliteError = (error: unknown): error is Error & { errcode: number } =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number";
