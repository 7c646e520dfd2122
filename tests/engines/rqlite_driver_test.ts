import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { SqlDatabase } from "../../services/database/database.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { ReadOptions, SqlArgument, TransactionStep } from "../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import type { SqlRules } from "../../src/contracts/settings.ts";
import { engineTest } from "./support/engine_test.ts";
import type { RqliteTestCluster } from "./support/rqlite.ts";
import { until } from "./support/wait.ts";

const never = new AbortController().signal;
const context = (signal = never) => ({ requestId: "test", signal, clientAddress: "" });
const is = (code: ErrorCode) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  return true;
};
const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c";
const exec = (sql: string, ...args: SqlArgument[]): TransactionStep => ({ kind: "exec", sql, args });

/** One gateway's way to a namespace on a real cluster. */
class Gateway implements AsyncDisposable {
  readonly groups: { access: "read" | "write"; statements: number }[] = [];
  readonly stuck: boolean[] = [];
  readonly driver: RqliteDriver;
  readonly db: SqlDatabase;
  rules: SqlRules = DEFAULT_RULES;
  readonly #cluster: RqliteCluster;

  constructor(urls: readonly string[]) {
    this.#cluster = new RqliteCluster({
      name: "one",
      urls,
      onGroup: (access, statements) => this.groups.push({ access, statements }),
      onStuck: (stuck) => this.stuck.push(stuck),
    });
    this.driver = new RqliteDriver({
      clusters: new Map([["one", this.#cluster]]),
      clusterOf: () => Promise.resolve("one"),
      judge: new Judge(),
    });
    this.db = new SqlDatabase(this.driver, { rulesOf: () => this.rules });
  }

  query = (sql: string, args?: SqlArgument[], options?: ReadOptions) =>
    this.db.query("shop", { sql, args: args ?? [] }, context(), options);
  rows = async (sql: string, ...args: SqlArgument[]) => (await this.query(sql, args)).rows;
  exec = (sql: string, ...args: SqlArgument[]) => this.db.execute("shop", { sql, args }, context());
  transaction = (...steps: TransactionStep[]) => this.db.transaction("shop", steps, context());
  [Symbol.asyncDispose] = () => this.db.close();
}

function driverTest(
  name: string,
  run: (gateway: Gateway, cluster: RqliteTestCluster) => Promise<void>,
  nodes: 1 | 3 = 1,
): void {
  engineTest(name, ["rqlited"], async (engines) => {
    const cluster = await engines.rqlite({ nodes });
    await using gateway = new Gateway(cluster.urls);
    await gateway.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE, n INT)");
    await run(gateway, cluster);
  });
}

const settled = <T>(promises: Promise<T>[]) => Promise.allSettled(promises);

driverTest("short statements of different callers go together, and each gets its own answer", async (gateway) => {
  const ids = Array.from({ length: 200 }, (_, i) => i + 1);
  await gateway.exec("INSERT INTO t VALUES (?, ?, 0)", 1_000, "taken");
  gateway.groups.length = 0;
  const inserted = await settled(
    ids.map((id) => gateway.exec("INSERT INTO t VALUES (?, ?, 0)", id, id % 50 ? `v${id}` : "taken")),
  );
  for (const [i, outcome] of inserted.entries()) {
    if ((i + 1) % 50 === 0) {
      ok(outcome.status === "rejected");
      is("CONSTRAINT_FAILED")(outcome.reason);
    } else deepEqual(outcome, { status: "fulfilled", value: { rowsAffected: 1, lastInsertId: i + 1 } });
  }
  const read = await Promise.all(ids.map((id) => gateway.rows("SELECT id, v FROM t WHERE id = ?", id)));
  deepEqual(read, ids.map((id) => id % 50 ? [[id, `v${id}`]] : []));
  const updated = await Promise.all(ids.map((id) => gateway.exec("UPDATE t SET n = n + 1 WHERE id = ?", id)));
  deepEqual(updated.map(({ rowsAffected }) => rowsAffected), ids.map((id) => id % 50 ? 1 : 0));
  const groups = (access: string) => gateway.groups.filter((group) => group.access === access).length;
  ok(groups("write") < 40 && groups("read") < 40, JSON.stringify(gateway.groups));
});

