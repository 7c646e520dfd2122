import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import { type BatchItem, real } from "../../../src/client/index.ts";
import { databaseAt, oramaError } from "./support/databases.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";

const rows = (...items: readonly unknown[]) => answer(200, { items, count: items.length });
const DONE = { rows_affected: 1, last_insert_id: 7, execution_state: "ok" };

Deno.test("what a call asks for goes out by the names of the wire, and nothing else does", async () => {
  await using server = new ScriptedServer(({ path }) =>
    path.endsWith("exec")
      ? answer(200, DONE)
      : path.endsWith("transaction")
      ? answer(200, { status: "ok", results: [DONE, []] })
      : rows()
  );
  const db = databaseAt(server.url);
  await db.query("SELECT ?", [1n]);
  await db.query("SELECT 1", [], { level: "none", freshness: "2s", timeout: 500, integers: "string" });
  await db.find("t", { a: 1 }, { orderBy: ["a"], groupBy: ["b"], limit: 2, level: "strong" });
  await db.exec("DELETE FROM t", [], { timeout: 500, idempotencyKey: "k" });
  await db.batch([{ sql: "DELETE FROM t" }, { sql: "SELECT 1", expect: { rows: 1 } }], { timeout: 9 });
  deepEqual(server.requests.map(({ method, path }, at) => [method, path.slice(11), server.sent(at)]), [
    ["POST", "query", { sql: "SELECT ?", args: [{ type: "integer", value: "1" }] }],
    ["POST", "query", { sql: "SELECT 1", args: [], level: "none", freshness: "2s", timeout: 500, integers: "string" }],
    [
      "POST",
      "find",
      { table: "t", criteria: { a: 1 }, options: { order_by: ["a"], group_by: ["b"], limit: 2 }, level: "strong" },
    ],
    ["POST", "exec", { sql: "DELETE FROM t", args: [], timeout: 500 }],
    ["POST", "transaction", {
      ops: [
        { kind: "exec", sql: "DELETE FROM t", args: [] },
        { kind: "query", sql: "SELECT 1", args: [], expect: { rows: 1 } },
      ],
      return_results: true,
      timeout: 9,
    }],
  ]);
});

Deno.test("pages are asked for one after the other, until there is no next", async () => {
  await using server = new ScriptedServer((_, __, count) =>
    answer(
      200,
      count === 1 ? { items: [{ n: 1 }, { n: 2 }], next: "c1" } : { items: count === 2 ? [] : [{ n: 9 }], next: null },
    )
  );
  const list = databaseAt(server.url).select("n").from("t").orderBy("n");
  const pages = [];
  for await (const page of list.limit(2).pages({ level: "none" })) pages.push(page);
  deepEqual(pages, [[{ n: 1 }, { n: 2 }]]);
  deepEqual(await list.after("c7").getPage(), { rows: [{ n: 9 }], next: null });
  const common = { table: "t", select: ["n"], order_by: ["n"], where: [] };
  deepEqual(server.requests.map((_, at) => server.sent(at)), [
    { ...common, limit: 2, after: "", level: "none" },
    { ...common, limit: 2, after: "c1", level: "none" },
    { ...common, limit: 1_000, after: "c7" },
  ]);
});

Deno.test("a gateway that knows no pages is not taken for the end of a list", async () => {
  await using server = new ScriptedServer(() => rows({ n: 1 }));
  const list = databaseAt(server.url).select("n").from("t").orderBy("n");
  equal((await oramaError(list.getPage())).code, "INVALID_RESPONSE");
});

Deno.test("defaults count for every call that does not say otherwise", async () => {
  await using server = new ScriptedServer(({ path }) =>
    path.endsWith("exec")
      ? answer(200, DONE)
      : answer(200, { items: [{ n: 1 }], status: "ok", results: path.endsWith("query") ? [] : [[]] })
  );
  const db = databaseAt(server.url, {}, { level: "strong", timeout: 5, idempotencyKey: true, integers: "bigint" });
  deepEqual(await db.query("SELECT 1"), [{ n: 1n }]);
  deepEqual(await db.query("SELECT 1", [], { level: "weak", timeout: undefined, integers: "number" }), [{ n: 1 }]);
  equal((await db.exec("DELETE FROM t")).lastInsertId, 7n);
  await db.exec("DELETE FROM t", [], { idempotencyKey: false });
  await db.batch(["SELECT 1"]);
  const sent = server.requests.map((_, at) => server.sent(at));
  deepEqual(sent.map(({ level, timeout }) => [level, timeout]), [
    ["strong", 5],
    ["weak", 5],
    [undefined, 5],
    [undefined, 5],
    ["strong", 5],
  ]);
  const keyed = server.requests.map(({ headers }) => headers.has("idempotency-key"));
  deepEqual(keyed, [false, false, true, false, false], "reading needs no key");
});

