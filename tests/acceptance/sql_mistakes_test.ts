import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** One namespace for all of them: each test has tables of its own. */
let made: Promise<Owner> | undefined;
const sql = async () => new SqlCaller(suite.gateway, { key: (await (made ??= newOwner(suite.gateway))).apiKey });

test("what is wrong with a statement is the client's mistake, with SQLite's own sentence", async () => {
  const db = await sql();
  await db.run(
    "CREATE TABLE strict_one (id INTEGER PRIMARY KEY, u TEXT UNIQUE, r TEXT NOT NULL, c INTEGER CHECK (c > 0))",
  );
  await db.run("INSERT INTO strict_one VALUES (1, 'a', 'r', 1)");
  for (
    const wrong of [
      "SELEC 1",
      "SELECT * FROM missing",
      "SELECT missing FROM strict_one",
      "INSERT INTO strict_one VALUES (1)",
      "SELECT 1 +",
    ]
  ) {
    for (const operation of ["query", "exec"]) {
      const answer = await db.call(operation, { sql: wrong });
      equal(answer.status, 400, `${operation} ${wrong}: ${answer.text}`);
      ok(["SQL_INVALID", "SQL_NOT_ALLOWED"].includes(answer.string("code")), answer.text);
      ok(!/https?:|\/data|\.sqlite|node:/.test(answer.text), answer.text);
    }
  }
  const broken: readonly [string, RegExp][] = [
    ["INSERT INTO strict_one VALUES (1, 'b', 'r', 1)", /UNIQUE constraint failed/],
    ["INSERT INTO strict_one VALUES (2, 'a', 'r', 1)", /UNIQUE constraint failed/],
    ["INSERT INTO strict_one VALUES (2, 'b', NULL, 1)", /NOT NULL constraint failed/],
    ["INSERT INTO strict_one VALUES (2, 'b', 'r', 0)", /CHECK constraint failed/],
  ];
  for (const [statement, sentence] of broken) {
    const answer = (await db.exec(statement)).expect(409);
    equal(answer.get("code"), "CONSTRAINT_FAILED");
    match(answer.string("error"), sentence);
  }
});

test("foreign keys are kept", async () => {
  const db = await sql();
  await db.run(
    "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
    "CREATE TABLE children (parent INTEGER REFERENCES parents (id))",
  );
  equal((await db.exec("INSERT INTO children VALUES (7)")).expect(409).get("code"), "CONSTRAINT_FAILED");
});

test("query reads, and writes nothing", async () => {
  const db = await sql();
  await db.run("CREATE TABLE unharmed (id INTEGER)", "INSERT INTO unharmed VALUES (1)");
  const writes = [
    "DELETE FROM unharmed",
    "INSERT INTO unharmed VALUES (2) RETURNING id",
    "WITH x AS (SELECT 1) DELETE FROM unharmed",
    "DROP TABLE unharmed",
    "UPDATE unharmed SET id = 5",
    "REPLACE INTO unharmed VALUES (9)",
  ];
  for (const write of writes) equal((await db.query(write)).expect(400).get("code"), "SQL_NOT_ALLOWED", write);
  deepEqual(await db.rows("SELECT id FROM unharmed"), [{ id: 1 }]);
});

test("what is missing from a body is named, after the sentence that older clients know", async () => {
  const db = await sql();
  const wrong: readonly [string, string, RegExp][] = [
    ["query", "sql", /^invalid body: \{sql, args\?\}/],
    ["exec", "sql", /^invalid body: \{sql, args\?\}/],
    ["find", "table", /^invalid body: \{table, criteria, options\?\}/],
    ["find-one", "table", /^invalid body: \{table, criteria, options\?\}/],
    [
      "select",
      "table",
      /^invalid body: \{table, select\?, where\?, joins\?, order_by\?, group_by\?, limit\?, offset\?, one\?\}/,
    ],
    ["create-table", "schema", /^invalid body: \{schema\}/],
    ["drop-table", "table", /^invalid body: \{table\}/],
  ];
  for (const [operation, field, sentence] of wrong) {
    for (const body of [{}, { [field]: "" }, { [field]: "  " }, { [field]: null }]) {
      const answer = (await db.call(operation, body)).expect(400);
      match(answer.string("error"), sentence);
      equal(answer.get("details.0.field"), field);
    }
  }
});

