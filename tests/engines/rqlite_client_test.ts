import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { firstFailure, RqliteCluster, type RqliteResult } from "../../services/rqlite/client.ts";
import type { SqlInput, Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const statement = (sql: string, ...args: SqlInput[]): Statement => ({ sql, args });
const code = (expected: string) => (error: unknown) => error instanceof GatewayError && error.code === expected;

/** A test on a new cluster of one node. */
function clusterTest(name: string, run: (cluster: RqliteCluster) => Promise<void>): void {
  engineTest(name, ["rqlited"], async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    const cluster = new RqliteCluster({ name: "test", urls });
    try {
      await run(cluster);
    } finally {
      await cluster.close();
    }
  });
}

async function rowsOf(cluster: RqliteCluster, sql: string) {
  const [result] = await cluster.query([statement(sql)], { level: "strong" });
  if (result?.kind !== "rows") throw new Error(JSON.stringify(result));
  return result.rows;
}

const kinds = (results: readonly RqliteResult[]) => results.map(({ kind }) => kind);

clusterTest(
  "values come back as they went: 64-bit integers, bytes, text with U+0000, flags, large fractions",
  async (cluster) => {
    const values = [
      9007199254740993n,
      -(2n ** 63n),
      1e17,
      0.1,
      new Uint8Array([0, 255, 128]),
      "é\0\u{1F600}'\"",
      true,
      null,
    ];
    await cluster.execute([
      statement("CREATE TABLE t (a INTEGER, b INTEGER, c REAL, d REAL, e BLOB, f TEXT, g BOOLEAN, h TEXT)"),
      statement("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ...values),
    ], { transaction: true });
    deepEqual(await rowsOf(cluster, "SELECT * FROM t"), [values]);
    const [returned] = await cluster.request([statement("DELETE FROM t RETURNING *")], { transaction: false });
    ok(returned?.kind === "rows");
    deepEqual(returned.rows, [values]);
  },
);

clusterTest("RETURNING gives its rows however it is written, in a transaction or not", async (cluster) => {
  await cluster.execute([statement("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT)")], { transaction: false });
  let id = 0;
  for (
    const clause of ["RETURNING id", "returning\nid", 'RETURNING"id"', "RETURNING\tid AS id", "RETURNING/**/id -- end"]
  ) {
    for (const transaction of [true, false]) {
      const insert = statement(`/* RETURNING */ INSERT INTO t (s) VALUES ('returning ' || ?) ${clause};`, clause);
      const [result] = await cluster.request([insert], { transaction });
      deepEqual(result?.kind === "rows" && result.rows, [[++id]], clause);
    }
  }
  equal((await rowsOf(cluster, "SELECT count(*) FROM t"))[0]?.[0], id);
});

clusterTest("a mixed transaction gives each statement its own result", async (cluster) => {
  await cluster.execute([statement("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")], { transaction: false });
  const results = await cluster.request([
    statement("INSERT INTO t (n) VALUES (?), (?)", 1, 2),
    statement("SELECT n FROM t WHERE n > ? ORDER BY n", 0),
    statement("CREATE TABLE u (x)"),
    statement("INSERT INTO u SELECT n FROM t"),
    statement("UPDATE t SET n = n + ? RETURNING n", 10),
    statement("WITH x AS (SELECT 5 AS n) INSERT INTO t (n) SELECT n FROM x"),
    statement("WITH x AS (SELECT count(*) AS n FROM t) SELECT n FROM x"),
    statement("DELETE FROM t WHERE n = ?", 99),
    statement("VALUES (1), (2)"),
    statement("EXPLAIN QUERY PLAN SELECT 1"),
  ], { transaction: true });
  const seen = results.map((result) =>
    result.kind === "rows" ? result.rows : result.kind === "change" && result.rowsAffected
  );
  deepEqual(seen.slice(0, 2), [2, [[1], [2]]]);
  deepEqual(seen.slice(3, 9), [2, [[11], [12]], 1, [[3]], 0, [[1], [2]]]);
  equal(results[9]?.kind, "rows");
  equal(results[0]?.kind === "change" && results[0].lastInsertId, 2);
});

// rqlite itself commits what stands around some of these failures.
const failures: Record<string, Statement> = {
  "a violated constraint": statement("INSERT INTO t (id) VALUES (1)"),
  "a violated constraint with RETURNING": statement("INSERT INTO t (id) VALUES (1) RETURNING id"),
  "a table that is not there": statement("INSERT INTO nowhere VALUES (1)"),
  "a table that is not there, read": statement("SELECT * FROM nowhere"),
  "a table that is not there, with RETURNING": statement("DELETE FROM nowhere RETURNING *"),
  "a column that is not there": statement("UPDATE t SET nothing = 1"),
  "a syntax error": statement("INSERT INTO t VALUES ("),
  "a statement of no known kind": statement("FROBNICATE t"),
  "a read that fails while it runs": statement("SELECT abs(-9223372036854775808)"),
  "a read behind WITH that fails while it runs": statement(
    "WITH x AS (SELECT 1) SELECT abs(-9223372036854775808) FROM x",
  ),
  "a write that fails while it runs": statement("UPDATE t SET id = abs(-9223372036854775808) WHERE id = 1"),
  "too few arguments": statement("INSERT INTO t (id) VALUES (?)"),
  "a constraint checked at the end": statement("INSERT INTO child VALUES (12345)"),
};
const before = {
  "a write": statement("INSERT INTO t (id) VALUES (2)"),
  "a write with RETURNING": statement("INSERT INTO t (id) VALUES (3) RETURNING id"),
  "a read": statement("SELECT count(*) FROM t"),
};
const after = {
  "a write": statement("INSERT INTO t (id) VALUES (4)"),
  "a write with RETURNING": statement("INSERT INTO t (id) VALUES (5) RETURNING id"),
  "a read": statement("SELECT count(*) FROM t"),
};

for (const [failure, failing] of Object.entries(failures)) {
  clusterTest(`a transaction with ${failure} changes nothing, whatever stands around it`, async (cluster) => {
    await cluster.execute([
      statement("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT"),
      statement("CREATE TABLE child (id INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"),
      statement("INSERT INTO t VALUES (1)"),
    ], { transaction: true });
    for (const [first, earlier] of Object.entries(before)) {
      for (const [second, later] of Object.entries(after)) {
        for (const batch of [[earlier, failing, later], [failing, earlier, later], [earlier, later, failing]]) {
          const where = `${first}, ${second}, failing at ${batch.indexOf(failing)}`;
          const results = await cluster.request(batch, { transaction: true });
          deepEqual(kinds(results), ["error", "error", "error"], where);
          const expected = failure === "a constraint checked at the end" ? 2 : batch.indexOf(failing);
          equal(firstFailure(results)?.index, expected, where);
          deepEqual(await rowsOf(cluster, "SELECT id FROM t"), [[1]], where);
        }
      }
    }
    equal((await rowsOf(cluster, "SELECT count(*) FROM child"))[0]?.[0], 0);
  });
}

clusterTest("without transaction a failing statement does not stop the others", async (cluster) => {
  const results = await cluster.execute([
    statement("CREATE TABLE t (id INTEGER PRIMARY KEY)"),
    statement("INSERT INTO t VALUES (1)"),
    statement("INSERT INTO t VALUES (1)"),
    statement("INSERT INTO nowhere VALUES (1)"),
    statement("INSERT INTO t VALUES (2)"),
  ], { transaction: false });
  deepEqual(kinds(results), ["change", "change", "error", "error", "change"]);
});

clusterTest("statements with nothing behind their last semicolon do not hang the node", async (cluster) => {
  for (
    const sql of ["SELECT 1; -- end", "SELECT 1;;", "SELECT 1; /* end", ";SELECT 1 ; \uFEFF ", "-- first\nSELECT 1"]
  ) {
    for (const transaction of [true, false]) {
      deepEqual(kinds(await cluster.request([statement(sql)], { transaction })), ["rows"], sql);
    }
    deepEqual(kinds(await cluster.query([statement(sql)], { level: "none" })), ["rows"], sql);
  }
  for (const sql of ["", " ", ";", "-- nothing", "/* nothing */;", "\uFEFF"]) {
    await rejects(cluster.query([statement(sql)], { level: "none" }), code("SQL_INVALID"));
    await rejects(cluster.request([statement(sql)], { transaction: false }), code("SQL_INVALID"));
  }
});

clusterTest("a statement that runs too long is interrupted and undoes its transaction", async (cluster) => {
  const endless = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
  await cluster.execute([statement("CREATE TABLE t (x)")], { transaction: false });
  const [read] = await cluster.query([statement(endless)], { level: "weak", dbTimeout: 100 });
  deepEqual(read, { kind: "error", error: "query timeout" });
  for (
    const slow of [
      statement(endless),
      statement(`INSERT INTO t ${endless}`),
      statement(`INSERT INTO t ${endless} RETURNING x`),
    ]
  ) {
    const results = await cluster.request([statement("INSERT INTO t VALUES (1)"), slow], {
      transaction: true,
      dbTimeout: 100,
    });
    deepEqual(kinds(results), ["error", "error"], slow.sql);
    ok(/timeout/.test(firstFailure(results)!.error), firstFailure(results)!.error);
    deepEqual(await rowsOf(cluster, "SELECT * FROM t"), []);
  }
});

clusterTest(
  "what rqlite refuses as a whole is an error with a code, and nothing of it reaches the message",
  async (cluster) => {
    const pragma = statement("/* hidden */ PRAGMA journal_mode = DELETE");
    await rejects(cluster.execute([pragma], { transaction: false }), code("SQL_NOT_ALLOWED"));
    await rejects(cluster.query([statement("SELECT 1e999")], { level: "weak" }), code("SQL_INVALID"));
    await rejects(cluster.request([statement("SELECT ?", 2n ** 63n)], { transaction: false }), code("SQL_INVALID"));
    await rejects(cluster.request([statement("SELECT ?", Infinity)], { transaction: false }), code("SQL_INVALID"));
    const clock = statement("INSERT INTO t VALUES (datetime('now')) RETURNING *");
    await rejects(cluster.request([clock], { transaction: true }), code("SQL_NOT_ALLOWED"));
    const [write] = await cluster.query([statement("CREATE TABLE t (x)")], { level: "weak" });
    equal(write?.kind, "error");
  },
);

clusterTest("load() replaces the database by a file, and takes nothing else", async (cluster) => {
  await cluster.execute([statement("CREATE TABLE old (x)")], { transaction: false });
  const path = await Deno.makeTempFile();
  const file = new DatabaseSync(path);
  file.exec("CREATE TABLE fresh (x INTEGER); INSERT INTO fresh VALUES (42)");
  file.close();
  await cluster.load(await Deno.readFile(path));
  deepEqual(await rowsOf(cluster, "SELECT x FROM fresh"), [[42]]);
  deepEqual(await rowsOf(cluster, "SELECT name FROM sqlite_schema"), [["fresh"]]);
  await rejects(cluster.load(new TextEncoder().encode("DROP TABLE fresh")), code("INVALID_REQUEST"));
  deepEqual(await rowsOf(cluster, "SELECT x FROM fresh"), [[42]]);
  await Deno.remove(path);
});

engineTest("credentials are sent, and their lack is UNAVAILABLE at once", ["rqlited"], async (engines) => {
  const user = { username: "gateway", password: "pä:ss wörd" };
  const { urls } = await engines.rqlite({ nodes: 1, user });
  const good = new RqliteCluster({ name: "good", urls, ...user });
  const bad = new RqliteCluster({ name: "bad", urls, ...user, password: "wrong" });
  equal((await good.nodes()).length, 1);
  equal(await good.ready(), true);
  deepEqual(kinds(await good.query([statement("SELECT 1")], { level: "weak" })), ["rows"]);
  const start = performance.now();
  await rejects(bad.query([statement("SELECT 1")], { level: "weak" }), code("UNAVAILABLE"));
  ok(performance.now() - start < 1_000);
  await good.close();
  await bad.close();
});

clusterTest("an exact integer stays exact in a column whose first value is a fraction", async (cluster) => {
  await cluster.execute([
    statement("CREATE TABLE t (a)"),
    statement("INSERT INTO t VALUES (0.5), (416262869082823329)"),
  ], { transaction: true });
  deepEqual(await rowsOf(cluster, "SELECT a FROM t"), [[0.5], [416262869082823329n]]);
});

engineTest(
  "random values of a write are the same on every node, whichever way it was sent",
  ["rqlited"],
  async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 3 });
    const cluster = new RqliteCluster({ name: "test", urls });
    try {
      await cluster.execute([statement("CREATE TABLE t (r)")], { transaction: false });
      const insert = statement("INSERT INTO t VALUES (random())");
      await cluster.execute([insert], { transaction: false });
      await cluster.execute([insert, insert], { transaction: true });
      await cluster.request([statement("INSERT INTO t VALUES (random()) RETURNING rowid")], { transaction: false });
      await cluster.request([insert, statement("SELECT count(*) FROM t"), insert], { transaction: true });
      const expected = JSON.stringify((await rowsOf(cluster, "SELECT r FROM t ORDER BY rowid")).map(String));
      for (const url of urls) {
        await until(`${url} has every row, with the same values`, async () => {
          // Asked of the node itself, past the leader.
          const response = await fetch(
            `${url}/db/query?level=none&q=${encodeURIComponent("SELECT CAST(r AS TEXT) FROM t ORDER BY rowid")}`,
          );
          const { results: [{ values = [] }] } = await response.json() as { results: [{ values?: [string][] }] };
          if (values.length < 6) return false;
          equal(JSON.stringify(values.map(([r]) => r)), expected);
          return true;
        });
      }
    } finally {
      await cluster.close();
    }
  },
);
