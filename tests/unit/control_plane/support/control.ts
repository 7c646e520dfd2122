import { migrate } from "../../../../services/control_plane/migrate.ts";
import { SqliteControlDatabase } from "../../../../services/control_plane/sqlite.ts";

/** An empty control database in memory, with its tables. */
export async function openControl(): Promise<SqliteControlDatabase & AsyncDisposable> {
  const control = new SqliteControlDatabase({ path: ":memory:" });
  await migrate(control, { now: () => 0 });
  return Object.assign(control, { [Symbol.asyncDispose]: () => control.close() });
}
