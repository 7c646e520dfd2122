import { deepEqual, equal, ok } from "node:assert/strict";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";

/** What rqlite would run for anybody, with a place to write to. None of it may arrive there. */
const corpus = (folder: string): string[] => [
  `ATTACH '${folder}/attached.db' AS other`,
  `ATTACH DATABASE '${folder}/attached2.db' AS other`,
  `attach '${folder}/attached3.db' as x; select 1`,
  `/* x */ ATTACH '${folder}/attached4.db' AS other`,
  `-- x\nATTACH '${folder}/attached5.db' AS other`,
  `\uFEFFATTACH '${folder}/attached6.db' AS other`,
  `;ATTACH '${folder}/attached7.db' AS other`,
  `SELECT 1; ATTACH '${folder}/attached8.db' AS other`,
  `SELECT 1;;ATTACH '${folder}/attached9.db' AS other`,
  `SELECT 1 /* ; */; ATTACH '${folder}/attached10.db' AS other; --`,
  `INSERT INTO t VALUES (99); ATTACH '${folder}/attached11.db' AS other`,
  `EXPLAIN ATTACH '${folder}/attached12.db' AS other`,
  `WITH x AS (SELECT 1) ATTACH '${folder}/attached13.db' AS other`,
  `CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END; ATTACH '${folder}/attached14.db' AS other`,
  "DETACH main",
  `VACUUM INTO '${folder}/vacuumed.db'`,
  `VACUUM main INTO '${folder}/vacuumed2.db'`,
  `SELECT 1; VACUUM INTO '${folder}/vacuumed3.db'`,
  "VACUUM",
  "BEGIN",
  "BEGIN IMMEDIATE",
  "COMMIT",
  "END",
  "ROLLBACK",
  "SAVEPOINT a",
  "RELEASE a",
  "SELECT 1; BEGIN",
  "PRAGMA query_only = ON",
  "PRAGMA hard_heap_limit = 1",
  "PRAGMA max_page_count = 1",
  "PRAGMA writable_schema = ON",
  "PRAGMA journal_mode = DELETE",
  "PRAGMA foreign_keys(0)",
  "PRAGMA main.query_only(1)",
  "PRAGMA temp_store_directory = '/'",
  "SELECT 1; PRAGMA query_only = ON",
  "SELECT load_extension('x')",
  `SELECT writefile('${folder}/written', 'x')`,
  "SELECT * FROM pragma_database_list",
  "CREATE TEMP TABLE x (a)",
  "CREATE TABLE temp.x (a)",
  "CREATE VIRTUAL TABLE x USING csv(filename='/etc/passwd')",
  "CREATE VIRTUAL TABLE x USING dbstat",
  "DELETE FROM _orama_mark",
  "-- nothing",
  ";",
  "SELECT 1\0; BEGIN",
];

/** Every way in which a client's SQL reaches a database: what is sent, with the statement or a part that smuggles it. */
const WAYS: Readonly<Record<string, (sql: string) => readonly [path: string, body: unknown]>> = {
  query: (sql) => ["query", { sql }],
  exec: (sql) => ["exec", { sql }],
  "step of a transaction": (
    sql,
  ) => ["transaction", { ops: [{ kind: "exec", sql: "INSERT INTO t VALUES (98)" }, { kind: "exec", sql }] }],
  "query of a transaction": (sql) => ["transaction", { ops: [{ kind: "query", sql }] }],
  "statement of a transaction": (sql) => ["transaction", { statements: ["CREATE TABLE z (a)", sql] }],
  "create-table": (sql) => ["create-table", { schema: sql }],
  migration: (sql) => ["migrations", { migrations: [{ version: 1, name: "x", statements: [sql] }] }],
  "condition of a select": (sql) => ["select", { table: "t", where: [{ expr: `1); ${sql}; SELECT (1` }] }],
  "column of a select": (sql) => ["select", { table: "t", select: [`1; ${sql}`] }],
  "name of a table": (sql) => ["find", { table: `t; ${sql}` }],
  "name of a table to drop": (sql) => ["drop-table", { table: `t"; ${sql}; --` }],
};

engineTest(
  "what would harm rqlite arrives there by no door, and nothing of it is done again after a restart",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
    const folder = await Deno.makeTempDir({ prefix: "orama-corpus-" });
    await using _ = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
    const written = `${folder}/written`;
    await Deno.mkdir(written);
    await using database = await databaseOn(control, [tenant]);
    await using gateway = await TestGateway.start({ driver: "rqlite", database });
    const { key } = await gateway.makeKey("--namespace", "corpus", "--create-namespace");
    const call = (path: string, body: unknown) => gateway.call("POST", `/v1/rqlite/${path}`, { key, body });
    (await call("exec", { sql: "CREATE TABLE t (id INTEGER PRIMARY KEY)" })).expect(200);

    const odd: string[] = [];
    for (const [way, request] of Object.entries(WAYS)) {
      for (const sql of corpus(written)) {
        const { status, text } = await call(...request(sql));
        // A script of a migration may be empty, and a name may be odd: what counts is what is there afterwards.
        if (status < 400 ? way !== "migration" : status >= 500) {
          odd.push(`${way}: ${JSON.stringify(sql)}: ${status} ${text}`);
        }
      }
    }
    deepEqual(odd, []);
    await sound();
    const [node] = tenant.nodes;
    await node!.restart();
    await tenant.ready();
    await sound();

    /** Nothing was written, and the database takes writes and shows them, as after a `BEGIN` it would not. */
    async function sound(): Promise<void> {
      deepEqual([...Deno.readDirSync(written)].map(({ name }) => name), []);
      // Of a query that ends so rqlite makes an endless loop: it has to be cut before.
      for (const sql of ["SELECT 1;;", "SELECT 1; -- x", "SELECT 1;; /* x"]) (await call("query", { sql })).expect(200);
      (await call("exec", { sql: "INSERT INTO t VALUES (1)" })).expect(200);
      const direct = await fetch(`${tenant.urls[0]}/db/query?level=none&q=SELECT+id+FROM+t`);
      ok((await direct.text()).includes('"values":[[1]]'));
      (await call("exec", { sql: "DELETE FROM t" })).expect(200);
      const schema = (await gateway.call("GET", "/v1/rqlite/schema", { key })).expect(200);
      equal(
        (JSON.parse(schema.text) as { tables: { name: string }[] }).tables.map(({ name }) => name).join(),
        "t",
        schema.text,
      );
    }
  },
);