Deno.test("a level that was not asked for stays out of a batch that writes: the gateway would refuse it", async () => {
  await using server = new ScriptedServer(() => answer(200, { status: "ok", results: [DONE] }));
  const db = databaseAt(server.url, {}, { level: "none" });
  await db.batch(["DELETE FROM t"]);
  await db.batch(["DELETE FROM t"], { level: "strong" });
  deepEqual([server.sent(0).level, server.sent(1).level], [undefined, "strong"]);
});

Deno.test("rows keep every column name, and of columns with one name the last counts", async () => {
  const text = '{"items":[{"__proto__":1,"constructor":2,"a\\"b":3,"x":1,"x":2,"":4}],"count":1}';
  await using server = new ScriptedServer(() => answer(200, text));
  const expected = [["__proto__", 1], ["constructor", 2], ['a"b', 3], ["x", 2], ["", 4]];
  const [plain] = await databaseAt(server.url).query("SELECT …");
  deepEqual(Object.entries(plain!), expected);
  const [shaped] = await databaseAt(server.url).query("SELECT …", [], { integers: "bigint" });
  deepEqual(Object.entries(shaped!), expected.map(([name, value]) => [name, BigInt(value!)]));
});

Deno.test("integers are what is asked for, and never rounded", async () => {
  const text = '{"items":[{"a":1,"b":9007199254740993,"c":1.5,"d":"7","e":null,"f":true}],"count":1}';
  await using server = new ScriptedServer(() => answer(200, text));
  const db = databaseAt(server.url);
  const common = { c: 1.5, d: "7", e: null, f: true };
  deepEqual(await db.query("SELECT …"), [{ a: 1, b: 9007199254740993n, ...common }]);
  deepEqual(await db.query("SELECT …", [], { integers: "bigint" }), [{ a: 1n, b: 9007199254740993n, ...common }]);
});

Deno.test("the figures of a change are numbers, whatever the integers of its rows are", async () => {
  const text = '{"rows_affected":"2","last_insert_id":"9007199254740993","items":[{"id":"5"}],"replayed":true}';
  await using server = new ScriptedServer(() => answer(200, text));
  const result = await databaseAt(server.url).exec("INSERT …", [], { integers: "string" });
  deepEqual(result, { rows: [{ id: "5" }], rowsAffected: 2, lastInsertId: 9007199254740993n, replayed: true });
});

Deno.test("columns named in blobs come as bytes; one that holds something else is told by its name", async () => {
  await using server = new ScriptedServer(() => rows({ data: "AP8=", note: "AP8=" }, { data: null, note: null }));
  const db = databaseAt(server.url);
  deepEqual(await db.query("SELECT …", [], { blobs: ["data"] }), [
    { data: new Uint8Array([0, 255]), note: "AP8=" },
    { data: null, note: null },
  ]);
  await using other = new ScriptedServer(() => rows({ data: "no base64!" }));
  await rejects(databaseAt(other.url).query("SELECT …", [], { blobs: ["data"] }), /column "data"/);
});

Deno.test("rows are mapped after their values are right, and what the mapping throws is thrown", async () => {
  await using server = new ScriptedServer(() => rows({ id: 1, data: "AA==" }));
  const db = databaseAt(server.url);
  const map = (row: Record<string, unknown>) => [row.id, row.data];
  deepEqual(await db.query("SELECT …", [], { map, blobs: ["data"] }), [[1, new Uint8Array(1)]]);
  const broken = () => {
    throw new Error("mapping");
  };
  await rejects(db.query("SELECT …", [], { map: broken }), /mapping/);
});

Deno.test("arguments that SQL has no form for send nothing", async () => {
  await using server = new ScriptedServer(() => rows());
  const db = databaseAt(server.url);
  await rejects(db.query("SELECT ?", [undefined as never]), /args\[0\] is undefined/);
  await rejects(db.exec("DELETE …", [2n ** 64n]), RangeError);
  await rejects(db.find("t", { a: undefined as never }), /criteria\.a is undefined/);
  await rejects(db.batch([{ sql: "SELECT ?", args: [real(NaN)] }]), /batch\[0\]\.args\[0\]\.value is NaN/);
  throws(() => db.select().from("t").where("a = ?", undefined as never), /where\[0\]\.args\[0\] is undefined/);
  equal(server.requests.length, 0);
});

