import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { BulkEvent, BulkLoad } from "../../src/contracts/bulk_loads.ts";
import type { SqlArgument, WriteOptions } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { until } from "../engines/support/wait.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { is, NAMESPACE, REQUEST } from "./sql_databases.ts";
import { onWholeDatabases, type Whole } from "./whole_databases.ts";

type Row = readonly SqlArgument[];

async function* inBatches(rows: Iterable<Row>, size = 1_000): AsyncGenerator<readonly Row[]> {
  let batch: Row[] = [];
  for (const row of rows) {
    if (batch.push(row) < size) continue;
    yield await Promise.resolve(batch);
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

const count = (length: number): Row[] => Array.from({ length }, (_, i) => [i, `name ${i}`]);

/** Loads, and gives the last event. */
async function load(
  { bulk }: Whole,
  rows: Iterable<Row>,
  more: Partial<BulkLoad> = {},
  options: WriteOptions = {},
  signal = REQUEST.signal,
): Promise<BulkEvent & { kind: "done" }> {
  const asked: BulkLoad = { table: "t", onConflict: "abort", rows: inBatches(rows), ...more };
  const events = await Array.fromAsync(bulk.load(NAMESPACE, asked, { ...REQUEST, signal }, options));
  const last = events.at(-1);
  ok(last?.kind === "done");
  return last;
}

const atRow = (row: number | undefined, error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  const details = error.extra.details as { row?: number } | { row?: number }[] | undefined;
  equal(Array.isArray(details) ? details[0]?.row : details?.row, row, error.message);
  return true;
};

/** More than one request takes, where there is a way for it. */
const MANY = 120_000;

onWholeDatabases({
  "rows are stored as single inserts would store them": async (whole) => {
    await whole.db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, r REAL, s TEXT, b BLOB, x)");
    const bytes = new Uint8Array([0, 255]);
    const rows: Row[] = [
      [1, 2n ** 63n - 1n, 1, "it's", bytes, { real: 1 }],
      [2, "12", "1.5", 7, "text", true],
      [3, null, null, "é😀", new Uint8Array(), 0.1],
    ];
    const done = await load(whole, rows);
    deepEqual(done, { kind: "done", rows: 3, rowsAffected: 3, replayed: false });
    deepEqual(await whole.db.rows("SELECT i, typeof(i), typeof(r), s, typeof(b), x, typeof(x) FROM t ORDER BY id"), [
      [2n ** 63n - 1n, "integer", "real", "it's", "blob", 1, "real"],
      [12, "integer", "real", "7", "text", 1, "integer"],
      [null, "null", "null", "é😀", "blob", 0.1, "real"],
    ]);
  },

  "only the columns that are named are given values; names may be anything": async (whole) => {
    await whole.db.exec('CREATE TABLE "we`ird; -- t" (a DEFAULT 7, "col""umn", b)');
    await load(whole, [[1, 2]], { table: "we`ird; -- t", columns: ['col"umn', "b"] });
    deepEqual(await whole.db.rows('SELECT a, "col""umn", b FROM "we`ird; -- t"'), [[7, 1, 2]]);
  },

  "a load without rows does nothing": async (whole) => {
    deepEqual(await load(whole, []), { kind: "done", rows: 0, rowsAffected: 0, replayed: false });
  },

  "a row that a constraint refuses undoes the load, is left out, or takes the place of the other": async (whole) => {
    await whole.db.execAll("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES (2, 'old')");
    const rows: Row[] = [[1, "new"], [2, "new"], [3, "new"]];
    await rejects(load(whole, rows), (error) => is("CONSTRAINT_FAILED", "row 2: UNIQUE")(error) && atRow(2, error));
    deepEqual(await whole.db.rows("SELECT * FROM t"), [[2, "old"]]);
    const ignored = await load(whole, rows, { onConflict: "ignore" });
    deepEqual([ignored.rows, ignored.rowsAffected], [3, 2]);
    deepEqual(await whole.db.rows("SELECT b FROM t ORDER BY a"), [["new"], ["old"], ["new"]]);
    equal((await load(whole, rows, { onConflict: "replace" })).rows, 3);
    deepEqual(await whole.db.rows("SELECT b FROM t ORDER BY a"), [["new"], ["new"], ["new"]]);
  },

  "nothing is left of a load whose last row is refused, however many there were": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b NOT NULL)");
    for (const length of [10, 1_000, 20_000]) {
      const rows = [...count(length - 1), [length, null]];
      await rejects(
        load(whole, rows),
        (error) => is("CONSTRAINT_FAILED", `row ${length}: NOT NULL`)(error) && atRow(length, error),
      );
      deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[0]]);
    }
  },

  "nothing is left of a load whose source breaks off": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a, b)");
    const broken = (async function* () {
      yield* inBatches(count(5_000));
      throw new GatewayError("INVALID_REQUEST", "the body ended before it was complete");
    })();
    await rejects(load(whole, [], { rows: broken }), is("INVALID_REQUEST", "ended before"));
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[0]]);
  },

  "nothing is left of a load whose request is over before it is applied": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a, b)");
    const gone = new AbortController();
    const rows = (async function* () {
      yield* inBatches(count(2_000));
      gone.abort();
    })();
    await rejects(load(whole, [], { rows }, {}, gone.signal), (error) => (error as Error).name === "AbortError");
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[0]]);
  },

  "rows of another width, values that are none, tables and columns that are not there": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a, b)");
    await rejects(
      load(whole, [[1, 2], [1]]),
      (error) => is("INVALID_REQUEST", "row 2: it has 1 values")(error) && atRow(2, error),
    );
    await rejects(
      load(whole, [[1, 2], ["a\0b", 1]]),
      (error) => is("INVALID_REQUEST", "U+0000")(error) && atRow(2, error),
    );
    await rejects(load(whole, [[1, 2n ** 63n]]), is("INVALID_REQUEST", "64 bits"));
    await rejects(load(whole, [[NaN, 1]]), is("INVALID_REQUEST", "finite"));
    await rejects(load(whole, [[]]), is("INVALID_REQUEST", "at least one value"));
    await rejects(load(whole, [[1, 2, 3]]), is("SQL_INVALID", "columns"));
    await rejects(load(whole, [[1]], { columns: ["nope"] }), is("SQL_INVALID", "nope"));
    await rejects(load(whole, [[1]], { table: "nope" }), is("SQL_INVALID", "no such table: nope"));
    await rejects(load(whole, [[1]], { table: "a\0b" }), is("INVALID_REQUEST", "table"));
    await rejects(load(whole, [Array(2_001).fill(1)]), is("INVALID_REQUEST", "2000"));
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[0]]);
  },

  "the gateway's own tables are out of reach": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a)");
    for (const table of ["_orama_idempotency", "_ORAMA_x"]) {
      await rejects(load(whole, [[1]], { table }), is("SQL_NOT_ALLOWED", "_orama_"));
    }
    await rejects(load(whole, [[1]], { columns: ["_orama_a"] }), is("SQL_NOT_ALLOWED"));
    await rejects(
      load(whole, [["x", "CREATE TABLE y (a)"]], { table: "sqlite_schema", columns: ["name", "sql"] }),
      is("SQL_INVALID"),
    );
  },

  "triggers and foreign keys hold": async (whole) => {
    await whole.db.execAll(
      "CREATE TABLE p (id INTEGER PRIMARY KEY)",
      "CREATE TABLE t (p REFERENCES p (id), b)",
      "CREATE TABLE log (n)",
      "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.b); END",
      "INSERT INTO p VALUES (1)",
    );
    await rejects(load(whole, [[1, 1], [2, 2]]), is("CONSTRAINT_FAILED", "FOREIGN KEY"));
    deepEqual(await whole.db.rows("SELECT count(*) FROM log"), [[0]]);
    await load(whole, [[1, 1], [1, 2]]);
    deepEqual(await whole.db.rows("SELECT n FROM log ORDER BY n"), [[1], [2]]);
  },

  "a load with a key is applied once, and answered with the same figures": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    const once = { idempotencyKey: "bulk-1" };
    const first = await load(whole, count(2_500), {}, once);
    const again = await load(whole, count(2_500), {}, once);
    deepEqual([first, again], [
      { kind: "done", rows: 2_500, rowsAffected: 2_500, replayed: false },
      { kind: "done", rows: 2_500, rowsAffected: 2_500, replayed: true },
    ]);
    await rejects(load(whole, count(2_501), {}, once), is("IDEMPOTENCY_KEY_REUSED"));
    await rejects(load(whole, count(2_500), { onConflict: "ignore" }, once), is("IDEMPOTENCY_KEY_REUSED"));
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[2_500]]);
    const failing = { idempotencyKey: "bulk-2" };
    await rejects(load(whole, count(3), {}, failing), is("CONSTRAINT_FAILED"));
    await whole.db.exec("DELETE FROM t");
    equal((await load(whole, count(3), {}, failing)).replayed, false, "what failed is not kept");
  },

  "of two loads with one key at the same time one is applied, and the other is told that it is under way": async (
    whole,
  ) => {
    await whole.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
    const ways = whole.driver === "sqlite" ? [3, 2 * MANY] : [3];
    for (const length of ways) {
      const once = { idempotencyKey: `twice-${length}` };
      const { promise: others, resolve: end } = Promise.withResolvers<void>();
      // A large load has to wait for it, and is under way meanwhile.
      const held = awaitedLater(whole.turns.run(NAMESPACE, () => others));
      const ended: unknown[] = [];
      const loads = [1, 2].map(() =>
        load(whole, count(length), {}, once).then((done) => ended.push(done), (error) => ended.push(error))
      );
      try {
        await until("one of them has ended", () => ended.length > 0);
      } finally {
        end();
      }
      await Promise.all([held, ...loads]);
      const [refused, done] = length > MANY ? ended : ended.toSorted((a) => a instanceof GatewayError ? -1 : 1);
      is("IDEMPOTENCY_KEY_IN_USE")(refused);
      deepEqual(done, { kind: "done", rows: length, rowsAffected: length, replayed: false });
      equal((await load(whole, count(length), {}, once)).replayed, true);
      await whole.db.exec("DELETE FROM t");
    }
  },

  "more rows than the namespace may load are refused with a way out": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a, b)");
    whole.rules = { ...whole.rules, maxBulkRows: 100 };
    await load(whole, count(100));
    await rejects(load(whole, count(101)), is("BODY_TOO_LARGE", "may have 100 rows: send"));
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[100]]);
  },

  "only a few loads of a namespace are taken in at once": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a, b)");
    const endings: (() => void)[] = [];
    const waiting = awaitedLater(Array.from({ length: 4 }, () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      endings.push(resolve);
      const rows = (async function* () {
        yield count(1);
        await promise;
      })();
      return load(whole, [], { rows });
    }));
    await rejects(load(whole, count(1)), is("TOO_MANY_STATEMENTS", "4 loads"));
    endings.forEach((end) => end());
    await Promise.all(waiting);
    await load(whole, count(1));
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[5]]);
  },

  "a load that is too large for one request goes another way, or is refused with a way out": async (whole) => {
    await whole.db.exec("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c BLOB)");
    const row = (i: number): Row => [i, "x".repeat(150), new Uint8Array([0, i & 255])];
    const rows = Array.from({ length: MANY }, (_, i) => row(i));
    if (whole.driver === "rqlite") {
      await rejects(load(whole, rows), is("BODY_TOO_LARGE", "one entry of the cluster's log"));
      return;
    }
    const events = await Array.fromAsync(
      whole.bulk.load(NAMESPACE, { table: "t", onConflict: "abort", rows: inBatches(rows) }, REQUEST, {
        idempotencyKey: "large",
      }),
    );
    deepEqual(events.at(-1), { kind: "done", rows: MANY, rowsAffected: MANY, replayed: false });
    ok(events.length >= MANY / 10_000, String(events.length));
    deepEqual(await whole.db.rows("SELECT count(*), sum(a), sum(length(b)), hex(max(c)) FROM t"), [
      [MANY, MANY * (MANY - 1) / 2, MANY * 150, "00FF"],
    ]);
    const again = await load(whole, rows, {}, { idempotencyKey: "large" });
    deepEqual(again, { kind: "done", rows: MANY, rowsAffected: MANY, replayed: true });
    const last = [...rows.slice(1).map(([a, ...rest]) => [Number(a) + MANY, ...rest] as Row), [5, "", null]] as Row[];
    await rejects(
      load(whole, last),
      (error) => is("CONSTRAINT_FAILED", `row ${MANY}: UNIQUE`)(error) && atRow(MANY, error),
    );
    await rejects(load(whole, rows.map(([a]) => [a] as Row), { columns: ["nope"] }), is("SQL_INVALID", "nope"));
    whole.rules = { ...whole.rules, maxTimeout: 1, timeout: 1 };
    await rejects(load(whole, last), is("STATEMENT_TIMEOUT"));
    whole.rules = { ...whole.rules, maxTimeout: 30_000, maxDatabaseBytes: 1_000_000 };
    await rejects(load(whole, last), is("QUOTA_EXCEEDED"));
    deepEqual([...Deno.readDirSync(`${whole.folder}/rows`)], []);
  },
});
