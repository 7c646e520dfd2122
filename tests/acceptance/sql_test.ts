import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** One namespace for all of them: each test has tables of its own. */
let made: Promise<Owner> | undefined;
const sql = async () => new SqlCaller(suite.gateway, { key: (await (made ??= newOwner(suite.gateway))).apiKey });

test("exec tells what it changed, and the id that it gave", async () => {
  const db = await sql();
  const created = (await db.exec("CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")).expect(200);
  deepEqual(created.body, { rows_affected: 0, last_insert_id: 0, execution_state: "ok" });
  const inserted = (await db.exec("INSERT INTO counted (name) VALUES (?), (?)", "a", "b")).expect(200);
  deepEqual(inserted.body, { rows_affected: 2, last_insert_id: 2, execution_state: "ok" });
  const updated = (await db.exec("UPDATE counted SET name = 'c' WHERE id > ?", 1)).expect(200);
  equal(updated.get("rows_affected"), 1);
  equal((await db.exec("DELETE FROM counted WHERE id = 99")).expect(200).get("rows_affected"), 0);
});

test("query gives rows as objects, and how many", async () => {
  const db = await sql();
  await db.run("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT, price REAL, data BLOB)");
  (await db.exec("INSERT INTO rows VALUES (1, ?, ?, x'00ff'), (2, NULL, NULL, NULL)", "one", 1.5)).expect(200);
  const answer = (await db.query("SELECT * FROM rows ORDER BY id")).expect(200);
  deepEqual(answer.body, {
    items: [{ id: 1, name: "one", price: 1.5, data: "AP8=" }, { id: 2, name: null, price: null, data: null }],
    count: 2,
  });
  match(answer.headers.get("content-type")!, /application\/json/);
  deepEqual((await db.query("SELECT * FROM rows WHERE id > 9")).expect(200).body, { items: [], count: 0 });
  deepEqual(await db.rows("SELECT COUNT(*) AS n, MAX(price) AS m FROM rows"), [{ n: 2, m: 1.5 }]);
  equal((await db.query("SELECT 1")).get("rows"), undefined);
});

test("arguments are bound in order, and by their type", async () => {
  const db = await sql();
  const [row] = await db.rows(
    "SELECT typeof(?) AS a, typeof(?) AS b, typeof(?) AS c, typeof(?) AS d, typeof(?) AS e, ? AS f",
    1,
    1.5,
    "x",
    true,
    null,
    "'; DROP TABLE x; --",
  );
  deepEqual(row, { a: "integer", b: "real", c: "text", d: "integer", e: "null", f: "'; DROP TABLE x; --" });
  for (const args of [[], [1, 2]]) {
    equal((await db.call("query", { sql: "SELECT ? AS x", args })).expect(400).get("code"), "SQL_INVALID");
  }
  equal((await db.call("query", { sql: "SELECT 1 AS x" })).expect(200).get("count"), 1);
  equal((await db.call("query", { sql: "SELECT ? AS x", args: [[1]] })).expect(400).get("details.0.field"), "args.0");
  equal(
    (await db.call("query", { sql: "SELECT ? AS x", args: [{ a: 1 }] })).expect(400).get("details.0.field"),
    "args.0",
  );
});

test("values come back by the declared type of their column", async () => {
  const db = await sql();
  await db.run("CREATE TABLE typed (b BOOLEAN, d DATETIME, t TIMESTAMP, day DATE)");
  (await db.exec(
    "INSERT INTO typed VALUES (?, '2026-01-18 10:00:00', '2026-01-18T10:00:00Z', '2026-01-18'), (?, NULL, NULL, NULL)",
    true,
    false,
  )).expect(200);
  deepEqual(await db.rows("SELECT * FROM typed"), [
    { b: true, d: "2026-01-18T10:00:00Z", t: "2026-01-18T10:00:00Z", day: "2026-01-18T00:00:00Z" },
    { b: false, d: null, t: null, day: null },
  ]);
});

