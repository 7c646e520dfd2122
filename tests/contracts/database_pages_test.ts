import { deepEqual, equal, rejects } from "node:assert/strict";
import type { PageResult, SelectSpec, SqlArgument } from "../../src/contracts/database.ts";
import { is, NAMESPACE, onBothDrivers, REQUEST, type Store, type Subject } from "./sql_databases.ts";

const pageOf = ({ database }: Subject, spec: SelectSpec, after = "") =>
  database.page(NAMESPACE, spec, after, REQUEST, { level: "strong" });

/** All rows, page by page. */
async function walk(db: Subject, spec: SelectSpec, between: (pages: number) => Promise<void> = async () => {}) {
  const rows = [];
  let pages = 0;
  for (let after: string | null = ""; after !== null;) {
    const page: PageResult = await pageOf(db, spec, after);
    equal(page.level, "strong");
    rows.push(...page.rows);
    after = page.next;
    if (after !== null) await between(++pages);
  }
  return rows;
}

const scenarios: Readonly<Record<string, (store: Store) => Promise<void>>> = {
  "pages keep every stored value apart, and show it as ever": async ({ db }) => {
    await db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a, at DATETIME, ok BOOLEAN, text TEXT)");
    const values: SqlArgument[] = [
      null,
      2n ** 53n + 1n,
      2n ** 53n,
      2n ** 63n - 1n,
      -(2n ** 63n),
      1,
      { real: 1 },
      { real: 1234567890123456768 },
      { real: 1.2345678901234567e300 },
      0.1 + 0.2,
      0.3,
      "",
      "a",
      "A",
      "é😀",
      new Uint8Array(),
      Uint8Array.of(0, 255),
      Uint8Array.of(97),
    ];
    for (const [id, value] of values.entries()) {
      await db.exec("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [id, value, `2026-01-18 10:00:0${id % 3}`, id % 2, value]);
    }
    await db.exec("INSERT INTO t VALUES (90, 9e999, NULL, 7, CAST(x'610062' AS TEXT)), (91, -9e999, 5, NULL, x'ff')");
    const columns = [
      "a",
      "a DESC",
      "text",
      "text DESC",
      "at DESC",
      "ok, at",
      "ok DESC, a",
      "text COLLATE NOCASE",
    ];
    for (const column of columns) {
      const sorted = await db.rows(`SELECT id FROM t ORDER BY ${column}, id${/DESC$/.test(column) ? " DESC" : ""}`);
      for (const limit of [1, 3]) {
        deepEqual(await walk(db, { table: "t", select: ["id"], orderBy: [column], limit }), sorted, column);
      }
    }
    const whole = await db.database.select(NAMESPACE, { table: "t", criteria: [["id", 1]] }, REQUEST);
    const page = await pageOf(db, { table: "t", criteria: [["id", 1]], orderBy: ["at"], limit: 1 });
    deepEqual([page.columns, page.types, page.rows], [whole.columns, whole.types, whole.rows]);
  },

  "what is there all the time comes once, while others insert and delete": async ({ db, gateway }) => {
    const other = gateway();
    await db.execAll(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, a, stays)",
      "CREATE TABLE w (id TEXT PRIMARY KEY, a, stays) WITHOUT ROWID",
    );
    for (const table of ["t", "w"]) {
      let made = 0;
      const insert = async (rows: number, stays: number) => {
        const values = Array.from({ length: rows }, () => {
          // Neither in the order of the ids nor behind one another.
          const id = (++made * 7_919) % 10_007;
          return `(${id}, ${made % 6 === 0 ? "NULL" : made % 6}, ${stays})`;
        });
        await other.exec(`INSERT INTO ${table} VALUES ${values.join(", ")}`);
      };
      await insert(60, 1);
      await insert(60, 0);
      for (const orderBy of [["a"], ["a DESC"], ["a ASC NULLS LAST"]]) {
        const walked = await walk(db, { table, orderBy, limit: 11 }, async (pages) => {
          if (pages > 25) return;
          await insert(4, 0);
          await other.exec(`DELETE FROM ${table} WHERE stays = 0 AND id % 5 = ${pages % 5}`);
        });
        const ids = walked.map(([id]) => id);
        equal(new Set(ids).size, ids.length, `${table} ${orderBy}: something came twice`);
        equal(walked.filter(([, , stays]) => stays === 1).length, 60, `${table} ${orderBy}: something was skipped`);
      }
    }
  },

  "pages of joins tell their rows apart": async ({ db }) => {
    await db.execAll(
      "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT)",
      "CREATE TABLE o (p INTEGER, rowid TEXT)",
      "INSERT INTO p VALUES (1, 'a'), (2, 'a'), (3, 'b')",
      "INSERT INTO o VALUES (1, 'x'), (1, 'x'), (2, 'x'), (NULL, 'x')",
    );
    const spec: SelectSpec = {
      table: "p AS q",
      select: ["q.id", "o.p"],
      joins: [{ kind: "FULL", table: "o", on: "o.p = q.id" }],
      orderBy: ["q.name"],
    };
    const whole = await walk(db, { ...spec, limit: 100 });
    equal(whole.length, 5);
    for (const limit of [1, 2]) deepEqual(await walk(db, { ...spec, limit }), whole);
  },

  "what cannot be paged is the client's mistake, and another gateway goes on where one ended": async (
    { db, gateway },
  ) => {
    await db.execAll("CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "CREATE VIEW v AS SELECT * FROM t");
    await db.exec("INSERT INTO t (a) VALUES (1), (1), (1)");
    const spec: SelectSpec = { table: "t", select: ["id"], orderBy: ["a"], limit: 2 };
    const { next } = await pageOf(db, spec);
    deepEqual((await pageOf(gateway(), spec, next!)).rows, [[3]]);
    await rejects(pageOf(db, { ...spec, orderBy: ["id"] }, next!), is("INVALID_REQUEST", "after: "));
    await rejects(pageOf(db, { ...spec, table: "v" }), is("INVALID_REQUEST", "table: "));
    await rejects(pageOf(db, { ...spec, table: "none" }), is("SQL_INVALID", "no such table"));
    await rejects(pageOf(db, { ...spec, orderBy: ["none"] }), is("SQL_INVALID", "none"));
    await rejects(pageOf(db, { ...spec, table: "_orama_commit" }), is("SQL_NOT_ALLOWED"));
    const many = Array.from({ length: 31 }, (_, at) => at % 2 === 0 ? "a" : "coalesce(a, id) DESC");
    equal((await walk(db, { ...spec, orderBy: many, limit: 1 })).length, 3);
  },
};

onBothDrivers(scenarios);
