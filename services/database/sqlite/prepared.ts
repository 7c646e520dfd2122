import type { StatementSync } from "node:sqlite";
import type { ResultSet, SqlArgument, SqlOutput } from "../../../src/contracts/database.ts";
import type { DriverRequest } from "../driver.ts";
import {
  endOfIteration,
  LIMITS_OF_GATED,
  openSqlite,
  prepareExact,
  type SqliteDatabase,
  type SqliteLimits,
} from "./node_sqlite.ts";
import { type Authority, authorize } from "./authorizer.ts";
import type { SqliteSettings } from "./messages.ts";
import { errorFromSentence, ResultTooLarge, troubleOf } from "./trouble.ts";
import { isShort } from "../gate/statement_proof.ts";
import { bind } from "../../sqlite/values.ts";
import { Presenter, type StoredValue } from "../values.ts";

/** What a statement, a value and a compiled program may be at most (sqlite.org/limits.html). */
const LIMITS: SqliteLimits = {
  ...LIMITS_OF_GATED,
  length: 64 * 2 ** 20,
  exprDepth: 1_000,
  compoundSelect: 500,
  vdbeOp: 5_000_000,
  functionArg: 127,
  likePatternLength: 10_000,
  variableNumber: 32_766,
};

/** Compiled statements that are kept. */
const MAX_KEPT = 200;

/** Iterations after which a statement is compiled anew: Deno keeps some bytes of each until the statement goes. */
const MAX_ITERATIONS = 1_000;

const ASKS_CHANGES = /changes\W*\(/i;
/** What a statement may ask its connection, as the gateway's own write it. */
const ASKS = /\b(?:changes|last_insert_rowid)\(\)/g;

/** A compiled statement. */
export interface Prepared {
  readonly statement: StatementSync;
  readonly columns: readonly string[];
  /** Declared types of the columns; `null` for expressions. */
  readonly declared: readonly (string | null)[];
  /** Proven to take no time worth speaking of, and so to have few rows; `undefined` while nobody has looked. */
  readonly short: boolean | undefined;
}

interface Known extends Prepared {
  uses: number;
  short: boolean | undefined;
}

/** An open file and its compiled statements: what every connection of a host is. */
export class PreparedStatements {
  readonly db: SqliteDatabase;
  readonly #known = new Map<string, Known>();
  #authority: Authority = "own";
  #bytesRead = 0;

  /** Opens the file, or makes it unless it is to be read alone. @throws DatabaseTrouble */
  constructor(path: string, { busyTimeout }: SqliteSettings, readOnly = false) {
    try {
      this.db = openSqlite(path, {
        timeout: busyTimeout,
        limits: LIMITS,
        readOnly,
      });
    } catch (cause) {
      throw troubleOf(cause, false) ?? cause;
    }
    this.db.setAuthorizer((action, first, second, _schema, trigger) =>
      authorize(this.#authority, action, first, second, trigger)
    );
  }

  /** Bytes of all rows that were read so far, roughly as JSON. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Compiles with the rights of a client, or with all; the gateway's own statements that follow have all again. */
  prepare(sql: string, authority: Authority): Prepared {
    const key = `${authority} ${sql}`;
    const known = this.#known.get(key);
    if (known && known.uses < MAX_ITERATIONS) {
      // A proof takes longer than most statements do, so it waits for a second use. Explaining a write sets changes() to 0, so one
      // that asks for it is never explained between the statement it asks about and itself.
      if (known.uses++ === 1 && !ASKS_CHANGES.test(sql)) known.short ??= this.#prove(sql, authority);
      if (known.short) known.uses = 2;
      if (this.#known.size < MAX_KEPT) return known;
    }
    // The least recently used one is first.
    if (known) this.#known.delete(key);
    else if (this.#known.size >= MAX_KEPT) this.#known.delete(this.#known.keys().next().value!);
    const kept = known && known.uses < MAX_ITERATIONS ? known : { ...this.#compile(sql, authority), uses: 1 };
    this.#known.set(key, kept);
    return kept;
  }

  /**
   * Whether the statement is proven to take no time worth speaking of.
   * @param atOnce proves also what is seen for the first time, which otherwise counts as long
   */
  isShort(sql: string, authority: Authority, atOnce: boolean): boolean {
    let known = this.#known.get(`${authority} ${sql}`);
    if (!atOnce) return known?.short ?? false;
    try {
      known ??= this.prepare(sql, authority) as Known;
    } catch {
      // Its error is told when it runs.
      return false;
    }
    return known.short ??= this.#prove(sql, authority);
  }

  /** Rows of a statement, within bounds. @throws ResultTooLarge, UnpresentableValue, SQLite's errors */
  rows(prepared: Prepared, args: readonly SqlArgument[], ceiling: DriverRequest["ceiling"]): ResultSet {
    const { statement, columns, declared, short } = prepared;
    const presenter = new Presenter(declared);
    const rows: SqlOutput[][] = [];
    let bytes = 0;
    const take = (row: StoredValue[]) => {
      bytes += sizeOf(row);
      if (rows.length >= ceiling.rows) throw tooLarge(`more than ${ceiling.rows} rows`);
      if (bytes > ceiling.bytes) throw tooLarge(`more than ${ceiling.bytes} bytes`);
      rows.push(presenter.row(row));
    };
    if (short) (statement.all(...bind(args)) as unknown as StoredValue[][]).forEach(take);
    else {
      for (const row of iterate(statement, args)) take(row);
      this.checkEnd();
    }
    this.#bytesRead += bytes;
    return { columns, types: presenter.types, rows };
  }

  /** To be asked at the end of {@link iterate}, and before anything else. @throws the error that ended it */
  checkEnd(): void {
    const failure = endOfIteration(this.db);
    if (failure !== undefined) throw errorFromSentence(failure);
  }

  /** `node:sqlite` gives rows as wide as they were when a statement was compiled: after a change of schema that is wrong. */
  forget(): void {
    this.#known.clear();
  }

  close(): void {
    this.forget();
    this.db.close();
  }

  /**
   * Of a client's statement the proof lets none through that asks its connection, in a trigger or view either: others have used it
   * meanwhile. The gateway's own ask about the statement right before them, and what they are told takes no time.
   */
  #prove(sql: string, authority: Authority): boolean {
    try {
      return isShort(this.db, authority === "own" ? sql.replaceAll(ASKS, "abs(0)") : sql);
    } catch {
      return false;
    }
  }

  #compile(sql: string, authority: Authority): Prepared {
    this.#authority = authority;
    try {
      const statement = prepareExact(this.db, sql);
      const columns = statement.columns();
      const names = columns.map(({ name }) => name), declared = columns.map(({ type }) => type);
      return { statement, columns: names, declared, short: undefined };
    } finally {
      this.#authority = "own";
    }
  }
}

/** Rows one by one. An error ends them like the last row does: see {@link PreparedStatements.checkEnd}. */
export const iterate = (statement: StatementSync, args: readonly SqlArgument[]): Iterable<StoredValue[]> =>
  statement.iterate(...bind(args)) as unknown as Iterable<StoredValue[]>;

/** Bytes of a row, roughly as JSON. */
export function sizeOf(row: readonly StoredValue[]): number {
  let size = 2;
  for (const value of row) {
    if (typeof value === "string") size += value.length + 3;
    else if (value instanceof Uint8Array) size += value.length * 4 / 3 + 3;
    else size += 8;
  }
  return size;
}

const tooLarge = (what: string) =>
  new ResultTooLarge(`the result has ${what}: ask for less, or for a stream of rows (Accept: application/x-ndjson)`);
