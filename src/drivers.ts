import type { Config } from "../config/index.ts";
import type { RecordAct } from "../services/control_plane/audit.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import { DataFolderLock } from "../services/control_plane/data_folder_lock.ts";
import { migrate } from "../services/control_plane/migrate.ts";
import { RqliteControlDatabase } from "../services/control_plane/rqlite.ts";
import { SqliteControlDatabase } from "../services/control_plane/sqlite.ts";
import { ChangeFeed, type ChangeFeedOptions } from "../services/database/changes/service.ts";
import { WatchedDriver } from "../services/database/changes/watched_driver.ts";
import { SqlBulkLoads } from "../services/database/bulk/service.ts";
import { SqliteLargeLoads } from "../services/database/bulk/sqlite.ts";
import { SqlDatabase, type SqlDatabaseOptions } from "../services/database/database.ts";
import type { SqlDriver } from "../services/database/driver.ts";
import { SqlDatabaseFiles } from "../services/database/files/service.ts";
import { announcing } from "../services/database/files/driver.ts";
import { RqliteFiles } from "../services/database/files/rqlite.ts";
import { SqliteFiles } from "../services/database/files/sqlite.ts";
import { RqliteDriver } from "../services/database/rqlite/driver.ts";
import { SqliteDriver } from "../services/database/sqlite/driver.ts";
import { Judge } from "../services/database/rqlite/judge.ts";
import { Turns } from "../services/database/files/turns.ts";
import { RqliteCluster, type RqliteClusterOptions } from "../services/rqlite/client.ts";
import type { BulkLoads } from "./contracts/bulk_loads.ts";
import type { Database } from "./contracts/database.ts";
import type { DatabaseFiles } from "./contracts/database_files.ts";
import { GatewayError } from "./contracts/errors.ts";
import type { DriverEvent } from "./contracts/observation.ts";
import { logger } from "./observability/log.ts";

/** What the configuration's drivers come to. */
export interface Drivers {
  readonly control: ControlDatabase;
  readonly database: Database;
  readonly databaseChanges: ChangeFeed;
  readonly databaseFiles: DatabaseFiles;
  readonly bulkLoads: BulkLoads;
  /** Databases that namespaces are given, one each; `undefined` where each gets a file of its own. */
  readonly databaseNames: readonly string[] | undefined;
  /** Whether everything runs in this process. */
  readonly embedded: boolean;
  /** Brings the control plane's tables up to date. */
  readonly migrate: () => Promise<void>;
  close(): Promise<void>;
}

/** What the drivers ask of the gateway around them. */
export interface Surroundings {
  /** Which database of the pool a namespace was given. */
  readonly databaseOf: (namespace: string, request: { readonly signal: AbortSignal }) => Promise<string>;
  /** What holds for SQL of a namespace. Default: the service's own defaults. */
  readonly sqlRulesOf?: NonNullable<SqlDatabaseOptions["rulesOf"]>;
  /** Puts acts upon databases of namespaces into their audit logs. Default: nowhere. */
  readonly record?: RecordAct;
  /** Told what goes on within the drivers. */
  readonly observe?: (event: DriverEvent) => void;
  /** Told what failed in the background of the change feed. */
  readonly changesFailed?: ChangeFeedOptions["onError"];
}

/** Milliseconds between looks for changes that this gateway did not write itself: those of other gateways, or of nobody. */
const SHARED = { from: 250, to: 1_000 }, ALONE = { from: 2_000, to: 5_000 };

/** Who opens the drivers: the gateway, or a command that works beside one that may be running. */
export type Opener = "gateway" | "command";

/** Builds the drivers. This is the one place, beside the configuration, that knows their names. */
export async function openDrivers(config: Config, around: Surroundings, opener: Opener): Promise<Drivers> {
  return config.database.driver === "sqlite"
    ? await openSqlite(config, around, opener)
    : openRqlite(config, around, opener);
}

/** @throws DataFolderInUse when another gateway has the folder */
async function openSqlite(
  { data, database: { sqlite, change_listeners: maxListeners } }: Config,
  { sqlRulesOf, changesFailed = () => {}, observe, record }: Surroundings,
  opener: Opener,
): Promise<Drivers> {
  await Deno.mkdir(data.dir, { recursive: true, mode: 0o700 });
  const lock = opener === "gateway" ? await DataFolderLock.take(data.dir) : undefined;
  try {
    const control = new SqliteControlDatabase({ path: `${data.dir}/control.sqlite` });
    const { synchronous, busy_timeout: busyTimeout, hosts } = sqlite;
    const log = logger("database");
    const driver = new SqliteDriver({
      dir: `${data.dir}/namespaces`,
      synchronous,
      busyTimeout,
      memory: hosts.memory,
      hosts,
      log: (line, namespace) => log.warn("a process of the database says", { line, namespace }),
      ...(observe && { observe }),
    });
    if (opener === "gateway") driver.warm();
    const rules = { ...(sqlRulesOf && { rulesOf: sqlRulesOf }) };
    const databaseChanges = changesOf(driver, { poll: ALONE, maxListeners, onError: changesFailed, ...rules });
    const watched = new WatchedDriver(driver, databaseChanges);
    const folder = copiesIn(data.dir), turns = new Turns();
    const database = new SqlDatabase(watched, { ...rules, turns, record });
    const changed = (namespace: string) => databaseChanges.wrote(namespace);
    const large = new SqliteLargeLoads({
      dir: `${data.dir}/namespaces`,
      folder,
      synchronous,
      busyTimeout,
      turns,
      changed,
      onLine: hostLine,
    });
    const files = announcing(new SqliteFiles(driver, hostLine), changed);
    return {
      control,
      database,
      databaseChanges,
      databaseFiles: new SqlDatabaseFiles({ driver: files, folder, turns, record, onLine: hostLine, ...rules }),
      bulkLoads: new SqlBulkLoads({ driver: watched, large, now: Date.now, ...rules }),
      databaseNames: undefined,
      embedded: true,
      migrate: () => migrated(control),
      async close() {
        databaseChanges.close();
        await database.close();
        await control.close();
        lock?.[Symbol.dispose]();
      },
    };
  } catch (error) {
    lock?.[Symbol.dispose]();
    throw error;
  }
}

