import { deepEqual, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { layoutOf } from "../../../services/database/changes/layout.ts";
import { readLiterals } from "../../../services/database/changes/literals.ts";
import { OwnCalls } from "../../../services/database/changes/own_calls.ts";
import { shapeOf } from "../../../services/database/changes/shape.ts";
import { CREATE_TABLES } from "../../../services/database/changes/tables.ts";
import { createTriggers } from "../../../services/database/changes/triggers.ts";
import type { DriverReply, DriverRequest } from "../../../services/database/driver.ts";
import { prepareExact, type SqliteDatabase } from "../../../services/database/sqlite/node_sqlite.ts";
import { present, type StoredValue } from "../../../services/database/values.ts";

/** Runs statements that read on a database in memory. */
function callsOn(db: DatabaseSync): OwnCalls {
  return new OwnCalls({
    run({ statements }: DriverRequest): Promise<DriverReply> {
      const outcomes = statements.map(({ sql, args }) => {
        const statement = prepareExact(db as SqliteDatabase, sql);
        const stored = statement.all(...args as string[]) as unknown as StoredValue[][];
        const columns = statement.columns();
        const rows = present(columns.map(({ name }) => name), columns.map(({ type }) => type), stored);
        return { ok: true as const, result: { rows, rowsAffected: 0, lastInsertId: 0 } };
      });
      return Promise.resolve({ kind: "done", outcomes });
    },
  });
}

Deno.test("looking for rows that a new one replaces reads no table from end to end", async () => {
  const tables = [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a)",
    "CREATE TABLE t (a, b)",
    "CREATE TABLE t (a TEXT COLLATE NOCASE UNIQUE, b REAL UNIQUE, c BLOB, UNIQUE (c, a))",
    "CREATE TABLE t (a, b, c, PRIMARY KEY (c, a), UNIQUE (b)) WITHOUT ROWID",
    "CREATE TABLE t (a VARCHAR(5) PRIMARY KEY, b, c AS (a || b) STORED UNIQUE)",
    "CREATE TABLE t (a, b, c); CREATE UNIQUE INDEX i ON t (lower(a), b COLLATE rtrim) WHERE c > 1",
    "CREATE TABLE t (a, b, c); CREATE UNIQUE INDEX i ON t (a DESC) WHERE b = 'a' AND c IS NOT NULL",
    "CREATE TABLE t (a, b, c); CREATE UNIQUE INDEX i ON t (json_extract(a, '$.b'), CAST(b AS text) COLLATE nocase ASC)",
  ];
  let looked = 0;
  for (const sql of tables) {
    const db = new DatabaseSync(":memory:");
    for (const { sql } of CREATE_TABLES) db.exec(sql);
    db.exec(sql);
    const shape = await shapeOf(callsOn(db), "n", "t", { signal: new AbortController().signal });
    const statements = createTriggers(shape, layoutOf(shape, undefined), { feed: 1, layout: 1 });
    for (const one of statements) db.exec(one.sql);
    for (const { sql: created } of statements.filter(({ sql }) => /_before_(insert|update) /.test(sql))) {
      for (const [query] of created.matchAll(/SELECT 1, .*?(?=; (?:INSERT|END))/g)) {
        const rowid = shape.rowid === "rowid" ? "rowid, *" : "*";
        const given = query.replaceAll(/\b(new|old)\./g, "n.").replace(
          " FROM ",
          ` FROM (SELECT ${rowid} FROM t LIMIT 1) n CROSS JOIN `,
        );
        const plan = prepareExact(db as SqliteDatabase, `EXPLAIN QUERY PLAN ${given}`).all() as unknown as unknown[][];
        const steps = plan.map(([, , , step]) => String(step));
        ok(steps.some((step) => step.startsWith("SEARCH r USING")), `${sql}\n${given}\n${steps.join("\n")}`);
        looked++;
      }
    }
    db.close();
  }
  ok(looked >= 30, String(looked));
});

Deno.test("values come back from SQLite's quote() as they were", () => {
  const db = new DatabaseSync(":memory:");
  const values: StoredValue[] = [
    null,
    0n,
    -1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
    0.1,
    0.1 + 0.2,
    5e-324,
    -1.7976931348623157e308,
    Infinity,
    -Infinity,
    1e15,
    100,
    "",
    "'",
    "a','b",
    "NULL",
    "X'00'",
    "\n,\t😀",
    new Uint8Array(),
    new Uint8Array([0, 39, 255]),
  ];
  const quoting = `SELECT concat_ws(',', ${values.map(() => "quote(?)").join(", ")}) AS text`;
  const { text } = db.prepare(quoting).get(...values) as { text: string };
  deepEqual(readLiterals(text), values);
  deepEqual(readLiterals(""), []);
  db.close();
});
