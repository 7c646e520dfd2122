import { deepEqual, equal, ok } from "node:assert/strict";
import type { Answer } from "../support/client.ts";
import { SqlCaller } from "../support/sql.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import { sqlIn, timedGateway } from "./support/timed_gateway.ts";
import { until } from "./support/wait.ts";

/** Milliseconds that every statement of these namespaces has. */
const TIMEOUT = 500;
/** Milliseconds after which an answer does not count as one: each of a few statements took its time on a busy machine. */
const GRACE = 10_000;

const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) AS m FROM c";
const WRITE = `INSERT INTO t (v) ${ENDLESS}`;
const write = { kind: "exec", sql: WRITE };
const read = { kind: "query", sql: "SELECT m FROM endless" };
const recursive = { kind: "query", sql: ENDLESS };
const note = { kind: "exec", sql: "INSERT INTO t (v) VALUES ('undone')" };
const HUGE = "SELECT length(randomblob(1000000000))";

/** What is sent, and the statuses and codes that may come of it, as `status CODE`. */
type Case = readonly [name: string, send: (sql: SqlCaller) => Promise<Answer | readonly Answer[]>, expected: RegExp];

const LATE = /^422 STATEMENT_TIMEOUT$/;
const TOO_LARGE = /^413 RESULT_TOO_LARGE$/;
/** Taken, or refused with a reason: the engine's own bounds decide. */
const BOUNDED = /^(200|400 \w+|413 \w+)$/;

const CASES: readonly Case[] = [
  ["two endless writes at once", (sql) => Promise.all([sql.exec(WRITE), sql.exec(WRITE)]), LATE],
  ["many endless writes at once", (sql) => Promise.all(Array.from({ length: 8 }, () => sql.exec(WRITE))), LATE],
  ["two endless reads at once", (sql) => Promise.all([sql.query(ENDLESS), sql.query(ENDLESS)]), LATE],
  ["an endless read at level strong", (sql) => sql.call("query", { sql: ENDLESS, level: "strong" }), LATE],
  ["an endless write with a key", (sql) => sql.once("endless", "exec", { sql: WRITE }), LATE],
  ["an endless write whose time is a moment", (sql) => sql.call("exec", { sql: WRITE, timeout: 1 }), LATE],
  ["an endless read whose time is a moment", (sql) => sql.call("query", { sql: ENDLESS, timeout: "1ms" }), LATE],
  ["two endless writes in a transaction", (sql) => sql.call("transaction", { ops: [note, write, write] }), LATE],
  ["two endless reads in a transaction", (sql) => sql.call("transaction", { ops: [read, read] }), LATE],
  ["the same by WITH", (sql) => sql.call("transaction", { ops: [recursive, recursive] }), LATE],
  ["endless reads and writes in a transaction", (sql) => sql.call("transaction", { ops: [read, write, read] }), LATE],
  [
    "an endless query with expect",
    (sql) =>
      Promise.all(
        [{ rows: 1 }, { values: [[1]] }].map((expect) =>
          sql.call("transaction", { ops: [note, { ...read, expect }, note] })
        ),
      ),
    LATE,
  ],
  ["endless rows of a stream", (sql) => sql.call("query", { sql: ENDLESS }, { accept: "application/x-ndjson" }), LATE],
  ["a table with an endless trigger", (sql) => sql.exec("INSERT INTO trap VALUES (1)"), LATE],
  ["a load into a table with an endless trigger", (sql) => sql.call("bulk", { table: "trap", rows: [[1], [2]] }), LATE],
  [
    "a cartesian join with a sort",
    (sql) => sql.query("SELECT a.v FROM big a, big b, big c ORDER BY a.v || b.v || c.v, random()"),
    LATE,
  ],
  ["a group_concat without end", (sql) => sql.query(ENDLESS.replace("max(i)", "length(group_concat(i))")), LATE],
  ["as many parameters as there may be", (sql) => parameters(sql, 32_766), BOUNDED],
  ["more parameters than there may be", (sql) => parameters(sql, 40_000), /^400 /],
  ["a literal of 900 kB", (sql) => sql.exec(`INSERT INTO t (v) VALUES ('${"x".repeat(900_000)}')`), BOUNDED],
  ["a literal of 3 MB", (sql) => sql.exec(`INSERT INTO t (v) VALUES ('${"x".repeat(3_000_000)}')`), /^(400|413) /],
  ["a value of a gigabyte", (sql) => Promise.all([sql.query(HUGE), sql.exec(`INSERT INTO t (v) ${HUGE}`)]), TOO_LARGE],
  [
    "a value of a gigabyte in a transaction",
    (sql) => sql.call("transaction", { ops: [note, { kind: "exec", sql: `INSERT INTO t (v) ${HUGE}` }] }),
    TOO_LARGE,
  ],
];

