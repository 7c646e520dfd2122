import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Pages } from "../../../services/database/pages/service.ts";
import { type KeyValue, orderName, readCursor, writeCursor } from "../../../services/database/pages/cursor.ts";
import { judge } from "../../../services/database/gate/gate.ts";
import { prepareExact, type SqliteDatabase } from "../../../services/database/sqlite/node_sqlite.ts";
import { present, type StoredValue } from "../../../services/database/values.ts";
import { bind } from "../../../services/sqlite/values.ts";
import type {
  ClientStatement,
  PageResult,
  ReadResult,
  SelectSpec,
  SqlArgument,
} from "../../../src/contracts/database.ts";
import { type FieldProblem, GatewayError } from "../../../src/contracts/errors.ts";
import { randomNumbers } from "./random.ts";

/** Pages of a database in memory, presented as both drivers present rows. */
class Paged implements Disposable {
  readonly db = new DatabaseSync(":memory:") as SqliteDatabase;
  readonly plans: string[] = [];

  exec(sql: string, ...args: SqlArgument[]): void {
    this.db.prepare(sql).run(...bind(args));
  }

  page(spec: SelectSpec, after = ""): Promise<PageResult> {
    const run: ConstructorParameters<typeof Pages>[0]["run"] = ({ statements }) =>
      Promise.resolve({
        reply: {
          kind: "done",
          outcomes: statements.map((statement) => ({
            ok: true,
            result: { rows: this.#rows(statement), rowsAffected: 0, lastInsertId: 0 },
          })),
        },
        level: "weak",
      });
    return new Pages({ run }).read(spec, after, CALL, (statement) => {
      equal(judge(statement.sql).facts.placeholders, statement.args.length);
      equal(judge(statement.sql).facts.access, "read");
      this.plans.push(
        this.db.prepare(`EXPLAIN QUERY PLAN ${statement.sql}`).all(...bind(statement.args))
          .map(({ detail }) => detail).join("; "),
      );
      return Promise.resolve({ ...this.#rows(statement), level: "weak" });
    });
  }

  /** All rows, page by page. */
  async walk(spec: SelectSpec, between: () => void = () => {}): Promise<PageResult["rows"][number][]> {
    const rows = [];
    for (let after: string | null = ""; after !== null; between()) {
      const page: PageResult = await this.page(spec, after);
      ok(page.rows.length <= (spec.limit ?? 0) && (page.next === null || page.rows.length === spec.limit));
      rows.push(...page.rows);
      after = page.next;
    }
    return rows;
  }

  #rows({ sql, args }: ClientStatement): Omit<ReadResult, "level"> {
    const statement = prepareExact(this.db, sql);
    const columns = statement.columns();
    const rows = statement.all(...bind(args)) as unknown as StoredValue[][];
    return present(columns.map(({ name }) => name), columns.map(({ type }) => type), rows);
  }

  [Symbol.dispose](): void {
    this.db.close();
  }
}

const CALL = {
  namespace: "shop",
  request: { requestId: "test", signal: new AbortController().signal, clientAddress: "127.0.0.1" },
  options: {},
};

const refused = (field: string, problem = "") => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, "INVALID_REQUEST", error.message);
  equal((error.extra.details as FieldProblem[])[0]?.field, field, error.message);
  ok(error.message.startsWith(`${field}: `) && error.message.includes(problem), error.message);
  return true;
};

Deno.test("an after that is no cursor of this order is refused by its name", async () => {
  using db = new Paged();
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)");
  for (let id = 0; id < 5; id++) db.exec("INSERT INTO t VALUES (?, ?, ?)", id, id, id);
  const spec: SelectSpec = { table: "t", orderBy: ["a"], limit: 2 };
  const { next } = await db.page(spec);
  const order = JSON.parse(atob(next!.replaceAll("-", "+").replaceAll("_", "/")))[0] as string;
  const made = (...values: unknown[]) =>
    btoa(JSON.stringify([order, ...values])).replaceAll("+", "-").replaceAll("/", "_");
  equal((await db.page(spec, made("i1", "i1"))).rows.length, 2);
  const hostile = [
    " ",
    "x",
    "!",
    next!.slice(1),
    next!.slice(0, -3),
    "A".repeat(1_000_000),
    btoa("null"),
    btoa("[]"),
    btoa("{}"),
    btoa("[[]]"),
    made(),
    made("i1"),
    made("i1", "i1", "i1"),
    made(...Array.from({ length: 1_000 }, () => "i1")),
    made(1, 2),
    made("i1", null),
    made("i1", {}),
    made("i1", ["i1"]),
    made("i1", "i"),
    made("i1", "i1.5"),
    made("i1", "i9223372036854775808"),
    made("i1", "i-9223372036854775809"),
    made("i1", "rNaN"),
    made("i1", "r0x10"),
    made("i1", "r1; DROP TABLE t"),
    made("i1", "n1"),
    made("i1", "b***"),
    made("i1", "u*"),
    made("i1", "t\u0000"),
    made("i1", "q1"),
    made("i1", ""),
    "[".repeat(60_000),
    btoa("[".repeat(40_000)),
  ];
  for (const after of hostile) await rejects(db.page(spec, after), refused("after"), after.slice(0, 60));
  for (
    const other of [
      { orderBy: ["b"] },
      { orderBy: ["a DESC"] },
      { orderBy: ["a", "b"] },
      { orderBy: ["a COLLATE NOCASE"] },
      { alias: "x" },
      { joins: [{ table: "t AS u", on: "u.id = t.id" }] },
    ]
  ) await rejects(db.page({ ...spec, ...other }, next!), refused("after", "another order"), JSON.stringify(other));
  const text = made("t'); DROP TABLE t; --", "i1");
  deepEqual((await db.page(spec, text)).rows, [], "numbers come before texts");
});