function openRqlite(
  { data, database: { rqlite, change_listeners: maxListeners } }: Config,
  { databaseOf, sqlRulesOf, changesFailed = () => {}, observe = () => {}, record }: Surroundings,
  opener: Opener,
): Drivers {
  const { control: urls, pool, username, password, tls, request_timeout: timeout, read_level: level } = rqlite;
  const log = logger("database");
  const cluster = (name: string, urls: readonly string[], more: Partial<RqliteClusterOptions> = {}) =>
    new RqliteCluster({ name, urls, username, password, tls, timeout, ...more });
  const onStuck = (name: string, advice: string) => (stuck: boolean, seconds: number) => {
    observe({ kind: "stuck", cluster: name, stuck });
    if (stuck) log.error(advice, { cluster: name });
    else log.info("a database cluster takes writes again", { cluster: name, seconds: Math.round(seconds) });
  };
  const control = new RqliteControlDatabase(cluster("control", urls, { onStuck: onStuck(CONTROL, STUCK_CONTROL) }));
  const clusters = new Map(pool.map(({ name, urls }) => [
    name,
    cluster(name, urls, {
      onGroup: (access, statements) => observe({ kind: "group", access, statements }),
      onStuck: onStuck(name, STUCK_ADVICE),
    }),
  ]));
  const judge = new Judge({
    started: () => observe({ kind: "host_started" }),
    ended: (reason) => observe({ kind: "host_ended", reason }),
    line: (line) => log.warn("the judge of SQL statements says", { line }),
  });
  if (opener === "gateway") judge.warm();
  const driver = new RqliteDriver({ clusters, clusterOf: databaseOf, judge });
  const rules = { level, ...(sqlRulesOf && { rulesOf: sqlRulesOf }) };
  const databaseChanges = changesOf(driver, { poll: SHARED, maxListeners, onError: changesFailed, ...rules });
  const watched = new WatchedDriver(driver, databaseChanges);
  const turns = new Turns();
  const database = new SqlDatabase(watched, { ...rules, turns, record });
  const files = new RqliteFiles(async (namespace, waiter) => {
    const cluster = clusters.get(await databaseOf(namespace, waiter));
    if (cluster) return cluster;
    throw new GatewayError("UNAVAILABLE", "the database of this namespace is not configured here");
  });
  const changed = (namespace: string) => databaseChanges.wrote(namespace);
  return {
    control,
    database,
    databaseChanges,
    databaseFiles: new SqlDatabaseFiles({
      driver: announcing(files, changed),
      folder: copiesIn(data.dir),
      turns,
      record,
      onLine: hostLine,
      ...rules,
    }),
    bulkLoads: new SqlBulkLoads({ driver: watched, now: Date.now, ...rules }),
    databaseNames: [...clusters.keys()],
    embedded: false,
    migrate: () => migrated(control),
    async close() {
      databaseChanges.close();
      await database.close();
      await control.close();
    },
  };
}

/** Where whole databases lie on their way in and out: on the file system of the databases, so that they can take their place. */
const copiesIn = (folder: string) => `${folder}/copies`;

const hostLine = (line: string) => logger("database").warn("a process that works on a file says", { line });

const changesOf = (driver: SqlDriver, options: Omit<ChangeFeedOptions, "now" | "random">) =>
  new ChangeFeed(driver, { now: Date.now, random: (n) => crypto.getRandomValues(new Uint8Array(n)), ...options });

/** What the control plane's cluster is called in metrics and log; no cluster of the pool can be called so. */
const CONTROL = "control plane";
const WAY_OUT =
  "If it does not within a minute, end the rqlited that leads it with SIGKILL and start it again. If writes hang then " +
  "too, its log holds the statement, and the data must move to empty folders: docs/operation.md says how";
const STUCK_ADVICE =
  "a database cluster lives and does not come back from a write; its namespace's writes are refused until it does. " +
  WAY_OUT;
const STUCK_CONTROL =
  "the cluster of the control plane lives and does not come back from a write; sign-ins and changes of keys, members " +
  `and settings are refused until it does, the namespaces' SQL goes on. ${WAY_OUT}`;

const migrated = async (control: ControlDatabase) => void await migrate(control, { now: Date.now });
