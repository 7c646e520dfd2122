import { deepEqual, equal, ok } from "node:assert/strict";
import { databaseRoutes } from "../../../routes/database/index.ts";
import { SqlDatabase } from "../../../services/database/database.ts";
import { SqliteDriver } from "../../../services/database/sqlite/driver.ts";
import { createApp } from "../../../src/app.ts";
import type { Principal, Scope } from "../../../src/contracts/identity.ts";
import type { Services } from "../../../src/contracts/services.ts";
import { jsonSchemaOf } from "../../../src/http/openapi/json_schema.ts";

/** What the tests look at in answers; none has all of it. */
interface Body {
  readonly items: readonly Record<string, unknown>[];
  readonly error: string;
  readonly code: string;
  readonly details: readonly { readonly field: string }[] & { readonly step: number; readonly required_scope: string };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Body;
}

type Post = (path: string, body: unknown) => Promise<Answer>;

const ALL: readonly Scope[] = ["sql:read", "sql:write", "sql:admin"];

/** Runs a test against the routes as they are served, with the key `ak_<scopes>`. */
async function serving(run: (post: Post, as: (...scopes: Scope[]) => Post, get: Post) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const database = new SqlDatabase(new SqliteDriver({ dir }));
  const services = {
    database,
    authenticator: {
      identifyKey: (key: string) => principal(key.slice(3).split(",") as Scope[]),
      identifyToken: () => undefined,
    },
    rateLimits: { take: () => undefined, policy: () => "" },
  } as unknown as Services;
  const app = createApp({
    routes: databaseRoutes,
    services,
    body: { maxBytes: 4_000_000, stallTimeout: 1_000, timeout: 5_000, maxDepth: 64 },
    cors: { origins: ["*"], methods: [], requestHeaders: [], exposedHeaders: [], maxAge: 1 } as never,
    facts: {
      shutdown: new AbortController().signal,
      stopping: new AbortController().signal,
      addressOf: () => "127.0.0.1",
    },
    observe: () => {},
    random: (n) => crypto.getRandomValues(new Uint8Array(n)),
  });
  const call = (method: string, scopes: readonly Scope[]): Post => async (path, body) => {
    const response = await app(
      new Request(`http://gateway/v1/rqlite/${path}`, {
        method,
        headers: { "x-api-key": `ak_${scopes.join(",")}` },
        ...(method === "POST" && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    ok(response.headers.get("content-type")?.includes("application/json"), text);
    return { status: response.status, text, body: JSON.parse(text) };
  };
  try {
    await run(call("POST", ALL), (...scopes) => call("POST", scopes), call("GET", ALL));
  } finally {
    await database.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const principal = (scopes: readonly Scope[]): Principal => ({
  kind: "api_key",
  id: "key_test",
  subject: "key:test",
  namespace: "shop",
  scopes: new Set(scopes),
  operator: false,
  describe: {},
  asOf: 0,
});

const good = ({ status, body }: Answer, expected: unknown, expectedStatus = 200) => {
  equal(status, expectedStatus, JSON.stringify(body));
  deepEqual(body, expected);
};
const bad = ({ status, body }: Answer, expected: number, code: string, sentence: string) => {
  equal(status, expected, JSON.stringify(body));
  equal(body.code, code, body.error);
  ok(body.error.includes(sentence), body.error);
};

Deno.test("the answers have the shapes of the wire", () =>
  serving(async (post, _as, get) => {
    good(await post("create-table", { schema: "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BOOLEAN, d BLOB)" }), {
      status: "ok",
    }, 201);
    good(await post("exec", { sql: "INSERT INTO t (s, b) VALUES (?, ?)", args: ["a", true] }), {
      rows_affected: 1,
      last_insert_id: 1,
      execution_state: "ok",
    });
    good(await post("exec", { sql: "INSERT INTO t (s) VALUES ('b') RETURNING id, s" }), {
      rows_affected: 1,
      last_insert_id: 2,
      items: [{ id: 2, s: "b" }],
      count: 1,
      execution_state: "ok",
    });
    good(await post("exec", { sql: "CREATE INDEX i ON t (s)", args: null }), {
      rows_affected: 0,
      last_insert_id: 0,
      execution_state: "ok",
    });
    const a = { id: 1, s: "a", b: true, d: null }, b = { id: 2, s: "b", b: null, d: null };
    good(await post("query", { sql: "SELECT * FROM t ORDER BY id" }), { items: [a, b], count: 2 });
    good(await post("query", { sql: "SELECT * FROM t WHERE 0" }), { items: [], count: 0 });
    good(await post("find", { table: "t", criteria: { s: "a" }, options: {} }), { items: [a], count: 1 });
    good(await post("find", { table: "t", options: { order_by: ["id DESC"], limit: 1 } }), { items: [b], count: 1 });
    good(await post("find", { table: "t", criteria: { b: null }, select: ["id"], limit: null }), {
      items: [{ id: 2 }],
      count: 1,
    });
    good(await post("find", { table: "t", options: { limit: 1 }, offset: 1, select: ["id"] }), {
      items: [a],
      count: 1,
    });
    good(await post("find-one", { table: "t", criteria: { id: 2 } }), b);
    good(await post("find-one", { table: "t", options: { order_by: ["id"], limit: 5 } }), a);
    bad(await post("find-one", { table: "t", criteria: { id: 9 } }), 404, "NOT_FOUND", "not found");
    bad(await post("find-one", { table: "t", limit: 0 }), 404, "NOT_FOUND", "not found");
    good(await post("select", { table: "t", where: [{ conj: "or", expr: "s = ?", args: ["b"] }] }), {
      items: [b],
      count: 1,
    });
    good(await post("select", { table: "t", select: ["COUNT(*) AS items_"], one: true }), {
      items: [{ items_: 2 }],
      items_: 2,
    });
    good(await post("select", { table: "t", select: ["s AS items"], order_by: ["id"], one: true }), { items: "a" });
    bad(await post("select", { table: "t", where: [{ expr: "0" }], one: true }), 404, "NOT_FOUND", "not found");
    good(await get("schema", undefined), {
      tables: [{ name: "t", type: "table", sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, b BOOLEAN, d BLOB)" }],
      count: 1,
    });
    good(await post("drop-table", { table: " t " }), { status: "ok" });
    bad(await post("drop-table", { table: "t" }), 404, "NOT_FOUND", "no such table");
    bad(await post("drop-table", { table: "t; x" }), 400, "INVALID_REQUEST", "invalid table identifier");
  }));

Deno.test("a transaction takes ops or statements, and gives results when asked", () =>
  serving(async (post) => {
    good(await post("transaction", { statements: ["CREATE TABLE t (a UNIQUE)", "INSERT INTO t VALUES (1)"] }), {
      status: "ok",
    });
    good(
      await post("transaction", {
        ops: [
          { kind: "EXEC", sql: "INSERT INTO t VALUES (?) RETURNING a", args: [2] },
          { kind: "query", sql: "SELECT a FROM t WHERE a > ?", args: [5] },
          { kind: "Query", sql: "SELECT a FROM t" },
        ],
        statements: ["IGNORED"],
        return_results: true,
      }),
      {
        status: "ok",
        results: [{ rows_affected: 1, last_insert_id: 2, items: [{ a: 2 }], count: 1 }, [], [{ a: 1 }, { a: 2 }]],
      },
    );
    const failed = await post("transaction", {
      ops: [{ kind: "exec", sql: "INSERT INTO t VALUES (3)" }, { kind: "exec", sql: "INSERT INTO t VALUES (1)" }],
    });
    bad(failed, 409, "CONSTRAINT_FAILED", "ops.1: UNIQUE constraint failed: t.a");
    deepEqual(failed.body.details, { step: 1, field: "ops.1" });
    bad(
      await post("transaction", { statements: ["SELECT 1", "BEGIN"] }),
      400,
      "SQL_NOT_ALLOWED",
      "statements.1: BEGIN",
    );
    good(await post("query", { sql: "SELECT a FROM t" }), { items: [{ a: 1 }, { a: 2 }], count: 2 });
  }));

Deno.test("integers are exact, as numbers or as text", () =>
  serving(async (post) => {
    const sql = "SELECT ? AS a, ? AS b, 1.0 AS c, typeof(?) AS d, 7 AS e, 0.5 AS f";
    const args = "[9007199254740993,-9223372036854775808,18446744073709551616]";
    equal(
      (await post("query", `{"sql":"${sql}","args":${args}}`)).text,
      '{"items":[{"a":9007199254740993,"b":-9223372036854775808,"c":1,"d":"real","e":7,"f":0.5}],"count":1}',
    );
    equal(
      (await post("query", `{"sql":"${sql}","args":${args},"integers":"string"}`)).text,
      '{"items":[{"a":"9007199254740993","b":"-9223372036854775808","c":1,"d":"real","e":"7","f":0.5}],"count":1}',
    );
    await post("exec", { sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, n NUMERIC)" });
    equal(
      (await post("exec", { sql: "INSERT INTO t VALUES (?, 2, 2) RETURNING *", args: [5], integers: "string" })).text,
      '{"rows_affected":"1","last_insert_id":"5","items":[{"id":"5","r":2,"n":"2"}],"count":1,"execution_state":"ok"}',
    );
  }));

Deno.test("arguments with a type are bound as that type", () =>
  serving(async (post) => {
    const types = async (...args: unknown[]) => {
      const sql = `SELECT ${args.map((_, i) => `typeof(?) AS a${i}`).join(", ")}`;
      const { body, status } = await post("query", { sql, args });
      equal(status, 200, JSON.stringify(body));
      return Object.values(body.items[0] ?? {});
    };
    deepEqual(
      await types(
        { type: "integer", value: "9223372036854775807" },
        { type: "integer", value: 5 },
        { type: "float", value: 1 },
        { type: "text", value: "x" },
        { type: "blob", base64: "AP8=" },
        { type: "null" },
      ),
      ["integer", "integer", "real", "text", "blob", "null"],
    );
    good(await post("query", { sql: "SELECT hex(?) AS a", args: [{ type: "blob", base64: "AP8=" }] }), {
      items: [{ a: "00FF" }],
      count: 1,
    });
    await post("exec", { sql: "CREATE TABLE t (b BLOB)" });
    await post("exec", { sql: "INSERT INTO t VALUES (?)", args: [{ type: "blob", base64: "AP8=" }] });
    good(await post("query", { sql: "SELECT b FROM t" }), { items: [{ b: "AP8=" }], count: 1 });
  }));

Deno.test("what does not fit is a 400 that begins with the shape of the body and names the field", () =>
  serving(async (post) => {
    const cases: [string, unknown, string, string][] = [
      ["query", {}, "invalid body: {sql, args?}", "sql"],
      ["query", null, "invalid body: {sql, args?}", "sql"],
      ["query", { sql: " " }, "invalid body: {sql, args?}", "sql"],
      ["query", { sql: 5 }, "invalid body: {sql, args?}", "sql"],
      ["query", { sql: "SELECT 1", args: {} }, "invalid body: {sql, args?}", "args"],
      ["query", { sql: "SELECT ?", args: [[1]] }, "invalid body: {sql, args?}", "args.0"],
      ["query", { sql: "SELECT ?", args: [{ a: 1 }] }, "invalid body: {sql, args?}", "args.0"],
      ["query", { sql: "SELECT ?", args: [{ type: "integer", value: "x" }] }, "invalid body: {sql, args?}", "args.0"],
      [
        "query",
        { sql: "SELECT ?", args: [{ type: "integer", value: "9223372036854775808" }] },
        "invalid body: {sql, args?}",
        "args.0",
      ],
      ["query", { sql: "SELECT ?", args: [{ type: "integer", value: 1.5 }] }, "invalid body: {sql, args?}", "args.0"],
      ["query", { sql: "SELECT ?", args: [{ type: "float", value: "1" }] }, "invalid body: {sql, args?}", "args.0"],
      ["query", { sql: "SELECT ?", args: [{ type: "blob", base64: "%" }] }, "invalid body: {sql, args?}", "args.0"],
      ["query", { sql: "SELECT ?", args: [{ type: "date" }] }, "invalid body: {sql, args?}", "args.0"],
      ["query", { sql: "SELECT ?", args: ["a\0b"] }, "invalid body: {sql, args?}", "args.0"],
      ["find", { table: "t", criteria: { a: { type: "text", value: "\0" } } }, "invalid body: {table,", "criteria.a"],
      ["query", { sql: "SELECT 1", integers: "bigint" }, "invalid body: {sql, args?}", "integers"],
      ["query", { sql: "SELECT 1", args: Array(40_000).fill(1) }, "invalid body: {sql, args?}", "args"],
      ["exec", { args: [] }, "invalid body: {sql, args?}", "sql"],
      ["find", { criteria: {} }, "invalid body: {table, criteria, options?}", "table"],
      ["find", { table: "t", criteria: [] }, "invalid body: {table, criteria, options?}", "criteria"],
      ["find", { table: "t", criteria: "a" }, "invalid body: {table, criteria, options?}", "criteria"],
      ["find", { table: "t", criteria: { a: [1] } }, "invalid body: {table, criteria, options?}", "criteria.a"],
      ["find", { table: "t", options: { limit: -1 } }, "invalid body: {table, criteria, options?}", "options.limit"],
      ["find", { table: "t", options: { limit: "5" } }, "invalid body: {table, criteria, options?}", "options.limit"],
      [
        "find",
        { table: "t", options: { order_by: "a" } },
        "invalid body: {table, criteria, options?}",
        "options.order_by",
      ],
      ["find-one", {}, "invalid body: {table, criteria, options?}", "table"],
      [
        "select",
        {},
        "invalid body: {table, select?, where?, joins?, order_by?, group_by?, limit?, offset?, one?}",
        "table",
      ],
      ["select", { table: "t", where: [{ conj: "XOR", expr: "1" }] }, "invalid body: {table,", "where.0.conj"],
      ["select", { table: "t", where: [{}] }, "invalid body: {table,", "where.0.expr"],
      ["select", { table: "t", joins: [{ on: "1" }] }, "invalid body: {table,", "joins.0.table"],
      ["select", { table: "t", one: "yes" }, "invalid body: {table,", "one"],
      ["transaction", {}, "invalid body: {ops:[{kind,sql,args?}], return_results?} or {statements:[sql...]}", "ops"],
      ["transaction", { ops: [], statements: [] }, "invalid body: {ops:", "ops"],
      ["transaction", { ops: [{ kind: "drop", sql: "SELECT 1" }] }, "invalid body: {ops:", "ops.0.kind"],
      ["transaction", { ops: [{ kind: "exec" }] }, "invalid body: {ops:", "ops.0.sql"],
      ["transaction", { ops: [{ kind: "exec", sql: "SELECT ?", args: [{}] }] }, "invalid body: {ops:", "ops.0.args.0"],
      ["transaction", { statements: [5] }, "invalid body: {ops:", "statements.0"],
      ["transaction", { statements: Array(1001).fill("SELECT 1") }, "invalid body: {ops:", "statements"],
      ["create-table", {}, "invalid body: {schema}", "schema"],
      ["drop-table", {}, "invalid body: {table}", "table"],
    ];
    for (const [path, body, start, field] of cases) {
      const answer = await post(path, body);
      equal(answer.status, 400, `${path} ${JSON.stringify(body)?.slice(0, 200)}: ${answer.text}`);
      equal(answer.body.code, "INVALID_REQUEST");
      ok(answer.body.error.startsWith(`${start}`), answer.body.error);
      equal(answer.body.details[0]?.field, field, answer.body.error);
    }
  }));

Deno.test("parts that are no names are a 400 that names them", () =>
  serving(async (post) => {
    const cases: [string, Record<string, unknown>, string][] = [
      ["find", { table: "t; DROP TABLE t" }, "table"],
      ["find", { table: "t", criteria: { "a = 1 OR b": 1 } }, "criteria.a = 1 OR b"],
      ["find", { table: "t", options: { order_by: ["a", "(SELECT 1)"] } }, "options.order_by.1"],
      ["find", { table: "t", order_by: ["(SELECT 1)"] }, "order_by.0"],
      ["find", { table: "t", options: { select: ["a--"] } }, "options.select.0"],
      ["find", { table: "t", options: { joins: [{ kind: "BAD", table: "u", on: "1" }] } }, "options.joins.0.kind"],
      ["select", { table: "t", group_by: ["a", "b c"] }, "group_by.1"],
      ["select", { table: "t", where: [{ expr: "1) OR (1" }] }, "where.0.expr"],
    ];
    for (const [path, body, field] of cases) {
      const answer = await post(path, body);
      bad(answer, 400, "INVALID_REQUEST", `${field}: `);
      equal(answer.body.details[0]?.field, field);
    }
  }));

Deno.test("a condition on a column named __proto__ counts, and such a column is answered", () =>
  serving(async (post) => {
    await post("exec", { sql: 'CREATE TABLE t (id INTEGER PRIMARY KEY, "__proto__" TEXT)' });
    await post("exec", { sql: "INSERT INTO t VALUES (1, 'a'), (2, 'b')" });
    equal(
      (await post("find", '{"table":"t","criteria":{"__proto__":"b"}}')).text,
      '{"items":[{"id":2,"__proto__":"b"}],"count":1}',
    );
    bad(
      await post("find", '{"table":"t","criteria":{"__proto__":{"a":1}}}'),
      400,
      "INVALID_REQUEST",
      "criteria.__proto__",
    );
  }));

Deno.test("each statement needs the scope of its kind", () =>
  serving(async (post, as) => {
    await post("exec", { sql: "CREATE TABLE t (a)" });
    const allowed: [Scope[], string, unknown][] = [
      [["sql:write"], "exec", { sql: "INSERT INTO t VALUES (1)" }],
      [["sql:write", "sql:admin"], "exec", { sql: "CREATE TABLE u (a)" }],
      [["sql:write", "sql:read"], "exec", { sql: "UPDATE t SET a = 1 RETURNING a" }],
      [["sql:read"], "query", { sql: "SELECT * FROM t" }],
      [["sql:read"], "find", { table: "t" }],
      [["sql:write"], "transaction", { statements: ["INSERT INTO t VALUES (1)"] }],
      [["sql:admin"], "create-table", { schema: "CREATE TABLE v (a)" }],
      [["sql:admin"], "drop-table", { table: "v" }],
    ];
    for (const [scopes, path, body] of allowed) {
      ok((await as(...scopes)(path, body)).status < 300, `${path} ${JSON.stringify(body)}`);
    }
    const denied: [Scope[], string, unknown, Scope][] = [
      [["sql:read"], "exec", { sql: "INSERT INTO t VALUES (1)" }, "sql:write"],
      [["sql:write"], "query", { sql: "SELECT 1" }, "sql:read"],
      [["sql:write"], "exec", { sql: "CREATE TABLE w (a)" }, "sql:admin"],
      [["sql:write"], "exec", { sql: "drop table t" }, "sql:admin"],
      [["sql:write"], "exec", { sql: "SELECT * FROM t" }, "sql:read"],
      [["sql:write"], "exec", { sql: "DELETE FROM t RETURNING *" }, "sql:read"],
      [["sql:write"], "transaction", { statements: ["INSERT INTO t VALUES (2)", "CREATE TABLE w (a)"] }, "sql:admin"],
      [["sql:write"], "transaction", { ops: [{ kind: "query", sql: "SELECT * FROM t" }] }, "sql:read"],
      [["sql:read"], "transaction", { ops: [{ kind: "query", sql: "SELECT * FROM t" }] }, "sql:write"],
      [["sql:write", "sql:read"], "create-table", { schema: "CREATE TABLE w (a)" }, "sql:admin"],
      [["sql:write", "sql:read"], "drop-table", { table: "t" }, "sql:admin"],
      [["sql:admin", "sql:write"], "find", { table: "t" }, "sql:read"],
    ];
    for (const [scopes, path, body, missing] of denied) {
      const answer = await as(...scopes)(path, body);
      bad(answer, 403, "INSUFFICIENT_SCOPE", missing);
      equal(answer.body.details.required_scope, missing);
    }
    good(await post("query", { sql: "SELECT count(*) AS n FROM t" }), { items: [{ n: 2 }], count: 1 });
    bad(await post("create-table", { schema: "DELETE FROM t" }), 400, "SQL_NOT_ALLOWED", "/v1/rqlite/exec");
  }));

Deno.test("every schema of the routes can be written as JSON Schema", () => {
  for (const route of databaseRoutes) {
    for (const [side, schema] of [["input", route.body], ["output", route.output]] as const) {
      if (schema) ok(Object.keys(jsonSchemaOf(schema, side, "x", {})).length > 0, route.path);
    }
  }
});
