import { deepEqual, equal, rejects } from "node:assert/strict";
import { type Change, OramaError, quoteName, type ReadLevel, type RowChange } from "../../../src/client/index.ts";
import { databaseOf, type Target } from "./scenarios.ts";

const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;
const COUNT = (n: number) =>
  `WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${n}) SELECT n FROM c`;

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

/** Reads until the rows are there: any node may answer level `none`, and may not have heard of them yet, nor of their table. */
async function caughtUp<T>(read: () => Promise<T>, expected: T): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      return deepEqual(await read(), expected, "none");
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What an application asks for beyond plain statements. Runs on Deno and on Node. */
export const OPTION_SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  async "every level of reading is taken, with a freshness and a time of its own"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE levels (n INTEGER)");
    await db.exec("INSERT INTO levels VALUES (1)");
    const none = { level: "none", freshness: "2s", timeout: 5_000 } as const;
    await caughtUp(() => db.query("SELECT n FROM levels", [], none), [{ n: 1 }]);
    await caughtUp(() => db.find("levels", {}, none), [{ n: 1 }]);
    await caughtUp(() => db.select("n").from("levels").getOne(none), { n: 1 });
    for (const level of ["weak", "linearizable", "strong"] satisfies ReadLevel[]) {
      const options = { level, timeout: 5_000 };
      deepEqual(await db.query("SELECT n FROM levels", [], options), [{ n: 1 }], level);
      deepEqual(await db.find("levels", {}, options), [{ n: 1 }], level);
      deepEqual(await db.select("n").from("levels").getOne(options), { n: 1 }, level);
    }
    const [{ rows }] = await db.batch<[{ n: number }]>(["SELECT n FROM levels"], { level: "strong" });
    deepEqual(rows, [{ n: 1 }]);
    await rejects(db.query("SELECT 1", [], { level: "most" as never }), withCode("INVALID_REQUEST"));
  },

  async "a write with a key happens once, however often it is sent"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE once (id INTEGER PRIMARY KEY, n INTEGER)");
    const insert = () => db.exec("INSERT INTO once (n) VALUES (1) RETURNING id", [], { idempotencyKey: "order-1" });
    const first = await insert(), second = await insert();
    deepEqual([first.replayed, first.rows, first.lastInsertId], [false, [{ id: 1 }], 1]);
    deepEqual([second.replayed, second.rows, second.lastInsertId], [true, [], 1]);
    const batch = () =>
      db.batch(["INSERT INTO once (n) VALUES (2)", "SELECT n FROM once"], { idempotencyKey: "batch-1" });
    deepEqual((await batch()).map(({ replayed, rows }) => [replayed, rows.length]), [[false, 0], [false, 2]]);
    deepEqual((await batch()).map(({ replayed, rows }) => [replayed, rows.length]), [[true, 0], [true, 0]]);
    await rejects(
      db.exec("INSERT INTO once (n) VALUES (9)", [], { idempotencyKey: "order-1" }),
      withCode("IDEMPOTENCY_KEY_REUSED"),
    );
    equal((await db.find("once")).length, 2);
    await db.exec("INSERT INTO once (n) VALUES (3)", [], { idempotencyKey: true });
    await db.exec("INSERT INTO once (n) VALUES (3)", [], { idempotencyKey: true });
    equal((await db.find("once")).length, 4);
  },

  async "a repository saves once under a key, and gives the row either way"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE saved (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 5)");
    const saved = db.repository<{ id: number; n: number }, "id">("saved", { primaryKey: "id" });
    for (let time = 0; time < 2; time++) {
      deepEqual(await saved.save({}, { idempotencyKey: "new" }), { id: 1, n: time === 0 ? 5 : 6 });
      deepEqual(await saved.save({ id: 1, n: 6 }, { idempotencyKey: "change" }), { id: 1, n: 6 });
    }
    equal(await saved.count(), 1);
  },

  async "a batch that expects something else than there is does nothing"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE seats (id INTEGER PRIMARY KEY, owner TEXT, big INTEGER)");
    await db.exec("INSERT INTO seats VALUES (1, NULL, ?)", [9007199254740993n]);
    const take = (owner: string) =>
      db.batch([
        { sql: "SELECT owner, big FROM seats WHERE id = 1", expect: { values: [[null, 9007199254740993n]] } },
        { sql: "UPDATE seats SET owner = ? WHERE id = 1", args: [owner] },
      ]);
    const [seen, changed] = await take("Ada");
    deepEqual([seen?.rows, changed?.rowsAffected], [[{ owner: null, big: 9007199254740993n }], 1]);
    await rejects(
      take("Bob"),
      (error) => withCode("PRECONDITION_FAILED")(error) && (error as OramaError).status === 412,
    );
    const none = { sql: "SELECT 1 FROM seats WHERE owner = 'Eve'", expect: { rows: 0 } };
    await db.batch([none, "INSERT INTO seats VALUES (2, 'Eve', 0)"]);
    await rejects(db.batch([none, "INSERT INTO seats VALUES (3, 'Eve', 0)"]), withCode("PRECONDITION_FAILED"));
    deepEqual((await db.find("seats")).map(({ owner }) => owner), ["Ada", "Eve"]);
  },

  async "rows are streamed: all of them, some of them, and those of find and the builder"(target) {
    const db = databaseOf(target);
    let sum = 0;
    for await (const { n } of db.stream<{ n: number }>(COUNT(20_000))) sum += n;
    equal(sum, 200_010_000);
    for await (const { n } of db.stream<{ n: number }>(COUNT(200_000))) if (n === 10) break;
    deepEqual(await collect(db.stream("SELECT 1 WHERE 0")), []);
    await db.createTable("CREATE TABLE streamed (id INTEGER PRIMARY KEY, data BLOB)");
    await db.exec("INSERT INTO streamed VALUES (?, ?), (2, NULL)", [9007199254740993n, new Uint8Array([0, 255])]);
    const rows = await collect(
      db.select().from("streamed").orderBy("id DESC").stream({ blobs: ["data"], integers: "bigint" }),
    );
    deepEqual(rows, [{ id: 9007199254740993n, data: new Uint8Array([0, 255]) }, { id: 2n, data: null }]);
    await rejects(collect(db.stream("SELEC")), withCode("SQL_INVALID"));
    await rejects(collect(db.stream("DELETE FROM streamed")), withCode("SQL_NOT_ALLOWED"));
    equal((await db.find("streamed")).length, 2);
  },

  async "many rows are loaded at once, or none of them"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE loaded (id INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB)");
    const rows = Array.from(
      { length: 3_000 },
      (_, at) => ({ id: at + 1, name: `n${at}`, data: new Uint8Array([at % 256]) }),
    );
    const load = () => db.bulk("loaded", rows, { idempotencyKey: "load-1" });
    deepEqual(await load(), { rows: 3_000, rowsAffected: 3_000, replayed: false });
    deepEqual(await load(), { rows: 3_000, rowsAffected: 3_000, replayed: true });
    const refused = db.bulk("loaded", [[9_001, "a", null], [1, "b", null]], { columns: ["id", "name", "data"] });
    await rejects(refused, withCode("CONSTRAINT_FAILED"));
    const ignoring = await db.bulk("loaded", [{ id: 1, name: "c" }, { id: 2n ** 60n, name: "d" }], {
      onConflict: "ignore",
    });
    deepEqual(ignoring, { rows: 2, rowsAffected: 1, replayed: false });
    deepEqual(await db.query("SELECT count(*) AS n, max(id) AS last FROM loaded"), [{ n: 3_001, last: 2n ** 60n }]);
  },

  async "changes are told as they are committed, and from where one left"(target) {
    const db = databaseOf(target);
    const name = 'odd "name", with a comma';
    await db.createTable(`CREATE TABLE ${quoteName(name)} (id INTEGER PRIMARY KEY, data BLOB)`);
    await db.enableChanges(name);
    let onReady = () => {};
    const ready = new Promise<void>((resolve) => onReady = resolve);
    const listening = (async () => {
      const seen: Change[] = [];
      for await (const change of db.changes([name], { blobs: ["data"], onReady })) {
        if (seen.push(change) === 3) break;
      }
      return seen;
    })();
    await Promise.race([ready, listening]);
    const data = new Uint8Array([0, 255]), id = 9007199254740993n;
    await db.exec(`INSERT INTO ${quoteName(name)} VALUES (?, ?)`, [id, data]);
    await db.exec(`UPDATE ${quoteName(name)} SET data = NULL`);
    await db.exec(`DELETE FROM ${quoteName(name)}`);
    const seen = await listening as RowChange[];
    deepEqual(seen.map(({ event, key, before, after }) => ({ event, key, before, after })), [
      { event: "insert", key: { id }, before: null, after: { id, data } },
      { event: "update", key: { id }, before: { id, data }, after: { id, data: null } },
      { event: "delete", key: { id }, before: { id, data: null }, after: null },
    ]);
    for await (const change of db.changes([name], { since: seen[1]!.id })) {
      equal(change.id, seen[2]!.id);
      break;
    }
    await db.disableChanges(name);
    await rejects(collect(db.changes([name])), withCode("NOT_FOUND"));
  },

  async "a statement ends in its own time"(target) {
    const db = databaseOf(target);
    const endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c";
    await rejects(db.query(endless, [], { timeout: 100, requestTimeout: 10_000 }), withCode("STATEMENT_TIMEOUT"));
  },
};
