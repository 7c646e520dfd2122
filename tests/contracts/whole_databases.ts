import type { AuditEntry } from "../../services/control_plane/audit.ts";
import { SqlBulkLoads } from "../../services/database/bulk/service.ts";
import { SqliteLargeLoads } from "../../services/database/bulk/sqlite.ts";
import { SqlDatabase } from "../../services/database/database.ts";
import { SqlDatabaseFiles } from "../../services/database/files/service.ts";
import { RqliteFiles } from "../../services/database/files/rqlite.ts";
import { SqliteFiles } from "../../services/database/files/sqlite.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { SqliteDriver } from "../../services/database/sqlite/driver.ts";
import { Turns } from "../../services/database/files/turns.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { SqlRules } from "../../src/contracts/settings.ts";
import { engineTest } from "../engines/support/engine_test.ts";
import { Subject } from "./sql_databases.ts";

/** A database, and what is done with it as a whole. */
export interface Whole {
  readonly driver: "sqlite" | "rqlite";
  readonly db: Subject;
  readonly files: SqlDatabaseFiles;
  readonly bulk: SqlBulkLoads;
  /** What holds in its namespace; may be changed. */
  rules: SqlRules;
  /** Whose turn it is to work on it as a whole. */
  readonly turns: Turns;
  /** What its audit log was told. */
  readonly acts: AuditEntry[];
  /** A folder that goes with it. */
  readonly folder: string;
}

type Open = { readonly whole: Whole; close(): Promise<void> };

async function openSqlite(): Promise<Open> {
  const folder = await Deno.makeTempDir({ prefix: "orama-whole-" });
  const dir = `${folder}/namespaces`;
  const driver = new SqliteDriver({ dir });
  const turns = new Turns();
  const large = new SqliteLargeLoads({
    dir,
    folder: `${folder}/rows`,
    synchronous: "FULL",
    busyTimeout: 5_000,
    turns,
    changed: () => {},
    onLine: () => {},
  });
  const whole: Whole = {
    driver: "sqlite",
    folder,
    rules: DEFAULT_RULES,
    turns,
    acts: [],
    db: new Subject(new SqlDatabase(driver, { turns }), driver),
    files: new SqlDatabaseFiles({
      driver: new SqliteFiles(driver, () => {}),
      folder: `${folder}/copies`,
      turns,
      record: (entry) => Promise.resolve(void whole.acts.push(entry)),
      rulesOf: () => whole.rules,
    }),
    bulk: new SqlBulkLoads({ driver, large, now: Date.now, rulesOf: () => whole.rules }),
  };
  return {
    whole,
    async close() {
      await driver.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function openRqlite(urls: readonly string[]): Promise<Open> {
  const folder = await Deno.makeTempDir({ prefix: "orama-whole-" });
  const cluster = new RqliteCluster({ name: "one", urls });
  const turns = new Turns();
  const driver = new RqliteDriver({
    clusters: new Map([["one", cluster]]),
    clusterOf: () => Promise.resolve("one"),
    judge: new Judge(),
  });
  const whole: Whole = {
    driver: "rqlite",
    folder,
    rules: DEFAULT_RULES,
    turns,
    acts: [],
    db: new Subject(new SqlDatabase(driver, { turns }), driver),
    files: new SqlDatabaseFiles({
      driver: new RqliteFiles(() => Promise.resolve(cluster)),
      folder: `${folder}/copies`,
      turns,
      record: (entry) => Promise.resolve(void whole.acts.push(entry)),
      rulesOf: () => whole.rules,
    }),
    bulk: new SqlBulkLoads({ driver, now: Date.now, rulesOf: () => whole.rules }),
  };
  return {
    whole,
    async close() {
      await driver.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Runs a scenario that is about files on a disk. */
export function onSqlite(name: string, scenario: (whole: Whole) => Promise<void>): void {
  Deno.test(`sqlite: ${name}`, async () => {
    const { whole, close } = await openSqlite();
    try {
      await scenario(whole);
    } finally {
      await close();
    }
  });
}

/** Runs each scenario on both drivers, each time on an empty database. */
export function onWholeDatabases(scenarios: Readonly<Record<string, (whole: Whole) => Promise<void>>>): void {
  for (const [name, scenario] of Object.entries(scenarios)) {
    onSqlite(name, scenario);
    engineTest(`rqlite: ${name}`, ["rqlited"], async (engines) => {
      const { whole, close } = await openRqlite((await engines.rqlite({ nodes: 1 })).urls);
      try {
        await scenario(whole);
      } finally {
        await close();
      }
    });
  }
}

/** Runs a scenario with a database on each driver. */
export function withBothDrivers(name: string, scenario: (sqlite: Whole, rqlite: Whole) => Promise<void>): void {
  engineTest(name, ["rqlited"], async (engines) => {
    const sqlite = await openSqlite();
    const rqlite = await openRqlite((await engines.rqlite({ nodes: 1 })).urls);
    try {
      await scenario(sqlite.whole, rqlite.whole);
    } finally {
      await sqlite.close();
      await rqlite.close();
    }
  });
}
