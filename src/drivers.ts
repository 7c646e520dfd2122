import type { Config } from "../config/index.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import { DataFolderLock } from "../services/control_plane/data_folder_lock.ts";
import { migrate } from "../services/control_plane/migrate.ts";
import { RqliteControlDatabase } from "../services/control_plane/rqlite.ts";
import { SqliteControlDatabase } from "../services/control_plane/sqlite.ts";
import { SqlDatabase } from "../services/database/database.ts";
import { RqliteDriver } from "../services/database/rqlite.ts";
import { SqliteDriver } from "../services/database/sqlite.ts";
import { RqliteCluster } from "../services/rqlite/client.ts";
import type { Database } from "./contracts/database.ts";

/** What the configuration's drivers come to. */
export interface Drivers {
  readonly control: ControlDatabase;
  readonly database: Database;
  /** Databases that namespaces are given, one each; `undefined` where each gets a file of its own. */
  readonly databaseNames: readonly string[] | undefined;
  /** Whether everything runs in this process. */
  readonly embedded: boolean;
  /** Brings the control plane's tables up to date. */
  readonly migrate: () => Promise<void>;
  close(): Promise<void>;
}

/** Which database of the pool a namespace was given. */
export type DatabaseOf = (namespace: string, request: { readonly signal: AbortSignal }) => Promise<string>;

/** Who opens the drivers: the gateway, or a command that works beside one that may be running. */
export type Opener = "gateway" | "command";

/** Builds the drivers. This is the one place, beside the configuration, that knows their names. */
export async function openDrivers(config: Config, databaseOf: DatabaseOf, opener: Opener): Promise<Drivers> {
  return config.database.driver === "sqlite" ? await openSqlite(config, opener) : openRqlite(config, databaseOf);
}

/** @throws DataFolderInUse when another gateway has the folder */
async function openSqlite({ data, database: { sqlite } }: Config, opener: Opener): Promise<Drivers> {
  await Deno.mkdir(data.dir, { recursive: true, mode: 0o700 });
  const lock = opener === "gateway" ? await DataFolderLock.take(data.dir) : undefined;
  try {
    const control = new SqliteControlDatabase({ path: `${data.dir}/control.sqlite` });
    const { synchronous, max_open: maxOpen, busy_timeout: busyTimeout } = sqlite;
    const database = new SqlDatabase(
      new SqliteDriver({ dir: `${data.dir}/namespaces`, synchronous, maxOpen, busyTimeout }),
    );
    return {
      control,
      database,
      databaseNames: undefined,
      embedded: true,
      migrate: () => migrated(control),
      async close() {
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

function openRqlite({ database: { rqlite } }: Config, databaseOf: DatabaseOf): Drivers {
  const { control: urls, pool, username, password, request_timeout: timeout, read_level: level } = rqlite;
  const cluster = (name: string, urls: readonly string[]) =>
    new RqliteCluster({ name, urls, username, password, timeout });
  const control = new RqliteControlDatabase(cluster("control", urls));
  const clusters = new Map(pool.map(({ name, urls }) => [name, cluster(name, urls)]));
  const database = new SqlDatabase(new RqliteDriver({ clusters, clusterOf: databaseOf, level }));
  return {
    control,
    database,
    databaseNames: [...clusters.keys()],
    embedded: false,
    migrate: () => migrated(control),
    async close() {
      await database.close();
      await control.close();
    },
  };
}

const migrated = async (control: ControlDatabase) => void await migrate(control, { now: Date.now });