Deno.test("findOne and getOne are null for no row, and an error where there is no gateway", async () => {
  await using server = new ScriptedServer(() => rows());
  const db = databaseAt(server.url);
  equal(await db.findOne("t", { id: 1 }), null);
  equal(await db.select().from("t").getOne(), null);
  deepEqual([server.sent(0).options, server.sent(1).limit], [{ limit: 1 }, 1]);
  await using elsewhere = new ScriptedServer(() => failure(404, "NOT_FOUND"));
  equal((await oramaError(databaseAt(elsewhere.url).findOne("t"))).code, "NOT_FOUND");
});

Deno.test("a builder is never changed: what begins alike can go on differently", async () => {
  await using server = new ScriptedServer(() => rows());
  const adults = databaseAt(server.url).select("u.name", "COUNT(*) AS n").from("users", "u").where("age >= ?", 18);
  await adults.orWhere("vip").leftJoin("orders AS o", "o.user = u.id").groupBy("u.id").orderBy("n DESC").limit(3)
    .offset(6)
    .getMany({ level: "weak" });
  await adults.andWhere("city = ?", "Athens").getMany();
  const clause = { conj: "AND", expr: "age >= ?", args: [18] };
  const common = { table: "users", alias: "u", select: ["u.name", "COUNT(*) AS n"] };
  deepEqual([server.sent(0), server.sent(1)], [
    {
      ...common,
      where: [clause, { conj: "OR", expr: "vip", args: [] }],
      joins: [{ kind: "LEFT", table: "orders AS o", on: "o.user = u.id" }],
      group_by: ["u.id"],
      order_by: ["n DESC"],
      limit: 3,
      offset: 6,
      level: "weak",
    },
    { ...common, where: [clause, { conj: "AND", expr: "city = ?", args: ["Athens"] }] },
  ]);
});

Deno.test("a batch tells reads from changes by their first word, and asks where that does not tell", async () => {
  const results = (count: number) => answer(200, { status: "ok", results: Array(count).fill([]) });
  await using server = new ScriptedServer(({ body }) => results(JSON.parse(body).ops.length));
  const db = databaseAt(server.url);
  const reads = ["select 1", " -- note\n/* SELECT */ VALUES (1)", "PRAGMA table_info(t)", "EXPLAIN DELETE FROM t"];
  await db.batch([...reads, { sql: "WITH a AS (…) SELECT 1", kind: "query" }]);
  const { ops } = server.sent() as { ops: { kind: string }[] };
  deepEqual(ops.map(({ kind }) => kind), Array(5).fill("query"));
  const unclear: [BatchItem, RegExp][] = [
    ["WITH a AS (…) DELETE FROM t", /batch\[0\] begins with WITH/],
    [{ sql: "WITH a AS (…) SELECT 1", parameters: [], query: { kind: "RawNode" } }, /give it as \{ sql, args, kind \}/],
    [{ sql: "DELETE FROM t", expect: { rows: 1 } }, /batch\[0\]\.expect is for a query/],
  ];
  for (const [item, message] of unclear) await rejects(db.batch([item]), message);
  equal(server.requests.length, 1);
});

Deno.test("a batch without an answer for each statement is unknown", async () => {
  for (const results of [undefined, [], [DONE], [DONE, DONE, DONE], [DONE, "x"], [DONE, DONE]]) {
    await using server = new ScriptedServer(() => answer(200, { status: "ok", results }));
    const error = await oramaError(databaseAt(server.url).batch(["DELETE FROM t", "SELECT 1"]));
    equal(error.code, "OUTCOME_UNKNOWN", JSON.stringify(results));
  }
});

Deno.test("there are no interactive transactions, and the error names what there is", () => {
  const db = databaseAt("http://127.0.0.1:1");
  throws(() => db.transaction(async () => {}), (error: Error) => {
    match(error.message, /no interactive transactions.*batch\(\[\.\.\.\]\)/s);
    return true;
  });
});

Deno.test("a table of any name is dropped, and of that name alone", async () => {
  await using server = new ScriptedServer(({ path }) => answer(200, path.endsWith("exec") ? DONE : { status: "ok" }));
  const db = databaseAt(server.url);
  await db.dropTable("plain");
  await db.dropTable('a"b`; DROP TABLE x');
  deepEqual([server.sent(0), server.sent(1).sql], [{ table: "plain" }, 'DROP TABLE `a"b``; DROP TABLE x`']);
});
