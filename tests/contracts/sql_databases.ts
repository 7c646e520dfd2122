import { ok } from "node:assert/strict";
import { SqlDatabase, type SqlDatabaseOptions } from "../../services/database/database.ts";
import type { SqlDriver } from "../../services/database/driver.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { SqliteDriver } from "../../services/database/sqlite/driver.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { SqlArgument, TransactionStep, WriteOptions } from "../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { engineTest } from "../engines/support/engine_test.ts";

/** The namespace of all of these tests. */
export const NAMESPACE = "shop";
/** A request that waits for ever. */
export const REQUEST: RequestContext = {
  requestId: "test",
  signal: new AbortController().signal,
  clientAddress: "127.0.0.1",
};

/** One gateway's database, with short ways to ask it. */
export class Subject {
  constructor(readonly database: SqlDatabase, readonly driver: SqlDriver) {}

  async rows(sql: string, ...args: SqlArgument[]) {
    return (await this.database.query(NAMESPACE, { sql, args }, REQUEST, { level: "strong" })).rows;
  }
  exec(sql: string, args: readonly SqlArgument[] = [], options: WriteOptions = {}) {
    return this.database.execute(NAMESPACE, { sql, args }, REQUEST, options);
  }
  async execAll(...statements: string[]) {
    for (const sql of statements) await this.exec(sql);
  }
  transaction(steps: readonly TransactionStep[], options: WriteOptions = {}) {
    return this.database.transaction(NAMESPACE, steps, REQUEST, options);
  }
}

/** A store, and as many gateways on it as a test likes. */
export interface Store {
  readonly db: Subject;
  /** Another gateway on the same store. */
  gateway(options?: SqlDatabaseOptions): Subject;
}

/** Runs each scenario on both drivers, each time on an empty store. */
export function onBothDrivers(scenarios: Readonly<Record<string, (store: Store) => Promise<void>>>): void {
  for (const [name, scenario] of Object.entries(scenarios)) {
    Deno.test(`sqlite: ${name}`, async () => {
      const dir = await Deno.makeTempDir();
      // Two gateways never share a folder, so theirs is one driver.
      const driver = new SqliteDriver({ dir });
      try {
        const gateway = (options?: SqlDatabaseOptions) => new Subject(new SqlDatabase(driver, options), driver);
        await scenario({ db: gateway(), gateway });
      } finally {
        await driver.close();
        await Deno.remove(dir, { recursive: true });
      }
    });

    engineTest(`rqlite: ${name}`, ["rqlited"], async (engines) => {
      const { urls } = await engines.rqlite({ nodes: 1 });
      const drivers: SqlDriver[] = [];
      const gateway = (options?: SqlDatabaseOptions) => {
        const clusters = new Map([["one", new RqliteCluster({ name: "one", urls })]]);
        const driver = new RqliteDriver({ clusters, clusterOf: () => Promise.resolve("one"), judge: new Judge() });
        drivers.push(driver);
        return new Subject(new SqlDatabase(driver, options), driver);
      };
      try {
        await scenario({ db: gateway(), gateway });
      } finally {
        await Promise.all(drivers.map((driver) => driver.close()));
      }
    });
  }
}

/** A step that does something. */
export const exec = (sql: string, ...args: SqlArgument[]): TransactionStep => ({ kind: "exec", sql, args });
/** A step that reads. */
export const query = (sql: string, ...args: SqlArgument[]): TransactionStep => ({ kind: "query", sql, args });

/** That an error is the client's of this code, and says so. */
export const is = (code: ErrorCode, sentence: string | RegExp = "") => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  ok(error.code === code, `${error.code}: ${error.message}`);
  ok(typeof sentence === "string" ? error.message.includes(sentence) : sentence.test(error.message), error.message);
  return true;
};