test("integers of 64 bits are exact, in and out", async () => {
  const db = await sql();
  await db.run("CREATE TABLE exact (n INTEGER)");
  const values = ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "0"];
  for (const value of values) {
    (await db.callRaw("exec", `{"sql":"INSERT INTO exact VALUES (?)","args":[${value}]}`)).expect(200);
    const typed = { type: "integer", value };
    (await db.exec("INSERT INTO exact VALUES (?)", typed)).expect(200);
  }
  const numbers = (await db.query("SELECT n, n || '' AS s FROM exact ORDER BY rowid")).expect(200).text;
  for (const value of values) equal(numbers.split(`{"n":${value},"s":"${value}"}`).length, 3, value);
  const texts = (await db.call("query", { sql: "SELECT n FROM exact ORDER BY rowid", integers: "string" })).expect(200);
  deepEqual(texts.list("items").map(({ n }) => n), values.flatMap((value) => [value, value]));
});

test("find and find-one take criteria and options, in either place", async () => {
  const db = await sql();
  await db.run("CREATE TABLE found (id INTEGER PRIMARY KEY, grp TEXT, n INTEGER)");
  await db.run("INSERT INTO found VALUES (1, 'a', 10), (2, 'a', 20), (3, 'b', 30), (4, NULL, 40)");
  const ids = async (body: unknown) => (await db.call("find", body)).expect(200).list("items").map(({ id }) => id);
  deepEqual(await ids({ table: "found", criteria: {}, options: {} }), [1, 2, 3, 4]);
  deepEqual(await ids({ table: "found", criteria: { grp: "a" }, options: { order_by: ["n DESC"] } }), [2, 1]);
  deepEqual(await ids({ table: "found", criteria: { grp: "a", n: 20 } }), [2]);
  deepEqual(await ids({ table: "found", criteria: { grp: null } }), [4]);
  deepEqual(await ids({ table: "found", options: { limit: 2, offset: 1, order_by: ["id"] } }), [2, 3]);
  deepEqual(await ids({ table: "found", limit: 1, order_by: ["id DESC"] }), [4]);
  deepEqual(await ids({ table: "found", options: { offset: 3 } }), [4]);
  const grouped = await db.call("find", {
    table: "found",
    options: { select: ["grp", "COUNT(*) AS n"], group_by: ["grp"], order_by: ["grp"] },
  });
  deepEqual(grouped.expect(200).list("items").at(-1), { grp: "b", n: 1 });
  deepEqual((await db.call("find-one", { table: "found", criteria: { id: 3 } })).expect(200).body, {
    id: 3,
    grp: "b",
    n: 30,
  });
  const none = (await db.call("find-one", { table: "found", criteria: { id: 99 } })).expect(404);
  equal(none.get("error"), "not found");
});

test("select answers in the shape that it was asked for", async () => {
  const db = await sql();
  await db.run(
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE pets (id INTEGER PRIMARY KEY, owner INTEGER, name TEXT)",
  );
  await db.run(
    "INSERT INTO people VALUES (1, 'Ann'), (2, 'Bob')",
    "INSERT INTO pets VALUES (1, 1, 'Rex'), (2, 1, 'Tom')",
  );
  const list = (await db.call("select", { table: "people", order_by: ["id"] })).expect(200);
  deepEqual(list.body, { items: [{ id: 1, name: "Ann" }, { id: 2, name: "Bob" }], count: 2 });
  const one = (await db.call("select", { table: "people", where: [{ expr: "id = ?", args: [2] }], one: true })).expect(
    200,
  );
  deepEqual(one.body, { items: [{ id: 2, name: "Bob" }], id: 2, name: "Bob" });
  equal(
    (await db.call("select", { table: "people", where: [{ expr: "id = 99" }], one: true })).expect(404).get("error"),
    "not found",
  );
  for (
    const [kind, count] of [["INNER", 2], ["LEFT", 3], ["left outer", 3], ["", 2], ["JOIN", 2], [undefined, 2], [
      "FULL",
      3,
    ]] as const
  ) {
    const body = {
      table: "people",
      alias: "p",
      select: ["p.name", "q.name AS pet"],
      joins: [{ kind, table: "pets AS q", on: "q.owner = p.id" }],
      order_by: ["p.id", "q.id"],
    };
    equal((await db.call("select", body)).expect(200).get("count"), count, kind ?? "");
  }
  const either = {
    table: "people",
    where: [{ expr: "id = ?", args: [1] }, { conj: "OR", expr: "name = ?", args: ["Bob"] }],
  };
  equal((await db.call("select", either)).expect(200).get("count"), 2);
  const count = (await db.call("select", { table: "people", select: ["COUNT(*) AS count"], one: true })).expect(200);
  equal(count.get("items.0.count"), 2);
});

