import { deepEqual, equal, rejects } from "node:assert/strict";
import type { Expectation, SqlArgument, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { exec, is, onBothDrivers, query, type Subject } from "./sql_databases.ts";

const expecting = (expect: Expectation, sql: string, ...args: SqlArgument[]): TransactionStep => ({
  ...query(sql, ...args),
  expect,
});
const values = (...rows: SqlArgument[][]): Expectation => ({ values: rows });

/** That what a query gives is, or is not, what is expected. */
async function holds(db: Subject, holds: boolean, expect: Expectation, sql: string, ...args: SqlArgument[]) {
  const steps = [expecting(expect, sql, ...args)];
  if (holds) await db.transaction(steps);
  else await rejects(db.transaction(steps), is("PRECONDITION_FAILED"), `${sql} gave what it must not`);
}

/** The error of a transaction, without its sentence. */
const detailsOf = (db: Subject, ...steps: TransactionStep[]) =>
  db.transaction(steps).then(
    () => "done",
    (error: GatewayError) => [error.code, error.extra.details],
  );

onBothDrivers({
  "a precondition that holds lets the transaction pass, and its query answers": async ({ db }) => {
    await db.execAll("CREATE TABLE t (id INTEGER PRIMARY KEY, n BOOLEAN)", "INSERT INTO t VALUES (1, 1), (2, 0)");
    const { steps } = await db.transaction([
      expecting({ rows: 2 }, "SELECT * FROM t"),
      expecting(values([1]), "SELECT n FROM t WHERE id = ?", 1),
      exec("UPDATE t SET n = 0 WHERE id = 1"),
      expecting(values([1, 0], [2, 0]), "SELECT * FROM t ORDER BY id"),
    ]);
    deepEqual(steps.map(({ result }) => result), [
      { columns: ["id", "n"], types: ["integer", "boolean"], rows: [[1, true], [2, false]] },
      { columns: ["n"], types: ["boolean"], rows: [[true]] },
      { rowsAffected: 1, lastInsertId: 0 },
      { columns: ["id", "n"], types: ["integer", "boolean"], rows: [[1, false], [2, false]] },
    ]);
  },

  "one that does not hold undoes everything, and says what it found": async ({ db }) => {
    await db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2), (3)");
    const write = exec("INSERT INTO t VALUES (4)");
    deepEqual(await detailsOf(db, write, expecting({ rows: 3 }, "SELECT a FROM t")), [
      "PRECONDITION_FAILED",
      { step: 1, expected: { rows: 3 }, rows: 4 },
    ]);
    deepEqual(await detailsOf(db, expecting(values([1], [2]), "SELECT a FROM t ORDER BY a"), write), [
      "PRECONDITION_FAILED",
      { step: 0, expected: { values: [[1], [2]] }, rows: 3 },
    ]);
    deepEqual(await detailsOf(db, write, expecting(values([2n ** 63n - 1n]), "SELECT a FROM t LIMIT 1"), write), [
      "PRECONDITION_FAILED",
      { step: 1, expected: { values: [[{ type: "integer", value: "9223372036854775807" }]] }, rows: 1 },
    ]);
    deepEqual(await detailsOf(db, write, expecting(values([1, 2]), "SELECT a FROM t LIMIT 1")), [
      "PRECONDITION_FAILED",
      { step: 1, expected: { values: [[1, 2]] }, columns: 1 },
    ]);
    deepEqual(await detailsOf(db, write, expecting(values([1]), "SELECT a, a FROM t LIMIT 1")), [
      "PRECONDITION_FAILED",
      { step: 1, expected: { values: [[1]] }, columns: 2 },
    ]);
    deepEqual(await db.rows("SELECT count(*) FROM t"), [[3]]);
  },

  "rows are counted": async ({ db }) => {
    await db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (1), (NULL)");
    for (
      const [sql, rows] of [["SELECT a FROM t", 3], ["SELECT DISTINCT a FROM t", 2], ["SELECT 1 WHERE 0", 0]] as const
    ) {
      for (let n = 0; n < 5; n++) await holds(db, n === rows, { rows: n }, sql);
      await holds(db, rows === 0, values(), sql);
    }
    await holds(db, true, { rows: 2 }, "SELECT a FROM t WHERE a = ? LIMIT ?", 1, 5);
    await holds(db, true, { rows: 2 }, "SELECT a, a, 1 AS a FROM t WHERE a");
  },

  "values are compared as IS does, with every kind of value": async ({ db }) => {
    const blob = new Uint8Array([0, 255, 39]);
    const big = 2n ** 63n - 1n;
    for (
      const [sql, right, wrong] of [
        ["SELECT NULL", [null], [0, "", false, new Uint8Array()]],
        ["SELECT 1", [1, true, { real: 1 }], [null, "1", 2, 1.5]],
        ["SELECT 1.5", [1.5, { real: 1.5 }], [1, "1.5"]],
        ["SELECT 9223372036854775807", [big], [big - 1n, 2 ** 63, { real: 2 ** 63 }, "9223372036854775807"]],
        ["SELECT 9007199254740993", [9007199254740993n], [9007199254740992n, { real: 9007199254740992 }]],
        ["SELECT -9223372036854775807 - 1", [-(2n ** 63n)], [0]],
        ["SELECT 'é😀'''", ["é😀'"], ["é😀", blob]],
        ["SELECT x'00ff27'", [blob], [new Uint8Array([0, 255]), "\ufffd"]],
        ["SELECT ''", [""], [null, 0, new Uint8Array()]],
      ] as [string, SqlArgument[], SqlArgument[]][]
    ) {
      for (const value of right) await holds(db, true, values([value]), sql);
      for (const value of wrong) await holds(db, false, values([value]), sql);
    }
  },

  "a column compares with its own affinity and collation, as it does elsewhere in SQL": async ({ db }) => {
    await db.execAll(
      "CREATE TABLE t (a TEXT, b TEXT COLLATE NOCASE, c INTEGER)",
      "INSERT INTO t VALUES ('1', 'Ab', 7)",
    );
    await holds(db, true, values([1, "aB", "7"]), "SELECT a, b, c FROM t WHERE a IS 1 AND b IS 'aB' AND c IS '7'");
    await holds(db, true, { rows: 0 }, "SELECT 1 FROM t WHERE +a IS 1 OR b || '' IS 'aB' OR +c IS '7'");
    await holds(db, false, values([1]), "SELECT +a FROM t");
    await holds(db, false, values(["aB"]), "SELECT b || '' FROM t");
  },

  "the order counts": async ({ db }) => {
    await db.execAll("CREATE TABLE t (a, b)", "INSERT INTO t VALUES (3, 1), (1, 3), (2, 2)");
    await holds(db, true, values([3], [2], [1]), "SELECT a FROM t ORDER BY a DESC");
    await holds(db, true, values([3], [1], [2]), "SELECT a FROM t ORDER BY b % 2 DESC, b");
    await holds(db, false, values([1], [2], [3]), "SELECT a FROM t ORDER BY a DESC");
    await holds(db, true, values([2], [3]), "SELECT a FROM t ORDER BY a LIMIT 2 OFFSET 1");
    await holds(db, true, values([3], [2], [1]), "WITH x AS (SELECT a FROM t) SELECT a FROM x ORDER BY 1 DESC");
    await holds(db, true, values([1], [2], [3]), "SELECT a FROM t UNION SELECT b FROM t ORDER BY 1");
    await holds(db, true, values([1, 2], [3, 4]), "VALUES (1, 2), (3, 4)");
    const many = Array.from({ length: 1_000 }, (_, i) => [i, `v${i}`]);
    const counting = "WITH RECURSIVE c (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 999) ";
    await holds(db, true, { values: many }, `${counting} SELECT i, 'v' || i FROM c ORDER BY i`);
    await holds(db, false, { values: many.with(500, [500, "w"]) }, `${counting} SELECT i, 'v' || i FROM c ORDER BY i`);
    const wide = Array.from({ length: 1_000 }, (_, i) => i);
    await holds(db, true, values(wide), `SELECT ${wide.join()}`);
    await holds(db, false, values(wide.with(999, 0)), `SELECT ${wide.join()}`);
  },

  "a mistake of the client's own is no failed precondition": async ({ db }) => {
    await db.exec("CREATE TABLE t (a)");
    const mistakes: [string, RegExp][] = [
      ["SELECT json('x')", /malformed JSON/],
      ["SELECT json_extract('{}', 'expected:1')", /JSON path/],
      ["SELECT json_extract('{}', 'expected_00000000000000000000000000000000:1')", /JSON path/],
      ["WITH got (a) AS (SELECT 1, 2) SELECT * FROM got", /has 2 values for 1 columns/],
      ["SELECT absent FROM t", /no such column: absent/],
      ["SELECT abs(-9223372036854775807 - 1)", /integer overflow/],
      ["SELECT 1) UNION SELECT (2", /syntax error|near/],
      ["SELECT 1) AS x, (SELECT 2", /syntax error|near/],
    ];
    for (const [sql, sentence] of mistakes) {
      for (const expect of [{ rows: 1 }, values([1])]) {
        await rejects(db.transaction([expecting(expect, sql)]), is("SQL_INVALID", sentence), sql);
      }
    }
  },

  "an expectation that makes no sense is refused": async ({ db }) => {
    const refused: [TransactionStep, RegExp][] = [
      [{ ...exec("SELECT 1"), expect: { rows: 1 } }, /expect belongs to a query/],
      [expecting(values([1], [1, 2]), "SELECT 1"), /as many values/],
      [expecting(values([]), "SELECT 1"), /at least one value/],
      [expecting({ rows: 1 }, "EXPLAIN SELECT 1"), /SELECT or VALUES/],
      [expecting({ rows: 1 }, "PRAGMA table_info(t)"), /SELECT or VALUES/],
      [expecting({ values: Array.from({ length: 40_000 }, () => [1]) }, "SELECT 1"), /more than/],
    ];
    for (const [step, sentence] of refused) {
      await rejects(db.transaction([query("SELECT 1"), step]), (error: GatewayError) => {
        is("INVALID_REQUEST", sentence)(error);
        deepEqual(error.extra.details, { step: 1 });
        return true;
      });
    }
  },

  "with an idempotency key a failed precondition is not kept, and one that held is not asked again": async ({ db }) => {
    await db.execAll("CREATE TABLE t (id INTEGER PRIMARY KEY, n)", "INSERT INTO t VALUES (1, 0)");
    const steps = (n: number) => [
      expecting(values([n]), "SELECT n FROM t WHERE id = 1"),
      exec("UPDATE t SET n = n + 1 WHERE id = 1"),
    ];
    const key = { idempotencyKey: "k" };
    await rejects(db.transaction(steps(1), key), is("PRECONDITION_FAILED"));
    await db.transaction(steps(0));
    equal((await db.transaction(steps(1), key)).replayed, undefined);
    equal((await db.transaction(steps(1), key)).replayed, true);
    await rejects(db.transaction(steps(2), key), is("IDEMPOTENCY_KEY_REUSED"));
    deepEqual(await db.rows("SELECT n FROM t"), [[2]]);
  },

  "compare and set: of many writers one wins each round": async ({ db, gateway }) => {
    await db.execAll("CREATE TABLE t (id INTEGER PRIMARY KEY, n, by)", "INSERT INTO t VALUES (1, 0, NULL)");
    const gateways = [db, gateway()];
    for (let round = 0; round < 10; round++) {
      const all = await Promise.allSettled(
        Array.from({ length: 20 }, (_, writer) =>
          gateways[writer % 2]!.transaction([
            expecting(values([round]), "SELECT n FROM t WHERE id = 1"),
            exec("UPDATE t SET n = n + 1, by = ? WHERE id = 1", writer),
          ])),
      );
      equal(all.filter(({ status }) => status === "fulfilled").length, 1);
      for (const one of all) if (one.status === "rejected") is("PRECONDITION_FAILED")(one.reason);
    }
    deepEqual(await db.rows("SELECT n FROM t"), [[10]]);
  },
});