Deno.test("what cannot be paged is refused by the name of its part", async () => {
  using db = new Paged();
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)");
  db.exec("CREATE VIEW v AS SELECT * FROM t");
  const cases: [Partial<SelectSpec>, string, string?][] = [
    [{ orderBy: [] }, "after", "order_by"],
    [{ orderBy: undefined }, "after", "order_by"],
    [{ limit: undefined }, "limit"],
    [{ limit: 0 }, "limit"],
    [{ limit: -1 }, "limit"],
    [{ offset: 0 }, "offset"],
    [{ groupBy: ["a"] }, "group_by"],
    [{ select: ["DISTINCT a"] }, "select.0", "DISTINCT"],
    [{ select: ["a", "COUNT(*)"] }, "select.1", "aggregate"],
    [{ select: ["max(a)"] }, "select.0", "aggregate"],
    [{ orderBy: ["1"] }, "order_by.0"],
    [{ orderBy: ["a", "'x'"] }, "order_by.1"],
    [{ orderBy: ["NULL"] }, "order_by.0"],
    [{ orderBy: ["*"] }, "order_by.0"],
    [{ orderBy: ["t.*"] }, "order_by.0"],
    [{ orderBy: ["RANDOM()"] }, "order_by.0"],
    [{ orderBy: ["count(a)"] }, "order_by.0"],
    [{ orderBy: ["abs(random())"] }, "order_by.0"],
    [{ orderBy: ["r"], select: ["random() AS r"] }, "order_by.0"],
    [{ orderBy: ["r"], select: ["1 AS r"] }, "order_by.0"],
    [{ orderBy: [`coalesce(${"a,".repeat(1_500)}a)`] }, "order_by.0", "longer"],
    [{ orderBy: ["a".repeat(4_001)] }, "order_by.0", "longer"],
    [{ select: ["a AS " + "`".repeat(5_000)] }, "select.0", "longer"],
    [{ orderBy: ["a; DROP TABLE t"] }, "order_by.0"],
    [{ orderBy: [Array.from({ length: 1_000 }, () => "a").join(",")] }, "order_by", "at most 32"],
    [{ orderBy: Array.from({ length: 32 }, () => "a") }, "order_by", "at most 32"],
    [{ table: "v" }, "table", "view"],
    [{ joins: [{ table: "v", on: "v.id = t.id" }] }, "joins.0.table", "view"],
  ];
  for (const [part, field, problem] of cases) {
    await rejects(
      db.page({ table: "t", orderBy: ["a"], limit: 2, ...part }),
      refused(field, problem),
      JSON.stringify(part),
    );
  }
  await rejects(db.page({ table: "none", orderBy: ["a"], limit: 2 }), /no such table/);
  equal((await db.page({ table: "t", select: ["max(a, b)"], orderBy: ["a"], limit: 2 })).next, null);
});

Deno.test("a cursor carries every value exactly, and not more than a body can", () => {
  const values: KeyValue[] = [
    null,
    0n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    1.5,
    -0.1,
    1e300,
    5e-324,
    1e18,
    Infinity,
    -Infinity,
    "",
    "é😀'\"\\",
    new Uint8Array(),
    Uint8Array.of(0, 255),
    { text: Uint8Array.of(97, 0, 255) },
  ];
  const order = orderName([]);
  deepEqual(readCursor(writeCursor(order, values), order, values.length), values);
  throws(() => writeCursor(order, ["x".repeat(64 * 1_024)]), refused("order_by", "64 KiB"));
});

