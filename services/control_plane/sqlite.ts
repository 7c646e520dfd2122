import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Kysely } from "kysely";
import { LRUCache } from "lru-cache";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";
import { bind, fromInteger } from "../sqlite/values.ts";
import { constraintViolation } from "./constraint.ts";
import type { ControlDatabase, ControlQuery, ControlResult } from "./control_database.ts";
import { controlBuilder, type PlainQuery, plainQuery } from "./query_builder.ts";
import type { Schema } from "./schema.ts";

/** Where the embedded control database lies. */
export interface SqliteControlOptions {
  /** Path of the file, made when missing, or `:memory:`. */
  readonly path: string;
  /** How long to wait for another process that writes, in milliseconds; nothing else runs meanwhile. Default 3,000. */
  readonly busyTimeout?: number;
}

/** How many prepared statements are kept. */
const KEPT_STATEMENTS = 256;

/**
 * The control plane on SQLite, in process: its queries are short, and calling them takes microseconds. Acknowledged writes
 * are on disk (WAL, `synchronous=FULL`). Other processes, such as the command line, may open the same file meanwhile.
 */
export class SqliteControlDatabase implements ControlDatabase {
  readonly db: Kysely<Schema>;
  readonly #file: DatabaseSync;
  readonly #statements = new LRUCache<string, StatementSync>({ max: KEPT_STATEMENTS });

  /** @throws GatewayError `UNAVAILABLE` when the file cannot be opened */
  constructor({ path, busyTimeout = 3_000 }: SqliteControlOptions) {
    this.db = controlBuilder((query) => this.run(query));
    try {
      if (path !== ":memory:") Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
      this.#file = new DatabaseSync(path, { timeout: busyTimeout, enableForeignKeyConstraints: true });
      this.#file.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    } catch (cause) {
      throw new GatewayError("UNAVAILABLE", "the control database cannot be opened", { cause });
    }
  }

  run<Row = Record<string, unknown>>(query: ControlQuery, _signal?: AbortSignal): Promise<ControlResult<Row>> {
    return settle(() => {
      const plain = plainQuery(query);
      try {
        return this.#run(plain) as ControlResult<Row>;
      } catch (error) {
        throw translated(error, plain.reading);
      }
    });
  }

  atomically(queries: readonly ControlQuery[], _signal?: AbortSignal): Promise<ControlResult[]> {
    return settle(() => {
      const plain = queries.map(plainQuery);
      try {
        this.#command("BEGIN IMMEDIATE");
        const results = plain.map((query) => this.#run(query));
        this.#command("COMMIT");
        return results;
      } catch (error) {
        if (this.#file.isTransaction) this.#command("ROLLBACK");
        throw translated(error, false);
      }
    });
  }

  async health(_signal: AbortSignal): Promise<ServiceHealth> {
    const start = performance.now();
    try {
      await settle(() => this.#statement("SELECT count(*) FROM sqlite_schema").all());
      return { status: "ok", driver: "sqlite", latency_ms: performance.now() - start };
    } catch {
      return { status: "down", driver: "sqlite", reason: "the control database cannot be read" };
    }
  }

  close(): Promise<void> {
    this.#statements.clear();
    if (this.#file.isOpen) this.#file.close();
    return Promise.resolve();
  }

  /** Prepared, because the errors of `DatabaseSync.exec` lack the result code. */
  #command(sql: string): void {
    this.#statement(sql).run();
  }

  #run({ sql, args, changing, returning }: PlainQuery): ControlResult {
    const statement = this.#statement(sql);
    const values = bind(args);
    if (statement.columns().length === 0) {
      const { changes } = statement.run(...values);
      return { rows: [], changes: changing ? Number(changes) : 0 };
    }
    const rows = statement.all(...values).map(withNumbers);
    return { rows, changes: returning ? rows.length : 0 };
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#file.prepare(sql);
      // Otherwise an integer beyond 2^53 throws when it is read.
      statement.setReadBigInts(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function withNumbers(row: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [column, value] of Object.entries(row)) {
    result[column] = typeof value === "bigint" ? fromInteger(value) : value;
  }
  return result;
}

/** Primary result codes of SQLite after which nothing was written: BUSY, LOCKED, READONLY, FULL, CANTOPEN. */
const NOTHING_WRITTEN = new Set([5, 6, 8, 13, 14]);
/** IOERR, CORRUPT, NOTADB: how far a write came cannot be said. */
const BROKEN = new Set([10, 11, 26]);

function translated(error: unknown, reading: boolean): unknown {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return error;
  const code = error.errcode & 0xff;
  if (NOTHING_WRITTEN.has(code) || (reading && BROKEN.has(code))) {
    return new GatewayError("UNAVAILABLE", "the control database cannot be used now; nothing was changed", {
      cause: error,
    });
  }
  if (BROKEN.has(code)) {
    const message = "the control database did not confirm the change, which may have been applied";
    return new GatewayError("OUTCOME_UNKNOWN", message, { cause: error });
  }
  return constraintViolation(error.message, error) ??
    new GatewayError("INTERNAL", "a query of the control plane failed", { cause: error });
}

/** Makes a promise of work that is done at once. */
function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}
