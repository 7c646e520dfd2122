import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { MAX_SQL_LENGTH } from "../../../services/database/gate/gate.ts";
import { Judge, NoJudge, NoJudgement } from "../../../services/database/rqlite/judge.ts";
import { JudgeMirrors } from "../../../services/database/rqlite/judge_host.ts";
import { JudgeMirror } from "../../../services/database/rqlite/judge_mirror.ts";
import type { JudgeItem, SchemaObjectText } from "../../../services/database/rqlite/judge_protocol.ts";
import { awaitedLater } from "../../support/awaited_later.ts";

const objects = (...sqls: string[]): SchemaObjectText[] =>
  sqls.map((sql) => ({
    type: /^create (?:unique |virtual )?(\w+)/i.exec(sql)![1]!.toLowerCase(),
    name: /(?:table|index|view|trigger) (\w+)/i.exec(sql)![1]!,
    sql,
  }));
const SCHEMA = objects(
  "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, n INT)",
  "CREATE TABLE u (t_id INT REFERENCES t (id))",
  "CREATE VIEW v AS SELECT id, name FROM t",
  "CREATE TABLE _orama_own (x)",
  "CREATE VIRTUAL TABLE f USING fts5 (x)",
);
const reads = (sql: string): JudgeItem => ({ sql, access: "read" });
const writes = (sql: string): JudgeItem => ({ sql, access: "write" });
const defines = (sql: string): JudgeItem => ({ sql, access: "definition" });
const one = (item: JudgeItem, schema = SCHEMA) => {
  const mirror = new JudgeMirror(schema);
  try {
    return mirror.judge([item], false)[0]!;
  } finally {
    mirror.close();
  }
};

/** A statement that takes longer to compile than anybody waits: each level doubles the one inside. */
const endless = (salt = 0) => {
  let sql = `SELECT ${salt} AS a`;
  for (let i = 0; i < 27; i++) sql = `SELECT a + a AS a FROM (${sql})`;
  return sql;
};

Deno.test("the mirror tells short statements from those that may be long", () => {
  deepEqual(one(reads("SELECT * FROM t WHERE id = ?")), { is: "good", short: true });
  deepEqual(one(reads("SELECT name FROM v WHERE id = ?")), { is: "good", short: true });
  deepEqual(one(reads("SELECT * FROM t WHERE n = ?")), { is: "good", short: false });
  deepEqual(one(writes("INSERT INTO t (name) VALUES (?)")), { is: "good", short: true });
  deepEqual(one(writes("DELETE FROM t WHERE id = ?")), { is: "good", short: false }, "u has no index");
  deepEqual(one(defines("CREATE TABLE x (a)")), { is: "good", short: false });
  deepEqual(one(reads("EXPLAIN DELETE FROM t")), { is: "good", short: false });
  deepEqual(one(reads("PRAGMA table_info(t)")), { is: "good", short: false });
  deepEqual(one(reads("SELECT * FROM f WHERE x MATCH 'a'")), { is: "good", short: false });
});

Deno.test("the mirror finds mistakes with SQLite's own words", () => {
  deepEqual(one(reads("SELECT * FROM missing")), { is: "mistake", sentence: "no such table: missing" });
  deepEqual(one(reads("SELECT x FROM t")), { is: "mistake", sentence: "no such column: x" });
  deepEqual(one(writes("INSERT INTO t VALUES (1)")), {
    is: "mistake",
    sentence: "table t has 3 columns but 1 values were supplied",
  });
  deepEqual(one(reads("SELECT FROM")), { is: "mistake", sentence: 'near "FROM": syntax error' });
});

Deno.test("the mirror takes the longest text that the gate lets pass, whatever its characters", () => {
  const around = "SELECT ''".length;
  deepEqual(one(reads(`SELECT '${"日".repeat(MAX_SQL_LENGTH - around)}'`)), { is: "good", short: true });
});

Deno.test("the mirror refuses what the parser finds, whatever the gate took it for", () => {
  const refused = (item: JudgeItem) => equal(one(item).is, "refused", item.sql);
  for (
    const sql of [
      "ATTACH 'x' AS y",
      "DETACH main",
      "BEGIN",
      "COMMIT",
      "SAVEPOINT x",
      "PRAGMA query_only = ON",
      "PRAGMA journal_mode",
      "PRAGMA writable_schema = 1",
      "PRAGMA hard_heap_limit = 1",
      "SELECT load_extension('x')",
      "SELECT * FROM _orama_own",
      "DROP TABLE _orama_own",
      "CREATE TEMP TABLE x (a)",
      "CREATE VIRTUAL TABLE x USING dbstat",
      "SELECT 1; SELECT 2",
      "SELECT 1; ATTACH 'x' AS y",
    ]
  ) {
    refused(writes(sql));
    refused(reads(sql));
  }
  for (
    const sql of ["INSERT INTO t (n) VALUES (1)", "DELETE FROM t", "CREATE TABLE x (a)", "DROP TABLE t", "REINDEX"]
  ) {
    refused(reads(sql));
  }
});

Deno.test("what this SQLite lacks is unknown, and a schema with it is not complete", () => {
  deepEqual(one(reads("SELECT geopoly_area(1)")), { is: "unknown" });
  deepEqual(one(defines("CREATE VIRTUAL TABLE x USING geopoly (a)")).is, "refused");
  const whole = new JudgeMirror(SCHEMA);
  const part = new JudgeMirror([...SCHEMA, ...objects("CREATE VIRTUAL TABLE g USING geopoly (a)")]);
  deepEqual([whole.complete, part.complete], [true, false]);
  whole.close();
  part.close();
});

