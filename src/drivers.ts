import type { Config } from "../config/index.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
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

/**
 * Builds the drivers. This is the one place, beside the configuration, that knows their names.
 * @param databaseOf which database of the pool a namespace was given
 */
export declare function openDrivers(
  config: Config,
  databaseOf: (namespace: string, signal?: AbortSignal) => Promise<string>,
): Drivers;
