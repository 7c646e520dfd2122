import { LRUCache } from "lru-cache";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type { DriverReply, DriverRequest, SqlDriver } from "./driver.ts";
import { filesOf, namespaceFile } from "./namespace_file.ts";
import { DatabaseTrouble, SqliteConnection, type SqliteSettings } from "./sqlite_connection.ts";

/** Where the files lie, and how they are kept. */
export interface SqliteDriverOptions extends Partial<SqliteSettings> {
  /** The folder of all databases; made when it is missing. */
  readonly dir: string;
  /** How many databases stay open; the one used least recently is closed for another. Default 64. */
  readonly maxOpen?: number;
}

/**
 * Embedded SQLite, one file per namespace. Statements run one after the other and hold the thread while they run.
 */
export class SqliteDriver implements SqlDriver {
  readonly #dir: string;
  readonly #settings: SqliteSettings;
  readonly #open: LRUCache<string, SqliteConnection>;

  constructor({ dir, maxOpen = 64, synchronous = "FULL", busyTimeout = 5_000 }: SqliteDriverOptions) {
    this.#dir = dir;
    this.#settings = { synchronous, busyTimeout };
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.#open = new LRUCache({ max: maxOpen, dispose: (connection) => connection.close() });
  }

  run({ namespace, mode, statements }: DriverRequest): Promise<DriverReply> {
    try {
      return Promise.resolve(this.#connection(namespace).run({ mode, statements }));
    } catch (error) {
      return Promise.reject(this.#explain(namespace, error));
    }
  }

  purge(namespace: string): Promise<void> {
    this.#open.delete(namespace);
    for (const file of filesOf(this.#path(namespace))) removeIfThere(file);
    return Promise.resolve();
  }

  usage(namespace: string): Promise<Usage> {
    const sizes = filesOf(this.#path(namespace)).map(sizeIfThere);
    return Promise.resolve({ database_bytes: sizes.reduce((sum, size) => sum + size, 0) });
  }

  health(): Promise<ServiceHealth> {
    const start = performance.now();
    try {
      Deno.readDirSync(this.#dir)[Symbol.iterator]().next();
      return Promise.resolve({ status: "ok", driver: "sqlite", latency_ms: performance.now() - start });
    } catch {
      return Promise.resolve({ status: "down", driver: "sqlite", reason: "the data folder cannot be read" });
    }
  }

  close(): Promise<void> {
    this.#open.clear();
    return Promise.resolve();
  }

  #path(namespace: string): string {
    return `${this.#dir}/${namespaceFile(namespace)}`;
  }

  #connection(namespace: string): SqliteConnection {
    const known = this.#open.get(namespace);
    if (known) return known;
    const connection = new SqliteConnection(this.#path(namespace), this.#settings);
    this.#open.set(namespace, connection);
    return connection;
  }

  #explain(namespace: string, error: unknown): unknown {
    if (!(error instanceof DatabaseTrouble)) return error;
    // Opened anew next time: by then the file may have been put right.
    if (error.reopen) this.#open.delete(namespace);
    const cause = new Error(`${this.#path(namespace)}: ${error.message}; ${ADVICE}`, { cause: error });
    return error.mayHaveApplied
      ? new GatewayError("OUTCOME_UNKNOWN", "the disk failed during the write, which may have been applied", { cause })
      : new GatewayError("UNAVAILABLE", "the database of this namespace cannot be used now", { cause });
  }
}

const ADVICE =
  "look at the disk (space, permissions, errors); restore a damaged file from a backup, or move it away to begin empty";

function removeIfThere(file: string): void {
  try {
    Deno.removeSync(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function sizeIfThere(file: string): number {
  try {
    return Deno.statSync(file).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}
