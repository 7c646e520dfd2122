import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import type { AuditEntry } from "../../services/control_plane/audit.ts";
import { SqlDatabase } from "../../services/database/database.ts";
import type { GatedStatement } from "../../services/database/driver.ts";
import { own } from "../../services/database/own.ts";
import type { Migration, MigrationOptions } from "../../src/contracts/database_migrations.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { is, NAMESPACE, onBothDrivers, REQUEST, Subject } from "./sql_databases.ts";

const migration = (version: number, ...statements: string[]): Migration => ({
  version,
  name: `m${version}`,
  statements,
});
const migrate = ({ database }: Subject, migrations: readonly Migration[], options: MigrationOptions = {}) =>
  database.migrate(NAMESPACE, migrations, REQUEST, options);
const applied = ({ database }: Subject) => database.migrations(NAMESPACE, REQUEST);
const statesOf = ({ migrations }: Awaited<ReturnType<typeof migrate>>) => migrations.map(({ state }) => state);
const tablesOf = async ({ database }: Subject) => (await database.schema(NAMESPACE, REQUEST)).map(({ name }) => name);

const ONE = migration(1, "CREATE TABLE a (id INTEGER PRIMARY KEY, n)");
const TWO = migration(2, "ALTER TABLE a ADD COLUMN s TEXT", "INSERT INTO a (n, s) VALUES (1, 'x')");
const THREE = migration(3, "CREATE TABLE b (a REFERENCES a (id))", "INSERT INTO b SELECT id FROM a");

