import type { ControlDatabase } from "../../services/control_plane/control_database.ts";
import { migrate } from "../../services/control_plane/migrate.ts";
import { RqliteControlDatabase } from "../../services/control_plane/rqlite.ts";
import { SqliteControlDatabase } from "../../services/control_plane/sqlite.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import { CompiledQuery } from "kysely";
import { engineTest } from "../engines/support/engine_test.ts";

/** Opens one more client of the same, at first empty, database. */
export type Open = () => ControlDatabase;
/** What must hold on every driver. */
export type Scenario = (open: Open) => Promise<void>;

/** The time at which all tests happen. */
export const now = () => 1_700_000_000_000;
/** A query without the builder. */
export const raw = (sql: string, ...args: unknown[]) => CompiledQuery.raw(sql, args);

/** Makes a test of each scenario on each driver; real engines take part where they are there. */
export function onEveryDriver(scenarios: Readonly<Record<string, Scenario>>): void {
  for (const [name, scenario] of Object.entries(scenarios)) {
    Deno.test(`sqlite: ${name}`, async () => {
      const folder = await Deno.makeTempDir();
      const opened: ControlDatabase[] = [];
      try {
        await scenario(() => remember(opened, new SqliteControlDatabase({ path: `${folder}/control.sqlite` })));
      } finally {
        for (const control of opened) await control.close();
        await Deno.remove(folder, { recursive: true });
      }
    });

    engineTest(`rqlite: ${name}`, ["rqlited"], async (engines) => {
      const { urls } = await engines.rqlite({ nodes: 1 });
      const opened: ControlDatabase[] = [];
      try {
        await scenario(() => remember(opened, new RqliteControlDatabase(new RqliteCluster({ name: "control", urls }))));
      } finally {
        for (const control of opened) await control.close();
      }
    });
  }
}

/** A database with its tables. */
export async function ready(open: Open): Promise<ControlDatabase> {
  const control = open();
  await migrate(control, { now });
  return control;
}

function remember(opened: ControlDatabase[], control: ControlDatabase): ControlDatabase {
  opened.push(control);
  return control;
}