/** As SQLite sorts: NULL, numbers, text, bytes. */
function compare(a: StoredValue, b: StoredValue): number {
  const rank = (value: StoredValue) =>
    value === null ? 0 : typeof value === "string" ? 2 : value instanceof Uint8Array ? 3 : 1;
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (a === null || b === null) return 0;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compare(a.toHex(), b.toHex());
  return a < b ? -1 : a > b ? 1 : 0;
}

const VALUES: readonly StoredValue[] = [
  null,
  null,
  0n,
  1n,
  -1n,
  2n ** 53n + 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  9007199254740993n,
  0.1 + 0.2,
  0.3,
  1.5,
  1234567890123456768,
  1e300,
  Infinity,
  -Infinity,
  "",
  "a",
  "ab",
  "B",
  "é",
  "1",
  "x".repeat(300),
  new Uint8Array(),
  Uint8Array.of(0),
  Uint8Array.of(97, 255),
];

Deno.test("pages are what a plain sort gives: NULLs, ties, every storage class, every mix of directions", async () => {
  const random = randomNumbers(4);
  const tables = [
    "CREATE TABLE t (n INTEGER, a, b, c)",
    "CREATE TABLE t (n INTEGER PRIMARY KEY, a, b, c)",
    "CREATE TABLE t (n INTEGER, a, b, c, PRIMARY KEY (n)) WITHOUT ROWID",
    "CREATE TABLE t (n INTEGER UNIQUE, a BLOB, b BLOB, c BLOB, rowid TEXT, oid TEXT)",
  ];
  for (const [at, table] of tables.entries()) {
    using db = new Paged();
    db.exec(table);
    if (at > 1) db.exec("CREATE INDEX i ON t (a, b DESC)");
    const few = () => VALUES[random(at % 2 === 0 ? VALUES.length : 5)]!;
    const rows = Array.from({ length: 60 }, (_, n): StoredValue[] => [BigInt(n), few(), few(), few()]);
    for (const [n, a, b, c] of rows) db.exec("INSERT INTO t (n, a, b, c) VALUES (?, ?, ?, ?)", n!, a!, b!, c!);
    const directions = ["", " DESC", " ASC NULLS LAST", " DESC NULLS FIRST"];
    for (let mix = 0; mix < directions.length ** 3; mix++) {
      const chosen = [mix % 4, (mix >> 2) % 4, mix >> 4].slice(0, 1 + random(3));
      const orderBy = chosen.map((direction, key) => `${"abc"[key]}${directions[direction]}`);
      const tail = chosen.at(-1)! % 2 === 1 ? -1 : 1;
      const sorted = rows.toSorted((one, other) => {
        for (const [key, direction] of chosen.entries()) {
          const x = one[key + 1]!, y = other[key + 1]!;
          const nulls = Number(x !== null) - Number(y !== null);
          if (nulls !== 0) return direction === 0 || direction === 3 ? nulls : -nulls;
          const order = compare(x, y) * (direction % 2 === 1 ? -1 : 1);
          if (order !== 0) return order;
        }
        return compare(one[0]!, other[0]!) * tail;
      });
      const walked = await db.walk({ table: "t", select: ["n"], orderBy, limit: 1 + random(20) });
      deepEqual(walked.map(([n]) => n), sorted.map(([n]) => Number(n)), `${table} ${orderBy}`);
    }
  }
});

Deno.test("text with U+0000, and text that is no UTF-8, neither come twice nor end the walk", async () => {
  using db = new Paged();
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
  const texts = ["61", "6100", "610062", "61ff", "62", "ff", "00", ""];
  for (const [id, hex] of texts.entries()) {
    db.exec("INSERT INTO t VALUES (?, CAST(? AS TEXT))", id, Uint8Array.fromHex(hex));
  }
  const sorted = texts.map((hex, id) => ({ hex, id })).toSorted((a, b) => a.hex < b.hex ? -1 : 1).map(({ id }) => id);
  for (const limit of [1, 2, 3]) {
    const walked = await db.walk({ table: "t", select: ["id"], orderBy: ["a"], limit });
    deepEqual(walked.map(([id]) => id), sorted);
  }
});

Deno.test("values that are too long for a cursor are told where a page ends with one, and not within it", async () => {
  using db = new Paged();
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
  db.exec("INSERT INTO t VALUES (1, 'a'), (2, ?), (3, ?), (4, 'z')", "b".repeat(1_000_000), new Uint8Array(40_000));
  await rejects(db.page({ table: "t", orderBy: ["a"], limit: 2 }), refused("order_by", "64 KiB"));
  deepEqual((await db.walk({ table: "t", select: ["id"], orderBy: ["a"], limit: 3 })).map(([id]) => id), [1, 2, 4, 3]);
});