onBothDrivers({
  "migrations are applied in order, once, and listed": async ({ db, gateway }) => {
    deepEqual(await applied(db), []);
    const first = await migrate(db, [ONE, TWO]);
    deepEqual([first.version, statesOf(first)], [2, ["applied_now", "applied_now"]]);
    const second = await migrate(gateway(), [ONE, TWO, THREE]);
    deepEqual([second.version, statesOf(second)], [3, ["applied", "applied", "applied_now"]]);
    deepEqual(statesOf(await migrate(db, [THREE])), ["applied"]);
    deepEqual(await db.rows("SELECT * FROM b"), [[1]]);
    const list = await applied(db);
    deepEqual(
      list.map(({ version, name, checksum }) => ({ version, name, checksum })),
      [
        ...first.migrations,
        second.migrations[2]!,
      ].map(({ version, name, checksum }) => ({ version, name, checksum })),
    );
    for (const { appliedAt, duration } of list) {
      ok(Math.abs(Date.now() - appliedAt) < 60_000);
      ok(duration !== null && duration >= 0 && duration < 60_000);
    }
    deepEqual(await tablesOf(db), ["a", "b"]);
  },

  "a script is split into its statements, triggers kept whole": async ({ db }) => {
    const sql = `
      -- two tables; and what ties them
      CREATE TABLE a (n TEXT DEFAULT ';'); CREATE TABLE log (n);;
      CREATE TRIGGER t AFTER INSERT ON a BEGIN
        INSERT INTO log VALUES (CASE WHEN new.n = ';' THEN 'semi' ELSE 'other' END);
        INSERT INTO log VALUES (2); /* ; */
      END;
      INSERT INTO a DEFAULT VALUES -- the end`;
    const { checksum } = (await migrate(db, [{ version: 1, name: "script", statements: sql }])).migrations[0]!;
    deepEqual(await db.rows("SELECT n FROM log ORDER BY rowid"), [["semi"], [2]]);
    const split = sql.replace("-- two tables; and what ties them", "").replace("-- the end", "").split(";;");
    equal(split.length, 2);
    deepEqual(
      statesOf(await migrate(db, [{ version: 1, name: "again", statements: `${split.join(";\n\n")};` }])),
      ["applied"],
    );
    equal((await applied(db))[0]?.checksum, checksum);
  },

  "one that was applied with other statements is refused, whatever its name": async ({ db }) => {
    await migrate(db, [ONE, TWO]);
    deepEqual(statesOf(await migrate(db, [{ ...ONE, name: "renamed" }])), ["applied"]);
    const other = migration(1, "CREATE TABLE other (a)");
    await rejects(migrate(db, [other, TWO, THREE]), (error: GatewayError) => {
      is("CONFLICT", "migration 1 (m1) was applied with other statements")(error);
      deepEqual(error.extra.details, { version: 1 });
      return true;
    });
    deepEqual(await tablesOf(db), ["a"]);
  },

  "gaps, disorder and what is older than what is applied are refused before anything runs": async ({ db }) => {
    const refused: [Migration[], RegExp][] = [
      [[TWO], /migration 2 cannot follow on 0: 1 is missing/],
      [[ONE, THREE], /migration 3 follows on 1/],
      [[TWO, ONE], /migration 1 follows on 2/],
      [[ONE, ONE], /migration 1 follows on 1/],
    ];
    for (const [list, sentence] of refused) await rejects(migrate(db, list), is("INVALID_REQUEST", sentence));
    await rejects(migrate(db, [ONE, migration(2, "ATTACH 'x' AS y")]), (error: GatewayError) => {
      is("SQL_NOT_ALLOWED", "migration 2 (m2), statement 1: ATTACH")(error);
      deepEqual(error.extra.details, { version: 2, statement: 0 });
      return true;
    });
    await rejects(migrate(db, [migration(1, "SELECT ?")]), is("SQL_INVALID", "1 placeholders"));
    await rejects(migrate(db, [migration(1, "SELECT 1; SELECT 2")]), is("SQL_NOT_ALLOWED", "one statement"));
    await rejects(
      migrate(db, [{ version: 1, name: "m1", statements: " ; -- nothing" }]),
      is("INVALID_REQUEST", "no statement"),
    );
    deepEqual([await applied(db), await tablesOf(db)], [[], []]);
    await migrate(db, [ONE, TWO]);
    await rejects(migrate(db, [migration(4, "SELECT 1")]), is("INVALID_REQUEST", "3 is missing"));
  },

  "the first failure ends it: those before stay, it leaves nothing, and later goes on from there": async ({ db }) => {
    const wrong = migration(3, "CREATE TABLE c (a UNIQUE)", "INSERT INTO c VALUES (1)", "INSERT INTO c VALUES (1)");
    const list = [ONE, TWO, wrong, migration(4, "CREATE TABLE d (a)")];
    await rejects(migrate(db, list), (error: GatewayError) => {
      is("CONSTRAINT_FAILED", "migration 3 (m3), statement 3: UNIQUE constraint failed: c.a")(error);
      deepEqual(error.extra.details, { version: 3, statement: 2, applied: [1, 2] });
      return true;
    });
    deepEqual(await tablesOf(db), ["a"]);
    await rejects(migrate(db, [migration(3, "CREATE TABL c (a)")]), is("SQL_INVALID", "migration 3 (m3), statement 1"));
    equal((await applied(db)).length, 2);
    deepEqual(statesOf(await migrate(db, list.with(2, THREE))), ["applied", "applied", "applied_now", "applied_now"]);
  },

  "the target bounds a run, and none leads back": async ({ db }) => {
    const list = [ONE, TWO, THREE];
    const report = await migrate(db, list, { target: 2 });
    deepEqual([report.version, statesOf(report)], [2, ["applied_now", "applied_now", "pending"]]);
    deepEqual(statesOf(await migrate(db, list, { target: 2 })), ["applied", "applied", "pending"]);
    await rejects(migrate(db, list, { target: 1 }), is("CONFLICT", "no way leads back to 1"));
    await rejects(migrate(db, list, { target: 4 }), is("INVALID_REQUEST", "there is no migration 4"));
  },

  "a dry run tells what would be done, tries it, and leaves nothing": async ({ db }) => {
    const list = [ONE, TWO, THREE];
    const report = await migrate(db, list, { dryRun: true });
    deepEqual([report.version, statesOf(report), report.problem], [0, ["pending", "pending", "pending"], undefined]);
    deepEqual([await applied(db), await tablesOf(db)], [[], []]);
    await migrate(db, [ONE, TWO]);
    const wrong = [ONE, TWO, THREE, migration(4, "CREATE TABLE c (a)", "INSERT INTO c SELECT missing FROM a")];
    const { problem, version } = await migrate(db, wrong, { dryRun: true });
    equal(version, 2);
    match(problem?.message ?? "", /no such column: missing/);
    deepEqual([problem?.version, problem?.statement, problem?.code], [4, 1, "SQL_INVALID"]);
    equal((await migrate(db, wrong, { dryRun: true, target: 3 })).problem, undefined);
    const other = await migrate(db, [migration(1, "CREATE TABLE x (a)"), TWO, THREE], { dryRun: true });
    deepEqual([statesOf(other), other.problem?.code, other.problem?.version], [
      ["changed", "applied", "pending"],
      "CONFLICT",
      1,
    ]);
    equal((await migrate(db, [ONE, TWO], { dryRun: true })).problem, undefined);
    deepEqual([(await applied(db)).length, await tablesOf(db)], [2, ["a"]]);
    deepEqual(await db.rows("SELECT count(*) FROM a"), [[1]]);
  },

  "two callers at once apply each migration once": async ({ db, gateway }) => {
    const list = [
      migration(1, "CREATE TABLE n (v)"),
      ...Array.from({ length: 9 }, (_, i) => migration(i + 2, `INSERT INTO n VALUES (${i})`)),
    ];
    const reports = await Promise.all([db, gateway(), gateway()].map((one) => migrate(one, list)));
    for (const [at] of list.entries()) {
      equal(reports.filter(({ migrations }) => migrations[at]!.state === "applied_now").length, 1);
    }
    deepEqual(reports.map(({ version }) => version), [10, 10, 10]);
    deepEqual(await db.rows("SELECT count(*), count(DISTINCT v) FROM n"), [[9, 9]]);
    equal((await applied(db)).length, 10);
  },

  "what was applied is recorded, by whom, and nothing else": async ({ gateway }) => {
    const acts: AuditEntry[] = [];
    const db = gateway({ record: (entry) => Promise.resolve(void acts.push(entry)) });
    const actor = { subject: "0xa" };
    await migrate(db, [ONE, TWO], { actor, dryRun: true });
    await migrate(db, [ONE, TWO], { actor });
    await migrate(db, [ONE, TWO], { actor });
    await rejects(migrate(db, [ONE, TWO, THREE, migration(4, "CREATE TABLE b (c)")], { actor }), is("SQL_INVALID"));
    const act = { namespace: NAMESPACE, actor: "0xa", action: "database.migrated", resource: NAMESPACE };
    deepEqual(acts, [{ ...act, details: { versions: [1, 2] } }, { ...act, details: { versions: [3] } }]);
  },

  "two callers with other statements for one version: one wins, the other is told": async ({ db, gateway }) => {
    const all = await Promise.allSettled(
      ["x", "y"].map((name, i) => migrate([db, gateway()][i]!, [migration(1, `CREATE TABLE ${name} (a)`)])),
    );
    const [lost] = all.filter((one) => one.status === "rejected");
    equal(all.filter(({ status }) => status === "fulfilled").length, 1);
    is("CONFLICT", "was applied with other statements")(lost?.reason);
    equal((await tablesOf(db)).length, 1);
  },

  "an unknown outcome is UNAVAILABLE, and repeating it is safe": async ({ db }) => {
    let lose = false;
    const acts: AuditEntry[] = [];
    const { driver } = db;
    const hurt = new SqlDatabase({
      run: async (request, context) => {
        const reply = await driver.run(request, context);
        if (lose && request.mode === "atomic") throw new GatewayError("OUTCOME_UNKNOWN", "lost");
        return reply;
      },
      stream: (request, context) => driver.stream(request, context),
      purge: (namespace, signal) => driver.purge(namespace, signal),
      usage: (namespace, signal) => driver.usage(namespace, signal),
      health: (signal) => driver.health(signal),
      close: () => driver.close(),
    }, { record: (entry) => Promise.resolve(void acts.push(entry)) });
    const subject = new Subject(hurt, driver);
    await migrate(subject, [ONE]);
    lose = true;
    await rejects(migrate(subject, [ONE, TWO, THREE]), is("UNAVAILABLE", "repeat the request"));
    lose = false;
    deepEqual(statesOf(await migrate(subject, [ONE, TWO, THREE])), ["applied", "applied", "applied_now"]);
    deepEqual((await applied(db)).map(({ duration }) => duration === null), [false, true, false]);
    deepEqual(acts.map(({ details }) => details), [{ versions: [1] }, { versions: [], unknown: 2 }, { versions: [3] }]);
    deepEqual(await db.rows("SELECT count(*) FROM a"), [[1]]);
  },

  "a list with values that no gateway wrote is a conflict that says what to mend, and no more once it is mended":
    async (
      { db },
    ) => {
      await migrate(db, [ONE, TWO]);
      const good = await applied(db);
      const write = async (...statements: GatedStatement[]) => {
        const bounds = {
          timeout: 5_000,
          level: "weak",
          maxDatabaseBytes: 0,
          ceiling: { rows: 10, bytes: 1_000 },
        } as const;
        const reply = await db.driver.run({ namespace: NAMESPACE, mode: "atomic", statements, ...bounds }, REQUEST);
        equal(reply.kind, "done");
      };
      const list = "_orama_migrations";
      const make = `CREATE TABLE ${list} (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, ` +
        "applied_at INTEGER NOT NULL, duration INTEGER)";
      const odd: readonly [change: string, problem: RegExp][] = [
        ["version = 9223372036854775807 WHERE version = 2", /version 9223372036854775807 stands where 2 must/],
        ["version = -9223372036854775807 WHERE version = 1", /version -9223372036854775807 stands where 1 must/],
        ["version = 3 WHERE version = 1", /version 2 stands where 1 must/],
        ["name = x'ff' WHERE version = 1", /name of version 1 must be a text/],
        ["name = hex(zeroblob(1000000)) WHERE version = 2", /name of version 2 must be a text/],
        ["checksum = 'none' WHERE version = 1", /checksum of version 1 must be a SHA-256/],
        ["checksum = zeroblob(43) WHERE version = 1", /checksum of version 1/],
        ["applied_at = 9e999 WHERE version = 1", /applied_at of version 1 must be a time/],
        ["applied_at = 'yesterday' WHERE version = 1", /applied_at of version 1/],
        ["applied_at = 9223372036854775807 WHERE version = 1", /applied_at of version 1/],
        ["duration = -9e999 WHERE version = 2", /duration of version 2 must be NULL, or milliseconds/],
        ["duration = 'long' WHERE version = 2", /duration of version 2/],
      ];
      await write(own(`CREATE TABLE _orama_good AS SELECT * FROM ${list}`));
      for (const [change, problem] of odd) {
        await write(own(`UPDATE ${list} SET ${change}`));
        for (const call of [() => applied(db), () => migrate(db, [ONE, TWO, THREE])]) {
          await rejects(call, is("CONFLICT", problem), change);
          await rejects(call, is("CONFLICT", "mend the table _orama_migrations in a backup"));
        }
        await rejects(migrate(db, [ONE], { dryRun: true }), is("CONFLICT", problem));
        await write(own(`DELETE FROM ${list}`), own(`INSERT INTO ${list} SELECT * FROM _orama_good`));
        deepEqual(await applied(db), good);
      }
      await write(own(`DROP TABLE ${list}`), own(`CREATE TABLE ${list} (version, label)`));
      await rejects(migrate(db, [ONE]), is("CONFLICT", "no such column: name"));
      await write(own(`DROP TABLE ${list}`), own(make), own(`INSERT INTO ${list} SELECT * FROM _orama_good`));
      deepEqual(statesOf(await migrate(db, [ONE, TWO, THREE])), ["applied", "applied", "applied_now"]);
    },

  "purge() forgets them": async ({ db }) => {
    await migrate(db, [ONE]);
    await db.database.purge(NAMESPACE, REQUEST.signal);
    deepEqual(await applied(db), []);
    deepEqual(statesOf(await migrate(db, [ONE])), ["applied_now"]);
  },
});