Deno.test("the tables behind full-text search come with it", () => {
  const made = new JudgeMirror(objects("CREATE VIRTUAL TABLE f USING fts5 (x)"));
  const stored = new JudgeMirror([
    ...objects("CREATE VIRTUAL TABLE f USING fts5 (x)"),
    { type: "table", name: "f_data", sql: "CREATE TABLE 'f_data'(id INTEGER PRIMARY KEY, block BLOB)" },
    { type: "index", name: "sqlite_autoindex_x_1", sql: null },
  ]);
  deepEqual([made.complete, stored.complete], [true, true]);
  made.close();
  stored.close();
});

Deno.test("figures of ANALYZE, which anybody may write, make joins long", () => {
  const join = reads("SELECT t.name FROM u JOIN t ON t.id = u.t_id WHERE u.rowid = ?");
  deepEqual(one(join), { is: "good", short: true });
  const analyzed = [...SCHEMA, { type: "table", name: "sqlite_stat1", sql: "CREATE TABLE sqlite_stat1(tbl,idx,stat)" }];
  deepEqual(one(join, analyzed), { is: "good", short: false });
  deepEqual(one(reads("SELECT * FROM t WHERE id = ?"), analyzed), { is: "good", short: true });
});

Deno.test("in a transaction later steps see what earlier ones define, and nothing of it stays", () => {
  const mirror = new JudgeMirror(SCHEMA);
  const items = [
    defines("CREATE TABLE x (a INTEGER PRIMARY KEY)"),
    writes("INSERT INTO x VALUES (1)"),
    defines("ALTER TABLE x ADD COLUMN b"),
    reads("SELECT b FROM x WHERE a = ?"),
    defines("DROP TABLE t"),
    reads("SELECT * FROM t"),
    reads("SELECT * FROM _orama_own"),
  ];
  const kinds = () => mirror.judge(items, true).map(({ is }) => is);
  const expected = ["good", "good", "good", "good", "good", "mistake", "refused"];
  deepEqual(kinds(), expected);
  deepEqual(kinds(), expected);
  deepEqual(
    mirror.judge([reads("SELECT * FROM x"), reads("SELECT * FROM t WHERE id = 1")], false).map(({ is }) => is),
    [
      "mistake",
      "good",
    ],
  );
  mirror.close();
});

Deno.test("a table made of a query is not made: what follows is unknown", () => {
  const mirror = new JudgeMirror(SCHEMA);
  const series = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i FROM c";
  for (const made of [`CREATE TABLE x AS ${series}`, `CREATE TABLE IF NOT EXISTS main.x AS ${series}`]) {
    const start = performance.now();
    deepEqual(mirror.judge([defines(made), reads("SELECT * FROM x")], true).map(({ is }) => is), ["good", "unknown"]);
    ok(performance.now() - start < 1_000);
  }
  mirror.close();
});

Deno.test("the judge keeps the schemas that were used last, each under its number", () => {
  const mirrors = new JudgeMirrors();
  const load = (mirror: string, state: number) => mirrors.answer({ ask: "load", mirror, state, objects: [] });
  const judge = (mirror: string, state: number) =>
    mirrors.answer({ ask: "judge", mirror, state, items: [reads("SELECT 1")], inOrder: false }).is;
  deepEqual(load("a", 1), { is: "loaded", complete: true });
  deepEqual([judge("a", 1), judge("a", 2), judge("b", 1)], ["judged", "not_loaded", "not_loaded"]);
  load("a", 2);
  deepEqual([judge("a", 1), judge("a", 2)], ["not_loaded", "judged"]);
  for (let i = 0; i < 63; i++) load(`other ${i}`, 1);
  equal(judge("a", 2), "judged");
  for (let i = 63; i < 127; i++) load(`other ${i}`, 1);
  equal(judge("a", 2), "not_loaded");
});

Deno.test("a compilation without end costs its own namespace alone", async () => {
  const ended: string[] = [];
  const judge = new Judge({ ended: (reason) => ended.push(reason) });
  try {
    const bad = { name: "bad", suspect: false }, good = { name: "good", suspect: false };
    await judge.load(bad, 1, []);
    await judge.load(good, 1, []);
    const waiting = { judgement: "" };
    const hostile = rejects(judge.judge(bad, 1, [reads(endless())], false), (error) => {
      bad.suspect = true;
      return error instanceof NoJudgement;
    });
    const other = judge.judge(good, 1, [reads("SELECT 1")], false).then((judgements) => {
      waiting.judgement = judgements?.[0]?.is ?? "not loaded";
    });
    await Promise.all([hostile, other]);
    equal(waiting.judgement, "not loaded", "the next process knows no schema yet");
    deepEqual(ended, ["deadline"]);
    // From now on it has a process that it shares with its like.
    await judge.load(good, 1, []);
    await judge.load(bad, 1, []);
    const again = awaitedLater(rejects(judge.judge(bad, 1, [reads(endless(1))], false), NoJudgement));
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      deepEqual(await judge.judge(good, 1, [reads(`SELECT ${i}`)], false), [{ is: "good", short: true }]);
      ok(performance.now() - start < 900);
    }
    await again;
  } finally {
    await judge.close();
  }
  await rejects(judge.load({ name: "x", suspect: false }, 1, []), NoJudge);
});
