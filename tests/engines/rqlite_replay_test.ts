import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Answer } from "../support/client.ts";
import { SqlCaller } from "../support/sql.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import type { RqliteTestNode } from "./support/rqlite.ts";
import { sqlIn, timedGateway } from "./support/timed_gateway.ts";
import { until } from "./support/wait.ts";

/** Milliseconds that every statement has. */
const TIMEOUT = 300;
const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) AS m FROM c";
const WRITE = `INSERT INTO t (v) ${ENDLESS}`;

/** Ways to have a write without end in the log of the cluster. */
const WAYS: Readonly<Record<string, (sql: SqlCaller) => Promise<Answer>>> = {
  "alone": (sql) => sql.exec(WRITE),
  "with a key": (sql) => sql.once("endless", "exec", { sql: WRITE }),
  "with RETURNING": (sql) => sql.exec(`${WRITE} RETURNING v`),
  "in a transaction, behind others": (sql) =>
    sql.call("transaction", { statements: ["INSERT INTO t (v) VALUES ('undone')", WRITE, WRITE] }),
  "behind a precondition": (sql) =>
    sql.call("transaction", {
      ops: [{ kind: "query", sql: "SELECT 1", expect: { rows: 1 } }, { kind: "exec", sql: WRITE }],
    }),
  "by a trigger": (sql) => sql.exec("INSERT INTO trap VALUES (1)"),
  "by a load": (sql) => sql.call("bulk", { table: "trap", rows: [[1], [2]] }),
  "by a migration": (sql) => sql.call("migrations", { migrations: [{ version: 1, name: "m", sql: WRITE }] }),
};

const inWords = ({ status, text }: Answer) => status === 200 ? "200" : `${status} ${JSON.parse(text).code}`;

/** All that a node has itself. */
const own = async (node: RqliteTestNode) =>
  await (await node.ask(`/db/query?level=none&q=${
    encodeURIComponent(
      "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM trap), (SELECT count(*) FROM sink), " +
        "(SELECT group_concat(id || v) FROM kept)",
    )
  }`)).text();

engineTest(
  "three nodes that are started anew run what was interrupted once more, each stops it again, and nothing of it is there",
  ["rqlited"],
  async (engines) => {
    const [control, tenant, other] = await Promise.all([
      engines.rqlite({ nodes: 1 }),
      engines.rqlite({ nodes: 3 }),
      engines.rqlite({ nodes: 1 }),
    ]);
    await using database = await databaseOn(control, [tenant, other]);
    await using gateway = await timedGateway(database, TIMEOUT);
    const both = [await sqlIn(gateway, "one"), await sqlIn(gateway, "two")] as const;
    await both[0].run("CREATE TABLE mark (a)");
    // Which namespace has which cluster is the gateway's affair.
    const marked = await tenant.nodes[0]!.ask("/db/query?level=weak&q=SELECT+name+FROM+sqlite_schema");
    const [sql, neighbour] = (await marked.text()).includes("mark")
      ? both
      : both.toReversed() as [SqlCaller, SqlCaller];
    await neighbour.run("CREATE TABLE n (a)");
    await sql.run(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
      "CREATE TABLE kept (id INTEGER PRIMARY KEY, v TEXT)",
      "CREATE TABLE sink (m)",
      "CREATE TABLE trap (id INTEGER)",
      `CREATE VIEW endless AS ${ENDLESS}`,
      "CREATE TRIGGER trapped AFTER INSERT ON trap BEGIN INSERT INTO sink SELECT m FROM endless; END",
    );
    let kept = 0;
    for (const [way, send] of Object.entries(WAYS)) {
      equal(inWords(await send(sql)), "422 STATEMENT_TIMEOUT", way);
      (await sql.exec("INSERT INTO kept VALUES (?, ?)", ++kept, way)).expect(200);
    }
    const before = await sql.rows("SELECT * FROM kept");

    ok(!/does not come back/.test(gateway.log()), "the cluster was not taken for one that hangs");

    await Promise.all(tenant.nodes.map((node) => node.kill()));
    await Promise.all(tenant.nodes.map((node) => node.start()));
    // Whatever a node runs anew, nobody sees: not what is undone, nor less than was acknowledged where that counts.
    const outcomes = new Set<string>();
    await until("writes go through", async () => {
      const [write, read, neighbours] = await Promise.all([
        sql.exec("INSERT OR IGNORE INTO kept VALUES (1000, 'again')"),
        sql.call("query", { sql: "SELECT * FROM kept WHERE id < 1000", level: "linearizable" }),
        neighbour.exec("INSERT INTO n VALUES (1)"),
      ]);
      neighbours.expect(200);
      if (read.status === 200) deepEqual(read.list("items"), before);
      outcomes.add(inWords(write)).add(inWords(read));
      return write.status === 200;
    });
    outcomes.delete("200");
    for (const outcome of outcomes) match(outcome, /^(409 OUTCOME_UNKNOWN|503 UNAVAILABLE)$/);
    const expected = `[[0,0,0,"${before.map(({ id, v }) => `${id}${v}`).join()},1000again"]]`;
    for (const node of tenant.nodes) {
      await until(`${node.id} has what the others have`, async () => (await own(node)).includes(expected));
    }
    (await sql.call("migrations", {
      migrations: [{ version: 1, name: "m", sql: "INSERT INTO kept VALUES (3000, 'm')" }],
    }))
      .expect(200);
    deepEqual(
      await sql.rows("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM trap) + count(*) AS n FROM sink"),
      [
        { n: 0 },
      ],
    );
    // A key whose write came to nothing is free.
    (await sql.once("endless", "exec", { sql: "INSERT INTO kept VALUES (2000, 'keyed')" })).expect(200);
  },
);