Deno.test("names of result columns, collations, calls and joins page as they sort", async () => {
  using db = new Paged();
  db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, at DATETIME, ok BOOLEAN)");
  db.exec("CREATE TABLE o (t INTEGER, what TEXT)");
  for (const [id, name] of ["b", "A", "a", "B", "c"].entries()) {
    db.exec("INSERT INTO t VALUES (?, ?, ?, ?)", id, name, `2026-01-0${1 + id % 2} 10:00:00`, id % 2);
    db.exec("INSERT INTO o VALUES (?, 'x'), (?, 'x'), (NULL, 'y')", id, id);
  }
  const specs: SelectSpec[] = [
    { table: "t", orderBy: ["name"] },
    { table: "t", orderBy: ["name COLLATE BINARY DESC"] },
    { table: "t", orderBy: ["at DESC", "ok"] },
    { table: "t", select: ["name AS id", "id AS name"], orderBy: ["id DESC", "NAME"] },
    { table: "t", select: ["id", "upper(name)"], orderBy: ['"upper(name)"'] },
    { table: "t", orderBy: ["length(name)", "lower(name) DESC"] },
    { table: "t", alias: "x", orderBy: ["x.ok", "ok"] },
    { table: "t AS x", joins: [{ kind: "LEFT", table: "o", on: "o.t = x.id" }], orderBy: ["o.what", "x.ok"] },
    { table: "t", joins: [{ kind: "FULL", table: "o", on: "o.t = t.id AND t.ok" }], orderBy: ["name DESC"] },
    { table: "t", joins: [{ kind: "CROSS", table: "o AS y", on: "" }], orderBy: ["y.what DESC"] },
    { table: "t", criteria: [["ok", 1]], where: [{ expr: "id > ?", args: [0] }], orderBy: ["at"] },
    { table: "sqlite_schema", orderBy: ["type DESC"] },
  ];
  for (const spec of specs) {
    const whole = await db.walk({ ...spec, limit: 1_000 });
    ok(whole.length > 1);
    for (const limit of [1, 2, 7]) deepEqual(await db.walk({ ...spec, limit }), whole, JSON.stringify(spec));
  }
  const { columns, types } = await db.page({ table: "t", orderBy: ["at"], limit: 1 });
  deepEqual([columns, types], [["id", "name", "at", "ok"], ["integer", "text", "datetime", "boolean"]]);
});

Deno.test("rows that are there all the time come once, whatever is inserted and deleted between two pages", async () => {
  const random = randomNumbers(11);
  for (const orderBy of [["a"], ["a DESC"], ["a DESC", "b"], ["a ASC NULLS LAST"]]) {
    using db = new Paged();
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a, b, stays)");
    const insert = (stays: number) =>
      db.exec("INSERT INTO t (a, b, stays) VALUES (?, ?, ?)", random(5) || null, random(3) || null, stays);
    for (let row = 0; row < 100; row++) insert(row % 2);
    let changes = 0;
    const walked = await db.walk({ table: "t", orderBy, limit: 7 }, () => {
      if (changes++ > 60) return;
      for (let row = 0; row < 3; row++) insert(0);
      db.exec("DELETE FROM t WHERE stays = 0 AND id % 5 = ?", random(5));
    });
    const ids = walked.map(([id]) => id);
    equal(new Set(ids).size, ids.length, `${orderBy}: something came twice`);
    equal(walked.filter(([, , , stays]) => stays === 1).length, 50, `${orderBy}: something was skipped`);
  }
});

Deno.test("a page is found by the index of its order, and sorts nothing", async () => {
  using db = new Paged();
  db.exec("CREATE TABLE t (name TEXT, at INTEGER)");
  db.exec("CREATE INDEX at ON t (at)");
  db.exec("CREATE TABLE w (name TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID");
  db.exec("CREATE INDEX wat ON w (at)");
  for (const table of ["t", "w"]) {
    for (let row = 0; row < 500; row++) db.exec(`INSERT INTO ${table} VALUES (?, ?)`, `n${row}`, row >> 1);
    for (const orderBy of [["at"], ["at DESC"]]) {
      db.plans.length = 0;
      equal((await db.walk({ table, orderBy, limit: 100 })).length, 500);
      const [, ...rest] = db.plans;
      for (const plan of rest) {
        ok(/^SEARCH \w USING (COVERING )?INDEX w?at \(at[<>=]\?/.test(plan) && !plan.includes("TEMP"), plan);
      }
      ok(rest.length >= 5);
    }
  }
});