test("an option that is misspelt is told with the right name, and nothing is run", async () => {
  const db = await sql();
  await db.run("CREATE TABLE untouched (id INTEGER)");
  const insert = "INSERT INTO untouched VALUES (1)";
  const migration = { version: 1, name: "one", statements: [insert] };
  const wrong: readonly [operation: string, body: object, field: string, meant: string][] = [
    ["query", { sql: "SELECT 1", levl: "strong" }, "levl", "level"],
    ["exec", { sql: insert, timout: "1s" }, "timout", "timeout"],
    ["exec", { sql: insert, argz: [] }, "argz", "args"],
    ["exec", { sql: insert, Integers: "string" }, "Integers", "integers"],
    ["find", { table: "untouched", options: { orderBy: ["id"] } }, "options.orderBy", "order_by"],
    ["find-one", { table: "untouched", criterias: {} }, "criterias", "criteria"],
    ["select", { table: "untouched", were: [] }, "were", "where"],
    ["transaction", { statements: [insert], returnResults: true }, "returnResults", "return_results"],
    ["transaction", { ops: [{ kind: "exec", sql: insert, arg: [] }] }, "ops.0.arg", "args"],
    ["create-table", { schema: "CREATE TABLE made_anyway (a)", timeot: 1 }, "timeot", "timeout"],
    ["drop-table", { table: "untouched", Timeout: 1 }, "Timeout", "timeout"],
    ["bulk", { table: "untouched", rows: [[1]], onConflict: "ignore" }, "onConflict", "on_conflict"],
    ["migrations", { migrations: [migration], dryRun: true }, "dryRun", "dry_run"],
    ["changes/tables", { table: "untouched", column: ["id"] }, "column", "columns"],
  ];
  for (const [operation, body, field, meant] of wrong) {
    const answer = (await db.call(operation, body)).expect(400);
    deepEqual([answer.get("code"), answer.get("details.0")], [
      "INVALID_REQUEST",
      { field, problem: `unknown; did you mean ${meant}?` },
    ], operation);
    match(answer.string("error"), new RegExp(`${field.replaceAll(".", "\\.")}: unknown; did you mean ${meant}\\?$`));
  }
  const bodies = {
    exec: { sql: insert },
    transaction: { statements: [insert] },
    bulk: { table: "untouched", rows: [[1]] },
    "create-table": { schema: "CREATE TABLE made_anyway (a)" },
    "drop-table": { table: "untouched" },
  };
  for (const [operation, body] of Object.entries(bodies)) {
    const answer = (await db.call(operation, { ...body, idempotency_key: "k" })).expect(400);
    match(answer.string("error"), /idempotency_key: .* header Idempotency-Key$/, operation);
  }
  deepEqual(await db.rows("SELECT * FROM untouched"), []);
});

test("what older clients send beside what is known does no harm", async () => {
  const db = await sql();
  await db.run("CREATE TABLE harmless (id INTEGER)");
  const statements = ["INSERT INTO harmless VALUES (1)"];
  const ignored = { stop_on_error: true, partial_results: false };
  (await db.call("transaction", { statements, ...ignored })).expect(200);
  const found = await db.call("find", { table: "harmless", criteria: {}, options: { where: "id = 2", limit: 5 } });
  deepEqual(found.expect(200).get("items"), [{ id: 1 }]);
  (await db.call("query", { sql: "SELECT 1", label: "a report", trace_id: "t" })).expect(200);
});
