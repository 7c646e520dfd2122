import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { SqlDatabase } from "../../services/database/database.ts";
import type { SqlDriver } from "../../services/database/driver.ts";
import type { TransactionStep, WriteOptions } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { exec, is, NAMESPACE, onBothDrivers, query, REQUEST, Subject } from "./sql_databases.ts";

const key = (idempotencyKey: string) => ({ idempotencyKey });

/** A driver that loses answers after the work was done, or before. */
function losing(driver: SqlDriver, when: "before" | "after"): SqlDriver & { lose: boolean } {
  return {
    lose: false,
    async run(request, context) {
      const unknown = () => new GatewayError("OUTCOME_UNKNOWN", "lost");
      if (this.lose && when === "before") throw unknown();
      const reply = await driver.run(request, context);
      if (this.lose) throw unknown();
      return reply;
    },
    stream: (request, context) => driver.stream(request, context),
    purge: (namespace, signal) => driver.purge(namespace, signal),
    usage: (namespace, signal) => driver.usage(namespace, signal),
    health: (signal) => driver.health(signal),
    close: () => driver.close(),
  };
}

const TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INTEGER DEFAULT 0)";

onBothDrivers({
  "the same request with the same key is applied once and answered with the same figures": async ({ db, gateway }) => {
    await db.exec(TABLE);
    const insert = "INSERT INTO t (a) VALUES (?), (?)";
    const first = await db.exec(insert, ["x", "y"], key("k1"));
    deepEqual(first, { rowsAffected: 2, lastInsertId: 2 });
    deepEqual(await db.exec(insert, ["x", "y"], key("k1")), { ...first, replayed: true });
    deepEqual(await gateway().exec(insert, ["x", "y"], key("k1")), { ...first, replayed: true });
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[2]]);
  },

  "blanks, comments and semicolons around a statement make no other request": async ({ db }) => {
    await db.exec(TABLE);
    await db.exec("INSERT INTO t (a) VALUES (1)", [], key("k"));
    equal((await db.exec(" -- again\n INSERT INTO t (a) VALUES (1) ; ", [], key("k"))).replayed, true);
  },

  "another request with the same key is refused and not applied": async ({ db }) => {
    await db.exec(TABLE);
    const insert = "INSERT INTO t (a) VALUES (?)";
    await db.exec(insert, ["1"], key("k"));
    const others: (() => Promise<unknown>)[] = [
      () => db.exec(insert, ["2"], key("k")),
      () => db.exec(insert, [1], key("k")),
      () => db.exec(insert, [{ real: 1 }], key("k")),
      () => db.exec(insert, [new TextEncoder().encode("1")], key("k")),
      () => db.exec(insert, [null], key("k")),
      () => db.exec("INSERT INTO t (a) VALUES ( ?)", ["1"], key("k")),
      () => db.transaction([exec(insert, "1")], key("k")),
      () => db.database.dropTable(NAMESPACE, "t", REQUEST, key("k")),
    ];
    for (const other of others) await rejects(other(), is("IDEMPOTENCY_KEY_REUSED"));
    deepEqual(await db.rows("SELECT a FROM t"), [["1"]]);
    equal((await db.exec(insert, ["1"], key("k"))).replayed, true);
  },

  "the figures of each step come back, rows do not": async ({ db }) => {
    await db.exec(TABLE);
    const steps: readonly TransactionStep[] = [
      exec("INSERT INTO t (a) VALUES ('a'), ('b'), ('c')"),
      query("SELECT count(*) AS n FROM t"),
      exec("UPDATE t SET n = 1 WHERE a <> 'a'"),
      exec("INSERT INTO t (a) VALUES ('a') ON CONFLICT (a) DO UPDATE SET n = 5"),
      exec("INSERT INTO t (a) VALUES ('d') ON CONFLICT (a) DO UPDATE SET n = 5 RETURNING id"),
      exec("INSERT OR IGNORE INTO t (a) VALUES ('a')"),
      exec("CREATE TABLE u (v TEXT PRIMARY KEY) WITHOUT ROWID"),
      exec("UPDATE t SET n = 9 WHERE id = 99"),
      exec("DELETE FROM t WHERE id < 3 RETURNING a"),
      exec("INSERT INTO t (id, a) VALUES (9223372036854775807, 'z')"),
      exec("SELECT 1"),
    ];
    const first = await db.transaction(steps, key("k"));
    const figures = [[3, 3], null, [2, 0], [1, 0], [1, 4], [0, 0], [0, 0], [0, 0], [2, 0], [
      1,
      9223372036854775807n,
    ], [0, 0]];
    const figuresOf = ({ steps }: typeof first) =>
      steps.map((step) => step.kind === "query" ? null : [step.result.rowsAffected, step.result.lastInsertId]);
    deepEqual(figuresOf(first), figures);
    const again = await db.transaction(steps, key("k"));
    equal(again.replayed, true);
    deepEqual(figuresOf(again), figures);
    for (const step of again.steps) {
      if (step.kind === "query") equal(step.result, null);
      else ok(!("returning" in step.result));
    }
    deepEqual(await db.rows("SELECT id, a, n FROM t ORDER BY id"), [
      [3, "c", 1],
      [4, "d", 0],
      [9223372036854775807n, "z", 0],
    ]);
  },

  "the figures are those that a request without a key gives": async ({ db }) => {
    const steps = [
      "INSERT INTO t (a) VALUES ('1'), ('2')",
      "INSERT INTO t (a) VALUES ('3') RETURNING id, a",
      "REPLACE INTO t (a) VALUES ('3')",
      "INSERT INTO child SELECT id FROM t",
      "INSERT INTO t (a) VALUES ('4') ON CONFLICT (a) DO NOTHING",
      "INSERT INTO t (a) VALUES ('4') ON CONFLICT (a) DO NOTHING",
      "INSERT INTO bare VALUES (1)",
      "INSERT INTO v VALUES (1)",
      "UPDATE t SET n = n + 1",
      "DELETE FROM t",
      "CREATE INDEX i ON t (n)",
      "DELETE FROM log",
    ].map((sql) => exec(sql));
    const results: unknown[] = [];
    const note = async (options: WriteOptions) => {
      const result = await db.transaction(steps, options);
      results.push(
        result.steps.map((step) => step.kind === "exec" && [step.result.rowsAffected, step.result.lastInsertId]),
      );
      return result.replayed;
    };
    for (const options of [{}, key("k")]) {
      await db.database.purge(NAMESPACE, REQUEST.signal);
      await db.execAll(
        TABLE,
        "CREATE TABLE log (a)",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.id); INSERT INTO log VALUES (new.a); END",
        "CREATE TABLE child (t REFERENCES t (id) ON DELETE CASCADE)",
        "CREATE TABLE bare (a PRIMARY KEY) WITHOUT ROWID",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (new.a); END",
      );
      equal(await note(options), undefined);
    }
    equal(await note(key("k")), true);
    const [without, first, again] = results as [number, number][][];
    deepEqual(without!.map(([changes]) => changes), [2, 1, 1, 3, 1, 0, 1, 0, 4, 4, 0, 11]);
    deepEqual(again, first);
    // Of an insert that sets no row id, rqlite has that of an earlier one.
    deepEqual(first!.toSpliced(6, 1), without!.toSpliced(6, 1));
  },

  "the figures are right each time that the same statements come": async ({ db }) => {
    await db.execAll("CREATE TABLE t (a)", "CREATE TABLE u (n)", "INSERT INTO u VALUES (0)");
    for (let round = 0; round < 5; round++) {
      const steps = [exec("INSERT INTO t VALUES (1), (2)"), query("SELECT n FROM u"), exec("UPDATE t SET a = a + 1")];
      const last = 2 * (round + 1);
      for (const replayed of [undefined, true]) {
        const result = await db.transaction(steps, key(`round ${round}`));
        equal(result.replayed, replayed);
        deepEqual(result.steps.map((step) => step.kind === "exec" && step.result), [
          { rowsAffected: 2, lastInsertId: last },
          false,
          { rowsAffected: last, lastInsertId: 0 },
        ]);
      }
      // Nor does anything come between the statements of a request without a key.
      await db.transaction([exec("UPDATE t SET a = 0"), exec("UPDATE u SET n = changes()")]);
      deepEqual(await db.rows("SELECT n FROM u"), [[last]]);
    }
  },

  "a request that failed may be repeated with its key, and is then applied": async ({ db }) => {
    await db.execAll(TABLE, "INSERT INTO t (a) VALUES ('taken')");
    const insert = () => db.exec("INSERT INTO t (a) VALUES ('taken')", [], key("k"));
    await rejects(insert(), is("CONSTRAINT_FAILED"));
    await rejects(insert(), is("CONSTRAINT_FAILED"));
    await rejects(db.exec("INSERT INTO missing VALUES (1)", [], key("m")), is("SQL_INVALID", "no such table: missing"));
    await db.exec("DELETE FROM t");
    deepEqual(await insert(), { rowsAffected: 1, lastInsertId: 1 });
    equal((await insert()).replayed, true);
    equal((await db.exec("INSERT INTO t (a) VALUES ('new')", [], key("m"))).replayed, undefined);
  },

  "a failing transaction names the step of the client, and records nothing": async ({ db }) => {
    await db.exec(TABLE);
    const steps = [exec("INSERT INTO t (a) VALUES ('x')"), query("SELECT 1"), exec("INSERT INTO t (a) VALUES ('x')")];
    await rejects(db.transaction(steps, key("k")), (error: GatewayError) => {
      is("CONSTRAINT_FAILED", "UNIQUE constraint failed: t.a")(error);
      deepEqual(error.extra.details, { step: 2 });
      return true;
    });
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[0]]);
    equal((await db.transaction(steps.slice(0, 2), key("k"))).replayed, undefined);
  },

  "a constraint that is deferred to the end fails the whole, with its key": async ({ db }) => {
    await db.execAll(
      "CREATE TABLE p (id INTEGER PRIMARY KEY)",
      "CREATE TABLE c (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)",
    );
    const steps = [exec("INSERT INTO c VALUES (1)"), exec("DELETE FROM p")];
    await rejects(db.transaction(steps, key("k")), (error: GatewayError) => {
      is("CONSTRAINT_FAILED", "FOREIGN KEY")(error);
      deepEqual(error.extra.details, { step: 1 });
      return true;
    });
    deepEqual(await db.rows("SELECT count(*) FROM c"), [[0]]);
    equal((await db.transaction([exec("INSERT INTO p VALUES (1)")], key("k"))).replayed, undefined);
  },

  "definitions and dropTable() are applied once": async ({ db }) => {
    const create = () => db.exec("CREATE TABLE t (a)", [], key("create"));
    deepEqual(await create(), { rowsAffected: 0, lastInsertId: 0 });
    equal((await create()).replayed, true);
    const drop = () => db.database.dropTable(NAMESPACE, "t", REQUEST, key("drop"));
    equal((await drop()).replayed, undefined);
    equal((await drop()).replayed, true);
    await rejects(db.database.dropTable(NAMESPACE, "t", REQUEST, key("other")), is("NOT_FOUND"));
    equal((await create()).replayed, true);
    deepEqual(await db.database.schema(NAMESPACE, REQUEST), []);
  },

  "what only reads needs no key, and is run each time": async ({ db }) => {
    await db.exec(TABLE);
    const read = () => db.transaction([query("SELECT count(*) AS n FROM t")], key("k"));
    deepEqual((await read()).steps[0]?.result, { columns: ["n"], types: ["integer"], rows: [[0]] });
    await db.exec("INSERT INTO t (a) VALUES (1)", [], key("k"));
    equal((await read()).replayed, undefined);
  },

  "a statement that asks what the connection did last is refused with a key": async ({ db }) => {
    await db.exec(TABLE);
    for (const call of ["last_insert_rowid()", "changes ( )", "TOTAL_CHANGES()", '"changes"()']) {
      const steps = [exec("INSERT INTO t (a) VALUES (1)"), query(`SELECT ${call}`)];
      await rejects(db.transaction(steps, key("k")), (error: GatewayError) => {
        is("SQL_NOT_ALLOWED", "idempotency key")(error);
        deepEqual(error.extra.details, { step: 1 });
        return true;
      });
      await rejects(db.exec(`INSERT INTO t (a) VALUES (${call})`, [], key("k")), is("SQL_NOT_ALLOWED"));
    }
    await db.transaction([exec("INSERT INTO t (a) VALUES (1)"), query("SELECT changes()")]);
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[1]]);
  },

  "while a request runs, its key is in use on this gateway": async ({ db }) => {
    await db.exec(TABLE);
    const insert = () => db.exec("INSERT INTO t (a) VALUES (?)", ["x"], key("k"));
    const first = awaitedLater(insert());
    await rejects(insert(), is("IDEMPOTENCY_KEY_IN_USE"));
    await rejects(db.exec("DELETE FROM t", [], key("k")), is("IDEMPOTENCY_KEY_REUSED"));
    equal((await first).rowsAffected, 1);
    equal((await insert()).replayed, true);
  },

  "on two gateways at once exactly one applies and the other replays, also where nobody has used a key yet": async (
    { db, gateway },
  ) => {
    await db.exec("CREATE TABLE t (a)");
    const gateways = [gateway(), gateway(), gateway(), gateway()];
    for (let round = 0; round < 10; round++) {
      const all = await Promise.all(
        gateways.map((one) => one.exec("INSERT INTO t VALUES (?)", [round], key(`round ${round}`))),
      );
      equal(all.filter(({ replayed }) => !replayed).length, 1, `round ${round}`);
      for (const { rowsAffected, lastInsertId } of all) deepEqual([rowsAffected, lastInsertId], [1, round + 1]);
    }
    deepEqual(await db.rows("SELECT count(*), count(DISTINCT a) FROM t"), [[10, 10]]);
  },

  "an unknown outcome is UNAVAILABLE with a key, and repeating it is safe whatever happened": async ({ db }) => {
    await db.exec(TABLE);
    for (const when of ["before", "after"] as const) {
      const driver = losing(db.driver, when);
      const hurt = new Subject(new SqlDatabase(driver), driver);
      const insert = (options = {}) => hurt.exec("INSERT INTO t (a) VALUES (?)", [when], options);
      driver.lose = true;
      await rejects(insert(key(when)), (error: GatewayError) => {
        is("UNAVAILABLE", "repeat the request with the same idempotency key")(error);
        equal(error.extra.retryAfter, 1);
        return true;
      });
      driver.lose = false;
      const again = await insert(key(when));
      deepEqual([again.rowsAffected, again.replayed], [1, when === "after" ? true : undefined]);
      driver.lose = true;
      await rejects(insert(), is("OUTCOME_UNKNOWN"));
      driver.lose = false;
    }
    deepEqual(await db.rows("SELECT a FROM t ORDER BY a"), [["after"], ["before"]]);
  },

  "keys leave after a day, some at a time, and not before": async ({ db, gateway }) => {
    await db.exec("CREATE TABLE t (a)");
    let now = Date.UTC(2026, 0, 1);
    const clocked = gateway({ now: () => now });
    const insert = (name: string, one = clocked) => one.exec("INSERT INTO t VALUES (1)", [], key(name));
    for (let i = 0; i < 5; i++) await insert(`k${i}`);
    now += 23 * 3_600_000;
    equal((await insert("k0", gateway({ now: () => now }))).replayed, true);
    now += 2 * 3_600_000;
    equal((await insert("k1")).replayed, true, "a key that is still there is still minded");
    // A gateway clears with its first write.
    await insert("late", gateway({ now: () => now }));
    equal((await insert("k1")).replayed, undefined);
    equal((await insert("late")).replayed, true);
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[7]]);
  },

  "a thousand steps are recorded, and purge() forgets all keys": async ({ db }) => {
    await db.exec(TABLE);
    const steps = Array.from({ length: 1_000 }, (_, i) => exec("INSERT INTO t (a) VALUES (?)", `a${i}`));
    equal((await db.transaction(steps, key("k"))).replayed, undefined);
    const { steps: again } = await db.transaction(steps, key("k"));
    deepEqual(again.map((step) => step.kind === "exec" && step.result.lastInsertId), steps.map((_, i) => i + 1));
    await db.database.purge(NAMESPACE, REQUEST.signal);
    await db.exec(TABLE);
    equal((await db.transaction(steps, key("k"))).replayed, undefined);
  },
});
