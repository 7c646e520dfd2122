import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { SqlCaller } from "../support/sql.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const LINES = "application/x-ndjson", CSV = "text/csv";
const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) AS n FROM c";
/** So many rows without a table. */
const numbers = (count: number, columns = "i") =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${count}) SELECT ${columns} FROM n`;

/** A namespace whose limits an operator changes, and another one that nobody limits. */
interface Scene {
  readonly db: SqlCaller;
  readonly key: string;
  readonly neighbour: SqlCaller;
  /** `null` gives a limit back to the gateway's default. */
  readonly limit: (sql: Readonly<Record<string, number | null>>) => Promise<void>;
}

let made: Promise<string> | undefined;
const operator = () => made ??= suite.gateway.makeKey("--operator").then(({ key }) => key);

function test(name: string, run: (scene: Scene) => Promise<void>): void {
  suite.test(name, async () => {
    await using owner = await newOwner(suite.gateway);
    await using other = await newOwner(suite.gateway);
    const db = new SqlCaller(suite.gateway, { key: owner.apiKey });
    const neighbour = new SqlCaller(suite.gateway, { key: other.apiKey });
    const limit = async (sql: Readonly<Record<string, number | null>>) => {
      const path = `/v1/namespaces/${owner.namespace}/limits`;
      (await suite.gateway.call("PATCH", path, { key: await operator(), body: { sql } })).expect(200);
    };
    await run({ db, key: owner.apiKey, neighbour, limit });
  }, { namespaces: 2 });
}

function is(answer: Answer, status: number, code: string, what: string): Answer {
  deepEqual(
    [answer.status, answer.status >= 400 && answer.get("code")],
    [status, code],
    `${what}: ${answer.text.slice(0, 300)}`,
  );
  return answer;
}

const load = (key: string, type: string, raw: string, query = "") =>
  suite.gateway.call("POST", `/v1/rqlite/bulk${query}`, { key, raw, headers: { "content-type": type } });

test("a database that is as large as it may be takes nothing more, by no way, and goes on when something is gone", async (scene) => {
  const { db, key, neighbour, limit } = scene;
  const ROOM = 400_000;
  await limit({ database_bytes: ROOM });
  await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)");
  const grow = () => db.exec("INSERT INTO t (v) VALUES (randomblob(100000))");
  // How large it is is asked now and then on RQLite.
  let refused: Answer | undefined;
  await until("it is full", async () => (refused = await grow()).status !== 200);
  match(is(refused!, 403, "QUOTA_EXCEEDED", "an insert").string("error"), /as large as it may be/);
  const before = await db.rows("SELECT count(*) AS n FROM t");
  const blob = "randomblob(100000)";
  const ways: Readonly<Record<string, () => Promise<Answer>>> = {
    "an insert": grow,
    "a transaction": () =>
      db.call("transaction", {
        statements: ["DELETE FROM t WHERE id = 1", `INSERT INTO t (v) SELECT ${blob} UNION ALL SELECT ${blob}`],
      }),
    "a write with a key": () => db.once("full", "exec", { sql: `INSERT INTO t (v) VALUES (${blob})` }),
    "a load": () => load(key, CSV, `v\n${"x".repeat(100_000)}\n`, "?table=t"),
    "a table with rows": () => db.exec(`CREATE TABLE copy AS SELECT ${blob} AS v UNION ALL SELECT ${blob}`),
    "a migration": () =>
      db.call("migrations", {
        migrations: [{ version: 1, name: "m", sql: `CREATE TABLE m (v); INSERT INTO m VALUES (${blob})` }],
      }),
    "a restore": () =>
      suite.gateway.call("POST", "/v1/rqlite/restore", {
        key,
        raw: `CREATE TABLE r (v); INSERT INTO r VALUES (zeroblob(${ROOM}));`,
        headers: { "content-type": "application/sql" },
      }),
  };
  for (const [way, send] of Object.entries(ways)) is(await send(), 403, "QUOTA_EXCEEDED", way);
  deepEqual(await db.rows("SELECT count(*) AS n FROM t"), before, "it reads, and nothing came of any of them");
  (await neighbour.exec(`CREATE TABLE t AS ${numbers(10, "randomblob(100000) AS v")}`)).expect(200);

  await db.run("DELETE FROM t WHERE id > 1");
  await until("there is room again", async () => (await grow()).status === 200);
  await until("it is full again", async () => (refused = await grow()).status !== 200);
  is(refused!, 403, "QUOTA_EXCEEDED", "an insert");
  await limit({ database_bytes: null });
  (await grow()).expect(200);
});

test("an answer that has more rows or bytes than it may names the way to have them, and that way has them", async ({ db, neighbour, limit }) => {
  const table = `CREATE TABLE t AS ${numbers(20, "i, hex(zeroblob(5000)) AS v")}`;
  for (const each of [db, neighbour]) await each.run(table);
  const few = { table: "t", limit: 10 };
  const reads: readonly (readonly [string, unknown, unknown])[] = [
    ["query", { sql: "SELECT * FROM t" }, { sql: "SELECT * FROM t LIMIT 10" }],
    ["query", { sql: "SELECT t.* FROM t ORDER BY random()" }, { sql: "SELECT * FROM t WHERE i <= 10" }],
    ["find", { table: "t" }, { ...few }],
    ["select", { table: "t" }, { ...few }],
    ["find", { table: "t", order_by: ["i"], limit: 20, after: "" }, { ...few, order_by: ["i"], after: "" }],
    ["transaction", { ops: [{ kind: "query", sql: "SELECT * FROM t" }], return_results: true }, {
      ops: [{ kind: "query", sql: "SELECT * FROM t LIMIT 10" }],
      return_results: true,
    }],
  ];
  // Ten rows of ten thousand characters, and no more. RQLite may send 64 KiB more than that.
  for (const bound of [{ rows_per_answer: 10 }, { bytes_per_answer: 110_000 }]) {
    await limit(bound);
    for (const [operation, all, less] of reads) {
      const what = `${operation} ${JSON.stringify(all)} with ${JSON.stringify(bound)}`;
      const refused = is(await db.call(operation, all), 413, "RESULT_TOO_LARGE", what);
      match(refused.string("error"), /Accept: application\/x-ndjson/, what);
      (await db.call(operation, less)).expect(200);
      (await neighbour.call(operation, all)).expect(200);
    }
    for (const [operation, all] of reads.slice(0, 4)) {
      const streamed = (await db.call(operation, all, { accept: LINES })).expect(200);
      equal(streamed.text.split("\n").at(-2), '{"end":true,"rows":20}');
    }
    await limit({ rows_per_answer: null, bytes_per_answer: null });
    for (const [operation, all] of reads) (await db.call(operation, all)).expect(200);
  }
});

test("so many statements are in flight and one more is told to wait, until one of them ends", async ({ db, key, neighbour, limit }) => {
  const endless = (timeout = "1s") => db.call("query", { sql: ENDLESS, timeout });
  const isFull = (answer: Answer) => {
    is(answer, 429, "TOO_MANY_STATEMENTS", "one too many");
    match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  };
  await limit({ statements_in_flight: 2 });
  const three = [endless(), endless(), endless()];
  isFull(await Promise.race(three));
  (await neighbour.query("SELECT 1 AS one")).expect(200);
  const answers = await Promise.all(three);
  deepEqual(answers.map(({ status }) => status).toSorted(), [422, 422, 429]);
  (await db.query("SELECT 1 AS one")).expect(200);

  // A stream is in flight until its reader has all of it, or leaves.
  const large = { sql: numbers(200_000, "i, hex(zeroblob(100)) AS v"), timeout: "20s" };
  const open = () =>
    fetch(`${suite.gateway.url}/v1/rqlite/query`, {
      method: "POST",
      headers: { "x-api-key": key, "content-type": "application/json", accept: LINES },
      body: JSON.stringify(large),
    });
  const [left, read] = await Promise.all([open(), open()]);
  deepEqual([left.status, read.status], [200, 200]);
  isFull(await db.query("SELECT 1 AS one"));
  isFull(await db.call("query", large, { accept: LINES }));
  await left.body!.cancel();
  await until("who left has given the place back", async () => (await db.query("SELECT 1 AS one")).status === 200);
  ok((await read.text()).endsWith('{"end":true,"rows":200000}\n'));
  (await endless("100ms")).expect(422);

  await limit({ statements_in_flight: null });
  const many = await Promise.all(Array.from({ length: 20 }, () => db.query("SELECT 1 AS one")));
  deepEqual([...new Set(many.map(({ status }) => status))], [200]);
});

test("a load has no more rows than it may, in whatever form they come, and leaves nothing", async ({ db, key, neighbour, limit }) => {
  for (const each of [db, neighbour]) await each.run("CREATE TABLE t (a)");
  const rows = (count: number) => Array.from({ length: count }, (_, i) => [i]);
  const forms: Readonly<Record<string, (count: number) => Promise<Answer>>> = {
    "JSON": (count) => db.call("bulk", { table: "t", rows: rows(count) }),
    "lines": (count) =>
      load(key, LINES, `{"table":"t"}\n${rows(count).map((row) => `${JSON.stringify(row)}\n`).join("")}`),
    "CSV": (count) => load(key, CSV, `a\n${rows(count).join("\n")}\n`, "?table=t"),
  };
  await limit({ bulk_rows: 3 });
  let stored = 0;
  for (const [form, send] of Object.entries(forms)) {
    const refused = is(await send(4), 413, "BODY_TOO_LARGE", form);
    match(refused.string("error"), /3 rows: send the rows in several loads/);
    (await send(3)).expect(200);
    deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: stored += 3 }], form);
  }
  (await neighbour.call("bulk", { table: "t", rows: rows(4) })).expect(200);
  await limit({ bulk_rows: null });
  for (const send of Object.values(forms)) (await send(4)).expect(200);
});