function parameters(sql: SqlCaller, count: number): Promise<Answer> {
  const args = Array.from({ length: count }, (_, i) => i);
  return sql.query(`SELECT 1 WHERE 5 IN (${args.map(() => "?").join()})`, ...args);
}

const inWords = ({ status, text }: Answer) => status === 200 ? "200" : `${status} ${JSON.parse(text).code}`;

engineTest(
  "hostile statements end in time, harm no other namespace, and leave nothing behind, also after a restart",
  ["rqlited"],
  async (engines) => {
    const clusters = await Promise.all([1, 2, 3].map(() => engines.rqlite({ nodes: 1 })));
    const [control, ...tenants] = clusters as [typeof clusters[0], ...typeof clusters];
    await using database = await databaseOn(control, tenants);
    await using gateway = await timedGateway(database, TIMEOUT);
    const sql = await sqlIn(gateway, "hostile"), neighbour = await sqlIn(gateway, "neighbour");
    await neighbour.run("CREATE TABLE n (id INTEGER PRIMARY KEY)");
    await sql.run(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
      "CREATE TABLE kept (id INTEGER PRIMARY KEY)",
      "CREATE TABLE sink (m)",
      "CREATE TABLE trap (id INTEGER)",
      "CREATE TABLE big (v TEXT)",
      `CREATE VIEW endless AS ${ENDLESS}`,
      "CREATE TRIGGER trapped AFTER INSERT ON trap BEGIN INSERT INTO sink SELECT m FROM endless; END",
      "INSERT INTO big WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 2000) SELECT hex(i) FROM c",
    );

    let kept = 0;
    for (const [name, send, expected] of CASES) {
      const start = performance.now();
      const answers = [await send(sql)].flat();
      ok(performance.now() - start < TIMEOUT * answers.length + GRACE, `${name}: ${performance.now() - start} ms`);
      for (const answer of answers) ok(expected.test(inWords(answer)), `${name}: ${answer.text.slice(0, 300)}`);
      (await neighbour.exec("INSERT INTO n VALUES (NULL)")).expect(200);
      equal((await neighbour.rows("SELECT count(*) AS n FROM n")).length, 1, name);
      ok((await sql.exec("INSERT INTO kept VALUES (NULL)")).status === 200, `the write after ${name}`);
      kept++;
    }
    const left = "SELECT (SELECT count(*) FROM t WHERE length(v) < 100) + (SELECT count(*) FROM trap) + count(*) AS n";
    deepEqual(await sql.rows(`${left} FROM sink`), [{ n: 0 }]);
    ok(!/does not come back/.test(gateway.log()), "no cluster was taken for one that hangs");

    // The log has every write that was interrupted, and runs each of them again.
    await Promise.all(tenants.map(async ({ nodes: [node] }) => {
      await node!.kill();
      await node!.start();
    }));
    const outcomes = new Set<string>();
    let unknown = 0;
    await until("writes come back", async () => {
      const outcome = inWords(await sql.exec("INSERT INTO kept VALUES (NULL)"));
      outcomes.add(outcome);
      if (outcome === "409 OUTCOME_UNKNOWN") unknown++;
      return outcome === "200";
    }, 120_000);
    kept++;
    outcomes.delete("200");
    deepEqual([...outcomes].filter((one) => !/^(409 OUTCOME_UNKNOWN|503 UNAVAILABLE)$/.test(one)), []);
    await until(
      "the neighbour writes too",
      async () => (await neighbour.exec("INSERT INTO n VALUES (NULL)")).status === 200,
    );
    const [{ n }] = await sql.rows("SELECT count(*) AS n FROM kept") as [{ n: number }];
    ok(n >= kept && n <= kept + unknown, `${n} rows of ${kept} that were confirmed and ${unknown} that may be there`);
    deepEqual(await sql.rows(`${left} FROM sink`), [{ n: 0 }]);
    (await sql.exec("INSERT INTO kept VALUES (NULL)")).expect(200);
  },
);
