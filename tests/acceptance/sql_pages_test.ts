import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** One namespace for all of them: each test has tables of its own. */
let made: Promise<Owner> | undefined;
const sql = async () => new SqlCaller(suite.gateway, { key: (await (made ??= newOwner(suite.gateway))).apiKey });

test("an after that is none, or stands where no page can be, is 400 and names the field", async () => {
  const db = await sql();
  await db.run(
    "CREATE TABLE hostile (id INTEGER PRIMARY KEY, n INTEGER)",
    "INSERT INTO hostile VALUES (1, 1), (2, 1), (3, 2)",
    "CREATE VIEW hostile_view AS SELECT * FROM hostile",
  );
  const good = { table: "hostile", order_by: ["n"], limit: 1, after: "" };
  const next = (await db.call("find", good)).expect(200).string("next");
  const wrong: [unknown, string][] = [
    [{ after: [1, 2] }, "after"],
    [{ after: {} }, "after"],
    [{ after: 7 }, "after"],
    [{ after: true }, "after"],
    [{ after: "x" }, "after"],
    [{ after: "\u0000" }, "after"],
    [{ after: "A".repeat(500_000) }, "after"],
    [{ after: `${next}AAAA` }, "after"],
    [{ after: next.slice(4) }, "after"],
    [{ after: next, order_by: ["n DESC"] }, "after"],
    [{ order_by: [] }, "after"],
    [{ order_by: null }, "after"],
    [{ order_by: Array.from({ length: 100 }, () => "n,n,n,n,n,n,n,n,n,n") }, "order_by"],
    [{ order_by: Array.from({ length: 1_000 }, () => "n") }, "order_by"],
    [{ order_by: ["RANDOM()"] }, "order_by.0"],
    [{ limit: null }, "limit"],
    [{ limit: 0 }, "limit"],
    [{ offset: 1 }, "offset"],
    [{ group_by: ["n"] }, "group_by"],
    [{ select: ["COUNT(*)"] }, "select.0"],
    [{ table: "hostile_view" }, "table"],
  ];
  for (const operation of ["find", "select"]) {
    for (const [part, field] of wrong) {
      const answer = await db.call(operation, { ...good, ...part as object });
      equal(answer.expect(400).get("code"), "INVALID_REQUEST", JSON.stringify(part).slice(0, 100));
      equal(answer.get("details.0.field"), field, answer.text);
    }
    const lines = await db.call(operation, good, { accept: "application/x-ndjson" });
    equal(lines.expect(400).get("details.0.field"), "after");
  }
  const { table, ...options } = good;
  const inside = await db.call("find", { table, options: { ...options, after: "x" } });
  equal(inside.expect(400).get("details.0.field"), "options.after");
  const beside = await db.call("find", { table, options: { limit: 1, order_by: ["n"] }, after: "" });
  equal(beside.expect(400).get("details.0.field"), "after");
  equal((await db.call("find-one", good)).expect(400).get("details.0.field"), "after");
  equal((await db.call("select", { ...good, one: true })).expect(400).get("details.0.field"), "after");
  equal((await db.call("find", { ...good, table: "nowhere" })).expect(400).get("code"), "SQL_INVALID");
});

test("each answer hands out what the next request needs, until there is no more", async () => {
  const db = await sql();
  await db.run("CREATE TABLE walked (id INTEGER PRIMARY KEY, n INTEGER, at DATETIME, ok BOOLEAN, data BLOB)");
  const rows = ["1, 9007199254740993, '2026-01-18 10:00:00', 1, x'00ff'", "2, 9007199254740992, NULL, 0, x'00ff'"];
  rows.push("3, 9007199254740993, '2026-01-18 10:00:00', 1, x'00'", "4, NULL, '2026-01-17', NULL, NULL");
  rows.push("5, NULL, NULL, 0, 'x'");
  await db.run(`INSERT INTO walked VALUES (${rows.join("), (")})`);
  const ids = async (operation: string, body: Record<string, unknown>, wrap: boolean) => {
    const all: unknown[] = [];
    for (let after: unknown = ""; typeof after === "string";) {
      const options = { ...body, limit: 2, after };
      const answer = (await db.call(operation, { table: "walked", ...(wrap ? { options } : options) })).expect(200);
      match(answer.headers.get("orama-read-level")!, /weak|none|strong|linearizable/);
      equal(answer.get("count"), answer.list("items").length);
      deepEqual(Object.keys(answer.list("items")[0] ?? { id: 0 }), body.select ?? ["id", "n", "at", "ok", "data"]);
      all.push(...answer.list("items").map(({ id }) => id));
      after = answer.get("next");
      ok(after === null || (typeof after === "string" && answer.get("count") === 2));
    }
    return all;
  };
  const orders: [string[], number[]][] = [
    [["n"], [4, 5, 2, 1, 3]],
    [["n DESC"], [3, 1, 2, 5, 4]],
    [["n DESC", "at DESC", "data"], [3, 1, 2, 4, 5]],
    [["ok", "data DESC"], [4, 2, 5, 1, 3]],
    [["at NULLS LAST"], [4, 1, 3, 2, 5]],
  ];
  for (const [order_by, expected] of orders) {
    deepEqual(await ids("find", { order_by }, true), expected, `${order_by}`);
    deepEqual(await ids("find", { order_by }, false), expected, `${order_by}`);
    deepEqual(await ids("select", { order_by, select: ["id"] }, false), expected, `${order_by}`);
  }
  equal((await db.call("find", { table: "walked", limit: 1 })).expect(200).get("next"), undefined);
});