driverTest(
  "a write that rolls back as it fails takes none of those with it that it went together with",
  async (gateway) => {
    await gateway.exec("CREATE TABLE log (v TEXT UNIQUE)");
    await gateway.exec(
      "CREATE TRIGGER no BEFORE INSERT ON log WHEN NEW.v = 'no' BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END",
    );
    await gateway.exec("INSERT INTO log VALUES ('taken')");
    gateway.groups.length = 0;
    const values = Array.from({ length: 60 }, (_, i) => i % 20 === 7 ? "no" : i % 20 === 13 ? "taken" : `v${i}`);
    const outcomes = await settled(values.map((v) => gateway.exec("INSERT OR ROLLBACK INTO log VALUES (?)", v)));
    const inserted = values.filter((_, i) => outcomes[i]!.status === "fulfilled");
    deepEqual(inserted, values.filter((v) => v.startsWith("v")));
    // Nobody waited for one of them to send another, so they have no order.
    const rows = await gateway.rows("SELECT v FROM log WHERE v <> 'taken' ORDER BY v");
    deepEqual(rows, inserted.toSorted().map((v) => [v]));
    ok(gateway.groups.length > 0 && gateway.groups.length < 30, JSON.stringify(gateway.groups));
  },
);

driverTest("statements that may be long, give rows, or ask the connection go alone", async (gateway) => {
  await gateway.exec("INSERT INTO t VALUES (1, 'a', 0)");
  gateway.groups.length = 0;
  deepEqual((await gateway.exec("INSERT INTO t (v) VALUES ('b') RETURNING id, v")).returning?.rows, [[2, "b"]]);
  const upsert = "INSERT INTO t (id, v) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = 7";
  equal((await gateway.exec(upsert, 1, "x")).lastInsertId, 0);
  equal((await gateway.exec(upsert, 9, "y")).lastInsertId, 9);
  await gateway.exec("UPDATE t SET n = 1");
  await gateway.rows("SELECT count(*) FROM t");
  await gateway.rows("SELECT changes()");
  await gateway.exec("INSERT INTO t (id, v) VALUES (?, ?)", { real: 40 }, "real");
  deepEqual(gateway.groups, []);
});

driverTest("one infinite number in a group spoils no other answer", async (gateway) => {
  await gateway.exec("INSERT INTO t VALUES (1, 'a', 0), (2, 'b', 9e999)");
  const read = "SELECT v, n FROM t WHERE id = ?";
  await gateway.query(read, [1]);
  const outcomes = await settled([1, 2, 1, 2].map((id) => gateway.query(read, [id])));
  deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "rejected"]);
  is("SQL_INVALID")((outcomes[1] as PromiseRejectedResult).reason);
});

driverTest(
  "a definition counts for whoever comes next, on this gateway at once and on another within a second",
  async (gateway, { urls }) => {
    await using other = new Gateway(urls);
    const wide = "SELECT * FROM t WHERE id = ?";
    await gateway.exec("INSERT INTO t VALUES (1, 'a', 0)");
    await Promise.all([gateway.query(wide, [1]), other.query(wide, [1])]);
    for (let columns = 4; columns < 14; columns++) {
      await gateway.exec(`ALTER TABLE t ADD COLUMN c${columns}`);
      const results = await Promise.all(Array.from({ length: 20 }, () => gateway.query(wide, [1])));
      deepEqual(new Set(results.map((result) => result.columns.length)), new Set([columns]));
      equal((await other.query(wide, [1])).columns.length, columns);
    }
    const keyed = "SELECT v FROM u WHERE k = ?";
    await gateway.exec("CREATE TABLE u (k INT, v)");
    await gateway.exec("CREATE UNIQUE INDEX uk ON u (k)");
    await other.query(keyed, [1]);
    other.groups.length = 0;
    await other.query(keyed, [1]);
    equal(other.groups.length, 1);
    await gateway.exec("DROP INDEX uk");
    await until("the other gateway knows that it is long now", async () => {
      other.groups.length = 0;
      await other.query(keyed, [1]);
      return other.groups.length === 0;
    });
    await rejects(other.query("SELECT * FROM fresh"), is("SQL_INVALID"));
    await gateway.exec("CREATE TABLE fresh (a)");
    deepEqual((await other.query("SELECT * FROM fresh")).rows, []);
  },
);

driverTest("each level of reading works together and alone, on three nodes", async (gateway) => {
  await gateway.exec("INSERT INTO t VALUES (1, 'a', 0)");
  await until("every node has it", async () => {
    const scan = "SELECT v FROM t WHERE n = 0";
    const reads = await settled(Array.from({ length: 9 }, () => gateway.query(scan, [], { level: "none" })));
    return reads.every((read) => read.status === "fulfilled" && read.value.rows.length === 1);
  });
  for (const level of ["none", "weak", "linearizable", "strong"] as const) {
    const together = await Promise.all(
      Array.from({ length: 5 }, () => gateway.query("SELECT v FROM t WHERE id = ?", [1], { level })),
    );
    for (const { rows, level: at } of together) deepEqual([rows, at], [[["a"]], level]);
    deepEqual((await gateway.query("SELECT v FROM t", [], { level, freshness: 60_000 })).rows, [["a"]]);
  }
}, 3);

