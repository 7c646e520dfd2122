import { deepEqual, ok, rejects } from "node:assert/strict";
import { migrate, type Migration, SchemaTooNew } from "../../services/control_plane/migrate.ts";
import { migrations } from "../../services/control_plane/migrations/index.ts";
import { now, onEveryDriver, raw, type Scenario } from "./control_drivers.ts";

const scenarios: Record<string, Scenario> = {
  "migrate() applies once and then finds nothing to do": async (open) => {
    const control = open();
    const versions = migrations.map(({ version }) => version);
    deepEqual(await migrate(control, { now }), versions);
    deepEqual(await migrate(control, { now }), []);
    deepEqual(
      await control.db.selectFrom("schema_migrations").selectAll().orderBy("version").execute(),
      versions.map((version) => ({ version, applied_at: now() })),
    );
  },

  "migrate() by several clients at once applies each step exactly once": async (open) => {
    const controls = Array.from({ length: 4 }, () => open());
    const applied = await Promise.all(controls.map((control) => migrate(control, { now, migrations: steps(3) })));
    deepEqual(applied.flat().sort(), [1, 2, 3]);
    const versions = await controls[0]!.db.selectFrom("schema_migrations").select("version").orderBy("version")
      .execute();
    deepEqual(versions.map(({ version }) => version), [1, 2, 3]);
    deepEqual((await controls[0]!.run(raw("SELECT x FROM t2"))).rows, [{ x: 2 }]);
  },

  "migrate() continues where an older gateway stopped": async (open) => {
    const control = open();
    deepEqual(await migrate(control, { now, migrations: steps(1) }), [1]);
    deepEqual(await migrate(control, { now, migrations: steps(3) }), [2, 3]);
  },

  "migrate() leaves nothing of a step that fails": async (open) => {
    const control = open();
    const broken: Migration = {
      version: 2,
      statements: ["CREATE TABLE half (x INTEGER)", "CREATE TABLE half (x INTEGER)"],
    };
    await rejects(migrate(control, { now, migrations: [...steps(1), broken] }));
    deepEqual((await control.run(raw("SELECT 1 FROM sqlite_schema WHERE name = 'half'"))).rows, []);
    deepEqual(await migrate(control, { now, migrations: steps(2) }), [2]);
  },

  "migrate() refuses a database that a newer gateway made": async (open) => {
    const control = open();
    await migrate(control, { now, migrations: steps(2) });
    await rejects(migrate(control, { now, migrations: steps(1) }), (error: Error) => {
      ok(error instanceof SchemaTooNew);
      return /version 2.*up to 1.*newer gateway/.test(error.message);
    });
  },
};

onEveryDriver(scenarios);

Deno.test("migrations are numbered from 1 without a gap and call no SQL function of time or chance", () => {
  deepEqual(migrations.map(({ version }) => version), migrations.map((_, i) => i + 1));
  for (const sql of migrations.flatMap(({ statements }) => statements)) {
    ok(!/current_|random|datetime\s*\(|date\s*\(|time\s*\(|julianday|unixepoch|strftime/i.test(sql), sql);
  }
});

function steps(count: number): Migration[] {
  return Array.from({ length: count }, (_, i) => ({
    version: i + 1,
    statements: [`CREATE TABLE t${i + 1} (x INTEGER)`, `INSERT INTO t${i + 1} VALUES (${i + 1})`],
  }));
}
