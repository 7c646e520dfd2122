import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import {
  createClient,
  createDatabase,
  type Database,
  type DatabaseDefaults,
  OramaError,
  quoteName,
  real,
} from "../../../src/client/index.ts";

/** Where a gateway is, and a key of one of its namespaces. */
export interface Target {
  readonly url: string;
  readonly apiKey: string;
}

/** A database of the target. */
export const databaseOf = (target: Target, defaults: DatabaseDefaults = {}): Database =>
  createDatabase(createClient(target), defaults);

/** What an application does with its database, each on tables of its own. Runs on Deno and on Node. */
export const SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  async "exec and query tell what they did"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE told (id INTEGER PRIMARY KEY, name TEXT, ok BOOLEAN, price REAL, at DATETIME)");
    const at = new Date("2026-01-18T10:00:00Z");
    const inserted = await db.exec("INSERT INTO told (name, ok, price, at) VALUES (?, ?, ?, ?) RETURNING id, price", [
      "a",
      true,
      real(2),
      at,
    ]);
    deepEqual(inserted, { rows: [{ id: 1, price: 2 }], rowsAffected: 1, lastInsertId: 1, replayed: false });
    interface Told {
      id: number;
      name: string;
      ok: boolean;
      at: string;
    }
    const [row] = await db.query<Told>("SELECT * FROM told WHERE name = ?", ["a"]);
    deepEqual([row?.id, row?.name, row?.ok, new Date(row!.at)], [1, "a", true, at]);
    deepEqual(await db.query("SELECT * FROM told WHERE 0"), []);
    equal((await db.exec("DELETE FROM told WHERE 0")).rowsAffected, 0);
    const kinds = await db.query("SELECT typeof(?) AS a, typeof(?) AS b, typeof(?) AS c", [1, real(1), null]);
    deepEqual(kinds, [{ a: "integer", b: "real", c: "null" }]);
  },

  async "integers of 64 bits go in and come back exactly"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE exact (n INTEGER)");
    const values = [2n ** 63n - 1n, -(2n ** 63n), 9007199254740993n, 1n];
    for (const value of values) await db.exec("INSERT INTO exact VALUES (?)", [value]);
    const read = async (integers: "number" | "bigint" | "string") =>
      (await db.query("SELECT n FROM exact ORDER BY rowid", [], { integers })).map(({ n }) => n);
    deepEqual(await read("number"), [...values.slice(0, 3), 1]);
    deepEqual(await read("bigint"), values);
    deepEqual(await read("string"), values.map(String));
    for (const value of values) equal((await db.find("exact", { n: value })).length, 1);
    const { rows, lastInsertId } = await db.exec("INSERT INTO exact (rowid, n) VALUES (?, 0) RETURNING rowid AS id", [
      values[2]!,
    ]);
    deepEqual([rows, lastInsertId], [[{ id: values[2] }], values[2]]);
  },

  async "bytes go in and come back"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE files (name TEXT, data BLOB)");
    const data = Uint8Array.from({ length: 70_000 }, (_, at) => at % 256);
    await db.exec("INSERT INTO files VALUES ('a', ?), ('b', ?), ('c', NULL)", [data, new Uint8Array()]);
    const rows = await db.query("SELECT * FROM files ORDER BY name", [], { blobs: ["data"] });
    deepEqual(rows, [{ name: "a", data }, { name: "b", data: new Uint8Array() }, { name: "c", data: null }]);
    deepEqual(await db.query("SELECT length(data) AS n FROM files WHERE data = ?", [data]), [{ n: 70_000 }]);
  },

  async "names may hold anything"(target) {
    const db = databaseOf(target);
    const table = 'we`ird "table"; DROP TABLE x --', column = "co`l\"umn'", proto = "__proto__";
    const columns = [column, proto].map((name) => `${quoteName(name)} INTEGER`).join(", ");
    await db.createTable(`CREATE TABLE ${quoteName(table)} (${columns})`);
    await db.exec(`INSERT INTO ${quoteName(table)} VALUES (1, 2), (3, 4)`);
    const rows = await db.find(quoteName(table), { [quoteName(proto)]: 4 }, { orderBy: [quoteName(column)] });
    deepEqual(rows.map((row) => Object.entries(row)), [[[column, 3], [proto, 4]]]);
    const mapped = await db.query(`SELECT * FROM ${quoteName(table)} LIMIT 1`, [], { integers: "bigint" });
    deepEqual(Object.entries(mapped[0]!), [[column, 1n], [proto, 2n]]);
    const built = await db.select(quoteName(column)).from(quoteName(table), "t").orderBy(`${quoteName(column)} DESC`)
      .getOne();
    deepEqual(built, { [column]: 3 });
    deepEqual(await db.query("SELECT 1 AS x, 2 AS x"), [{ x: 2 }]);
    ok((await db.schema()).some(({ name, type }) => name === table && type === "table"));
    await db.dropTable(table);
    ok(!(await db.schema()).some(({ name }) => name === table));
  },

  async "find and the builder give the same rows"(target) {
    const db = databaseOf(target);
    await db.batch([
      "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, city TEXT)",
      "INSERT INTO people VALUES (1, 'Ada', 36, 'London'), (2, 'Bob', 17, NULL), (3, 'Cleo', 50, 'Athens')",
      "CREATE TABLE visits (person INTEGER, place TEXT)",
      "INSERT INTO visits VALUES (1, 'Paris'), (1, 'Rome'), (3, 'Rome')",
    ]);
    deepEqual(await db.find("people", { city: null }, { select: ["name"] }), [{ name: "Bob" }]);
    equal(await db.findOne("people", { name: "Nobody" }), null);
    const adults = db.select("name").from<{ name: string }>("people").where("age >= ?", 18).orderBy("name DESC");
    deepEqual(await adults.getMany({ map: ({ name }) => name }), ["Cleo", "Ada"]);
    deepEqual(await adults.andWhere("city = ?", "London").getOne(), { name: "Ada" });
    equal(await adults.andWhere("city = ?", "Nowhere").getOne(), null);
    deepEqual(await adults.orWhere("id = ?", 2).limit(1).offset(1).getMany(), [{ name: "Bob" }]);
    const counted = await db.select("p.name", "COUNT(v.place) AS n").from("people", "p")
      .leftJoin("visits AS v", "v.person = p.id").groupBy("p.id").orderBy("n DESC", "p.name").getMany();
    deepEqual(counted, [{ name: "Ada", n: 2 }, { name: "Cleo", n: 1 }, { name: "Bob", n: 0 }]);
    equal((await db.select().from("people").crossJoin("visits").getMany()).length, 9);
    equal((await db.select().from("people AS p").innerJoin("visits AS v", "v.person = p.id").getMany()).length, 3);
  },

  async "pages give every row once, also where rows are alike, are NULL, and come and go"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE paged (id INTEGER PRIMARY KEY, n INTEGER, data BLOB)");
    for (let id = 1; id <= 9; id++) {
      const n = id % 3 === 0 ? null : 2n ** 60n + BigInt(id % 2);
      await db.exec("INSERT INTO paged VALUES (?, ?, ?)", [id, n, Uint8Array.of(id, 255)]);
    }
    const paged = db.select("id").from<{ id: number }>("paged").orderBy("n DESC", "data").limit(2);
    const ids: number[] = [];
    for await (const page of paged.pages({ map: ({ id }) => Number(id) })) {
      ids.push(...page);
      await db.exec("INSERT INTO paged (n) VALUES (?)", [2n ** 61n]);
    }
    deepEqual(ids, [1, 5, 7, 2, 4, 8, 3, 6, 9]);
    const first = await paged.where("id < ?", 9).limit(8).getPage({ integers: "bigint" });
    deepEqual([first.rows[0], first.rows.length], [{ id: 1n }, 8]);
    deepEqual(await paged.where("id < ?", 9).limit(8).after(first.next!).getPage(), { rows: [], next: null });
    await rejects(paged.orderBy("id").after(first.next!).getPage(), (error) => {
      ok(error instanceof OramaError && error.code === "INVALID_REQUEST" && error.message.includes("after"));
      return true;
    });
  },

  async "a batch happens as a whole, or not at all"(target) {
    const db = databaseOf(target);
    await db.createTable("CREATE TABLE accounts (name TEXT PRIMARY KEY, cents INTEGER CHECK (cents >= 0))");
    const move = (cents: number) =>
      db.batch<[never, never, { sum: number }]>([
        { sql: "UPDATE accounts SET cents = cents - ? WHERE name = 'a'", args: [cents] },
        { sql: "UPDATE accounts SET cents = cents + ? WHERE name = 'b'", args: [cents] },
        "SELECT sum(cents) AS sum FROM accounts",
      ]);
    await db.exec("INSERT INTO accounts VALUES ('a', 100), ('b', 0)");
    const [taken, , total] = await move(60);
    deepEqual([taken.rowsAffected, total.rows], [1, [{ sum: 100 }]]);
    await rejects(move(60), (error) => error instanceof OramaError && error.code === "CONSTRAINT_FAILED");
    deepEqual(await db.query("SELECT cents FROM accounts ORDER BY name"), [{ cents: 40 }, { cents: 60 }]);
    throws(() => db.transaction(() => {}), /batch/);
  },

  async "a repository keeps objects"(target) {
    interface User {
      id: number;
      name: string;
      born: Date | null;
      avatar: Uint8Array | null;
    }
    const db = databaseOf(target);
    await db.createTable(
      "CREATE TABLE users (id INTEGER PRIMARY KEY, user_name TEXT NOT NULL, born TEXT, avatar BLOB)",
    );
    const users = db.repository<User, "id">("users", {
      primaryKey: "id",
      columns: { name: "user_name" },
      blobs: ["avatar"],
      fromRow: (row) => ({ ...row as unknown as User, born: row.born === null ? null : new Date(String(row.born)) }),
    });
    const born = new Date("1815-12-10");
    const ada = await users.save({ name: "Ada", born });
    deepEqual(ada, { id: 1, name: "Ada", born, avatar: null });
    deepEqual(await users.save({ id: 1, avatar: new Uint8Array([1]) }), { ...ada, avatar: new Uint8Array([1]) });
    equal((await users.save({ id: 7, name: "Bob" })).id, 7);
    deepEqual((await users.find({}, { orderBy: { name: "desc" } })).map(({ id }) => id), [7, 1]);
    deepEqual((await users.findOne({ name: "Ada" }))?.born, born);
    equal(await users.findOne({ name: "Eve" }), null);
    deepEqual([await users.count(), await users.count({ born: null })], [2, 1]);
    deepEqual([await users.delete({ id: 7 }), await users.delete({ id: 7 })], [true, false]);
    await rejects(users.delete({ name: "Ada" }), /primary key/);
    await rejects(users.find({ name: undefined as never }), /criteria\.name is undefined/);
    await rejects(users.save({ id: 8 }), (error) => error instanceof OramaError && error.code === "CONSTRAINT_FAILED");
  },

  async "a repository can have a key of several properties, and one that the database makes"(target) {
    const db = databaseOf(target);
    await db.batch([
      "CREATE TABLE stock (shop TEXT, item TEXT, n INTEGER DEFAULT 0, PRIMARY KEY (shop, item))",
      "CREATE TABLE tickets (code TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(8)))), note TEXT)",
    ]);
    interface Stock {
      shop: string;
      item: string;
      n: number;
    }
    const stock = db.repository<Stock, "shop" | "item">("stock", { primaryKey: ["shop", "item"] });
    deepEqual(await stock.save({ shop: "a", item: "x" }), { shop: "a", item: "x", n: 0 });
    deepEqual(await stock.save({ shop: "a", item: "x", n: 5 }), { shop: "a", item: "x", n: 5 });
    deepEqual(await stock.save({ shop: "a", item: "x" }), { shop: "a", item: "x", n: 5 });
    await stock.save({ shop: "b", item: "x", n: 1 });
    equal(await stock.count({ item: "x" }), 2);
    await rejects(stock.save({ shop: "a", n: 1 }), /shop, item/);
    await rejects(stock.delete({ shop: "a" }), /shop, item/);
    equal(await stock.delete({ shop: "a", item: "x" }), true);
    const tickets = db.repository<{ code: string; note: string | null }, "code">("tickets", { primaryKey: "code" });
    const { code, note } = await tickets.save({});
    ok(/^[\da-f]{16}$/.test(code));
    equal(note, null);
    deepEqual(await tickets.save({ code, note: "changed" }), { code, note: "changed" });
    deepEqual(await tickets.find(), [{ code, note: "changed" }]);
  },

  async "errors of the gateway keep their code"(target) {
    const db = databaseOf(target);
    const codeOf = (work: Promise<unknown>) =>
      work.then(() => "none", (error) => error instanceof OramaError ? error.code : String(error));
    equal(await codeOf(db.query("SELEC 1")), "SQL_INVALID");
    equal(await codeOf(db.query("DELETE FROM sqlite_schema")), "SQL_NOT_ALLOWED");
    equal(await codeOf(db.find("no_such_table")), "SQL_INVALID");
    equal(await codeOf(db.select("id").from("a; DROP TABLE b").getMany()), "INVALID_REQUEST");
    equal(await codeOf(db.dropTable("no_such_table")), "NOT_FOUND");
    const stranger = databaseOf({ ...target, apiKey: "ak_nobody:default" });
    equal(await codeOf(stranger.query("SELECT 1")), "INVALID_CREDENTIAL");
    const signal = AbortSignal.abort(new Error("left"));
    equal(await codeOf(db.query("SELECT 1", [], { signal })), "Error: left");
  },
};