driverTest("a statement that runs out of its time is STATEMENT_TIMEOUT soon after, at every level", async (gateway) => {
  for (const level of ["none", "weak", "linearizable"] as const) {
    for (const timeout of [100, 700, 4_500]) {
      const start = performance.now();
      await rejects(gateway.query(ENDLESS, [], { level, timeout }), is("STATEMENT_TIMEOUT"));
      const took = performance.now() - start;
      ok(took >= timeout && took < timeout + 2_000, `${level}: ${took} ms for ${timeout}`);
    }
  }
  await rejects(
    gateway.db.execute("shop", { sql: `INSERT INTO t (n) ${ENDLESS}`, args: [] }, context(), { timeout: 300 }),
    is("STATEMENT_TIMEOUT"),
  );
  const steps = [exec("INSERT INTO t (n) VALUES (1)"), exec(`INSERT INTO t (n) ${ENDLESS}`)];
  await rejects(gateway.db.transaction("shop", steps, context(), { timeout: 300 }), is("STATEMENT_TIMEOUT"));
  deepEqual(await gateway.rows("SELECT count(*) FROM t"), [[0]]);
  await gateway.exec("INSERT INTO t (n) VALUES (2)");
  deepEqual(gateway.stuck, []);
});

driverTest("callers of slow statements do not make others' short reads wait", async (gateway) => {
  await gateway.exec("INSERT INTO t VALUES (1, 'a', 0)");
  await gateway.rows("SELECT v FROM t WHERE id = ?", 1);
  const slow = settled(Array.from({ length: 2 }, () => gateway.query(ENDLESS, [], { timeout: 1_500 })));
  let longest = 0;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    await gateway.rows("SELECT v FROM t WHERE id = ?", 1);
    longest = Math.max(longest, performance.now() - start);
  }
  ok(longest < 1_000, `${longest} ms`);
  await slow;
});

driverTest("whoever goes away takes nobody's statement along", async (gateway) => {
  const insert = (id: number, signal?: AbortSignal) =>
    gateway.db.execute("shop", { sql: "INSERT INTO t (id) VALUES (?)", args: [id] }, context(signal));
  await insert(1_000);
  const leaving = new AbortController();
  const all = settled(Array.from({ length: 40 }, (_, id) => insert(id, id % 2 ? leaving.signal : undefined)));
  leaving.abort();
  const outcomes = await all;
  ok(outcomes.every(({ status }, id) => id % 2 === 1 || status === "fulfilled"));
  const [[stored]] = await gateway.rows("SELECT count(*) FROM t WHERE id < 40 AND id % 2 = 0") as [[number]];
  equal(stored, 20);
});

driverTest("an answer beyond its bounds is RESULT_TOO_LARGE and names the streaming way", async (gateway) => {
  const series = (n: number) =>
    `WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ${n}) SELECT i FROM c`;
  gateway.rules = { ...DEFAULT_RULES, maxRows: 100, maxAnswerBytes: 200_000 };
  equal((await gateway.rows(series(100))).length, 100);
  const tooLarge = (error: unknown) =>
    is("RESULT_TOO_LARGE")(error) && /application\/x-ndjson/.test((error as Error).message);
  await rejects(gateway.rows(series(101)), tooLarge);
  await gateway.exec("INSERT INTO t (id, v) VALUES (1, ?)", "x".repeat(150_000));
  await gateway.exec("INSERT INTO t (id, v) VALUES (2, ?)", "y".repeat(300_000));
  const read = "SELECT v FROM t WHERE id = ?";
  equal(String((await gateway.rows(read, 1))[0]![0]).length, 150_000);
  for (const sql of [read, "SELECT v FROM t WHERE id >= ?"]) await rejects(gateway.rows(sql, 2), tooLarge);
  const stream = await gateway.db.stream("shop", { sql: "SELECT v FROM t WHERE id >= ?", args: [2] }, context());
  const rows = (await Array.fromAsync(stream.batches)).flat();
  equal(String(rows[0]![0]).length, 300_000);
});

driverTest("a database at its bound takes nothing that makes it larger, and everything else", async (gateway) => {
  await gateway.exec("INSERT INTO t (id, v) VALUES (1, ?)", "x".repeat(200_000));
  gateway.rules = { ...DEFAULT_RULES, maxDatabaseBytes: 100_000 };
  const full = is("QUOTA_EXCEEDED");
  await rejects(gateway.exec("INSERT INTO t (id) VALUES (2)"), full);
  await rejects(gateway.exec("UPDATE t SET n = 1 WHERE id = 1"), full);
  await rejects(gateway.exec("CREATE TABLE more (a)"), full);
  await rejects(gateway.transaction(exec("DELETE FROM t"), exec("INSERT INTO t (id) VALUES (2)")), full);
  deepEqual(await gateway.rows("SELECT id FROM t"), [[1]]);
  await gateway.exec("DELETE FROM t WHERE id = 1");
  await until("there is room again", () => gateway.exec("INSERT INTO t (id) VALUES (3)").then(() => true, () => false));
});