test("a transaction takes both forms, and gives results when they are wanted", async () => {
  const db = await sql();
  await db.run("CREATE TABLE moved (id INTEGER PRIMARY KEY, n INTEGER)");
  const ops = [
    { kind: "exec", sql: "INSERT INTO moved (n) VALUES (?)", args: [1] },
    { kind: "EXEC", sql: "INSERT INTO moved (n) VALUES (?)", args: [2] },
    { kind: "query", sql: "SELECT n FROM moved ORDER BY n" },
    { kind: "query", sql: "SELECT n FROM moved WHERE n > 9" },
  ];
  const answer = (await db.call("transaction", { ops, return_results: true })).expect(200);
  deepEqual(answer.body, {
    status: "ok",
    results: [
      { rows_affected: 1, last_insert_id: 1 },
      { rows_affected: 1, last_insert_id: 2 },
      [{ n: 1 }, { n: 2 }],
      [],
    ],
  });
  const statements = [
    "CREATE TABLE IF NOT EXISTS many (n INTEGER)",
    ...Array.from({ length: 49 }, (_, i) => `INSERT INTO many VALUES (${i})`),
  ];
  deepEqual((await db.call("transaction", { statements })).expect(200).body, { status: "ok" });
  deepEqual(await db.rows("SELECT COUNT(*) AS n FROM many"), [{ n: 49 }]);
  for (const body of [{}, { ops: [] }, { statements: [] }, { ops: null, statements: null }]) {
    match(
      (await db.call("transaction", body)).expect(400).string("error"),
      /^invalid body: \{ops:\[\{kind,sql,args\?\}\]/,
    );
  }
  const kind = (await db.call("transaction", { ops: [{ kind: "drop", sql: "SELECT 1" }] })).expect(400);
  equal(kind.get("details.0.field"), "ops.0.kind");
});

test("tables are made, listed and dropped", async () => {
  const db = await sql();
  const created = (await db.call("create-table", { schema: "CREATE TABLE IF NOT EXISTS listed (id INTEGER)" })).expect(
    201,
  );
  deepEqual(created.body, { status: "ok" });
  await db.run("CREATE VIEW seen AS SELECT id FROM listed");
  const schema = (await db.schema()).expect(200);
  const tables = schema.list("tables");
  equal(schema.get("count"), tables.length);
  deepEqual(tables.find(({ name }) => name === "listed"), {
    name: "listed",
    type: "table",
    sql: "CREATE TABLE listed (id INTEGER)",
  });
  equal(tables.find(({ name }) => name === "seen")!.type, "view");
  deepEqual(tables.map(({ name }) => name), tables.map(({ name }) => String(name)).toSorted());
  await db.run("DROP VIEW seen");
  deepEqual((await db.call("drop-table", { table: " listed " })).expect(200).body, { status: "ok" });
  match((await db.call("drop-table", { table: "listed" })).expect(404).string("error"), /no such table/);
  for (const table of ["", "a b", "a;b", "1a", 'a"b', "main.listed", "a".repeat(10) + "--"]) {
    equal((await db.call("drop-table", { table })).expect(400).get("details.0.field"), "table", table);
  }
});

test("columns may be called anything", async () => {
  const db = await sql();
  const names = ["items", "count", "__proto__", "constructor", "a b", "ü", 'q"uote', "select"];
  const columns = names.map((name) => `"${name.replaceAll('"', '""')}" INTEGER`);
  await db.run(
    `CREATE TABLE odd (${columns.join(", ")})`,
    `INSERT INTO odd VALUES (${names.map((_, i) => i).join(", ")})`,
  );
  const text = (await db.query("SELECT * FROM odd")).expect(200).text;
  for (const [i, name] of names.entries()) ok(text.includes(`${JSON.stringify(name)}:${i}`), `${name} in ${text}`);
  (await db.call("find", { table: "odd", criteria: { '"a b"': 4, "`ü`": 5 } })).expect(200);
});
