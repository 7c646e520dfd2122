import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type Generated, Kysely, sql } from "kysely";
import { Migrator } from "kysely/migration";
import { OramaDialect } from "../../../src/client/database/kysely.ts";
import { OramaError } from "../../../src/client/index.ts";
import { databaseOf, type Target } from "./scenarios.ts";

interface Tables {
  readonly pets: {
    readonly id: Generated<number>;
    readonly name: string;
    readonly born: string | null;
    readonly photo: Uint8Array | null;
  };
  readonly toys: { readonly pet: number; readonly 'odd `name"': string };
}

const builder = (target: Target) =>
  new Kysely<Tables>({ dialect: new OramaDialect({ database: databaseOf(target), blobs: ["photo"] }) });

/** What an application does through Kysely. Runs on Deno and on Node. */
export const KYSELY_SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  async "Kysely defines, changes and reads"(target) {
    const db = builder(target);
    await db.schema.createTable("pets").addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
      .addColumn("name", "text", (column) => column.notNull()).addColumn("born", "text")
      .addColumn("photo", "blob").execute();
    await db.schema.createTable("toys").addColumn("pet", "integer").addColumn('odd `name"', "text").execute();
    const photo = new Uint8Array([0, 255]);
    const inserted = await db.insertInto("pets").values([{ name: "Rex", photo }, { name: "Tom" }]).executeTakeFirst();
    deepEqual([inserted.insertId, inserted.numInsertedOrUpdatedRows], [2n, 2n]);
    const returned = await db.insertInto("pets").values({ name: "Kim", born: "2020" }).returning(["id", "born"])
      .executeTakeFirstOrThrow();
    deepEqual(returned, { id: 3, born: "2020" });
    await db.insertInto("toys").values({ pet: 1, 'odd `name"': "ball" }).execute();
    const rows = await db.selectFrom("pets").leftJoin("toys", "toys.pet", "pets.id")
      .select(["pets.name", "photo", 'toys.odd `name" as toy']).where("pets.id", "in", [1, 2]).orderBy("pets.id")
      .execute();
    deepEqual(rows, [{ name: "Rex", photo, toy: "ball" }, { name: "Tom", photo: null, toy: null }]);
    const changed = await db.updateTable("pets").set({ born: null }).where("id", ">", 1).executeTakeFirst();
    equal(changed.numUpdatedRows, 2n);
    equal((await db.deleteFrom("pets").where("id", "=", 3).executeTakeFirst()).numDeletedRows, 1n);
    const names = await Promise.all(
      [1, 2, 3].map((id) => db.selectFrom("pets").select("name").where("id", "=", id).executeTakeFirst()),
    );
    deepEqual(names, [{ name: "Rex" }, { name: "Tom" }, undefined]);
    await db.destroy();
  },

  async "Kysely runs raw SQL, whatever it begins with"(target) {
    const db = builder(target);
    await sql`-- a table\nCREATE TABLE raw (n INTEGER)`.execute(db);
    equal((await sql`WITH v AS (SELECT 5 AS n) INSERT INTO raw SELECT n FROM v`.execute(db)).numAffectedRows, 1n);
    deepEqual((await sql`/* x */ WITH v AS (SELECT n FROM raw) SELECT * FROM v`.execute(db)).rows, [{ n: 5 }]);
    deepEqual((await sql<{ n: number }>`VALUES (${7})`.execute(db)).rows, [{ column1: 7 }]);
    equal((await sql`DELETE FROM raw`.execute(db)).numAffectedRows, 1n);
    await rejects(sql`SELEC`.execute(db), (error) => error instanceof OramaError && error.code === "SQL_INVALID");
    await rejects(sql`WITH x AS (SELECT 1) DELETE FROM nowhere`.execute(db), OramaError);
  },

  async "Kysely has no transactions, and batch takes its queries"(target) {
    const db = builder(target), database = databaseOf(target);
    await database.createTable(
      "CREATE TABLE IF NOT EXISTS pets (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born TEXT, photo BLOB)",
    );
    await rejects(
      db.transaction().execute(async (trx) => await trx.selectFrom("pets").selectAll().execute()),
      /no interactive transactions.*batch/,
    );
    await rejects(db.startTransaction().execute(), /batch/);
    const id = 1000;
    const [inserted, found] = await database.batch<[never, { name: string }]>([
      db.insertInto("pets").values({ id, name: "Max" }),
      db.selectFrom("pets").select("name").where("id", "=", id).compile(),
    ]);
    deepEqual([inserted.rowsAffected, found.rows], [1, [{ name: "Max" }]]);
    const broken = [
      db.updateTable("pets").set({ name: "Moritz" }).where("id", "=", id),
      db.insertInto("pets").values({ id, name: "again" }),
    ];
    await rejects(database.batch(broken), (error) => error instanceof OramaError && error.code === "CONSTRAINT_FAILED");
    const kept = await db.selectFrom("pets").select("name").where("id", "=", id).execute();
    deepEqual(kept, [{ name: "Max" }]);
  },

  async "Kysely sees tables, columns and views"(target) {
    const db = builder(target), database = databaseOf(target);
    await database.batch([
      "CREATE TABLE seen (id INTEGER PRIMARY KEY, `odd name` VARCHAR(9) NOT NULL DEFAULT 'x')",
      "CREATE VIEW seen_view AS SELECT id FROM seen",
    ]);
    const tables = await db.introspection.getTables();
    const column = { isNullable: true, isAutoIncrementing: false, hasDefaultValue: false };
    deepEqual(tables.filter(({ name }) => name.startsWith("seen")), [
      {
        name: "seen",
        isView: false,
        isForeign: false,
        columns: [
          { ...column, name: "id", dataType: "INTEGER", isAutoIncrementing: true },
          { ...column, name: "odd name", dataType: "VARCHAR(9)", isNullable: false, hasDefaultValue: true },
        ],
      },
      { name: "seen_view", isView: true, isForeign: false, columns: [{ ...column, name: "id", dataType: "INTEGER" }] },
    ]);
    deepEqual(await db.introspection.getSchemas(), []);
  },

  async "Kysely's migrations run once, also where several start at the same time"(target) {
    let ran = 0;
    const migrations = {
      "1_first": {
        async up(db: Kysely<unknown>) {
          ran++;
          await db.schema.createTable("migrated").addColumn("id", "integer").execute();
        },
      },
    };
    const migrate = () =>
      new Migrator({ db: builder(target), provider: { getMigrations: () => Promise.resolve(migrations) } })
        .migrateToLatest();
    const results = await Promise.all([migrate(), migrate(), migrate()]);
    deepEqual([ran, ...results.map(({ error }) => error)], [1, undefined, undefined, undefined]);
    const [lock] = await databaseOf(target).query("SELECT is_locked FROM kysely_migration_lock");
    deepEqual(lock, { is_locked: 0 });
  },

  async "a migration waits for another one, and never takes its lock away"(target) {
    const database = databaseOf(target);
    const db = new Kysely<Tables>({ dialect: new OramaDialect({ database, migrationLockTimeout: 1 }) });
    const provider = { getMigrations: () => Promise.resolve({}) };
    const migrator = new Migrator({ db, provider, migrationLockTableName: "held_lock", migrationTableName: "held" });
    equal((await migrator.migrateToLatest()).error, undefined);
    const isLocked = async () => (await database.query("SELECT is_locked FROM held_lock"))[0]?.is_locked;
    await database.exec("UPDATE held_lock SET is_locked = 5");
    const { error } = await migrator.migrateToLatest();
    ok(/another migration holds the lock/.test(String(error)));
    equal(await isLocked(), 5);
    await database.exec("UPDATE held_lock SET is_locked = 0");
    equal((await migrator.migrateToLatest()).error, undefined);
    equal(await isLocked(), 0);
  },
};
