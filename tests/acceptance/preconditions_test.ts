import { deepEqual, equal, match } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

let made: Promise<Owner> | undefined;
const sql = async () => new SqlCaller(suite.gateway, { key: (await (made ??= newOwner(suite.gateway))).apiKey });

test("a transaction happens only if its preconditions hold", async () => {
  const db = await sql();
  await db.run("CREATE TABLE stock (item TEXT PRIMARY KEY, left INTEGER)", "INSERT INTO stock VALUES ('pen', 2)");
  const take = (expect: unknown) =>
    db.call("transaction", {
      ops: [
        { kind: "query", sql: "SELECT left FROM stock WHERE item = ?", args: ["pen"], expect },
        { kind: "exec", sql: "UPDATE stock SET left = left - 1 WHERE item = ?", args: ["pen"] },
      ],
      return_results: true,
    });
  deepEqual((await take({ values: [[2]] })).expect(200).body, {
    status: "ok",
    results: [[{ left: 2 }], { rows_affected: 1, last_insert_id: 0 }],
  });
  const refused = (await take({ values: [[2]] })).expect(412);
  deepEqual([refused.get("code"), refused.get("details")], ["PRECONDITION_FAILED", {
    step: 0,
    field: "ops.0",
    expected: { values: [[2]] },
    rows: 1,
  }]);
  match(refused.string("error"), /^ops\.0: the query gave other values than expected$/);
  equal((await take({ rows: 2 })).expect(412).get("details.rows"), 1);
  (await take({ rows: 1 })).expect(200);
  (await take(null)).expect(200);
  deepEqual(await db.rows("SELECT left FROM stock"), [{ left: -1 }]);
});

test("expected values have the grammar of args, exact to the last bit", async () => {
  const db = await sql();
  await db.run("CREATE TABLE bits (i, b, t, n, r)");
  (await db.callRaw(
    "exec",
    '{"sql":"INSERT INTO bits VALUES (?, ?, ?, ?, ?)","args":[9223372036854775807,{"type":"blob","base64":"AP8="},"é",null,{"type":"float","value":1}]}',
  )).expect(200);
  const check = (values: string) =>
    db.callRaw(
      "transaction",
      `{"ops":[{"kind":"query","sql":"SELECT i, b, t, n, r FROM bits","expect":{"values":[${values}]}}]}`,
    );
  const blob = '{"type":"blob","base64":"AP8="}';
  (await check(`[9223372036854775807,${blob},"é",null,1]`)).expect(200);
  (await check(`[{"type":"integer","value":"9223372036854775807"},${blob},"é",{"type":"null"},1.0]`)).expect(200);
  const refused = (await check(`[9223372036854775806,${blob},"é",null,1]`)).expect(412);
  deepEqual(refused.get("details.expected.values.0.0"), { type: "integer", value: "9223372036854775806" });
  deepEqual(refused.get("details.expected.values.0.1"), { type: "blob", base64: "AP8=" });
  (await check(`[9223372036854775807,"AP8=","é",null,1]`)).expect(412);
  (await check(`[9223372036854775807,${blob},"e",null,1]`)).expect(412);
  (await check(`[9223372036854775807,${blob},"é",0,1]`)).expect(412);
  const fewer = (await check(`[9223372036854775807,${blob}]`)).expect(412);
  deepEqual([fewer.get("details.columns"), fewer.get("details.step")], [5, 0]);
});

test("an expectation that is none is refused", async () => {
  const db = await sql();
  const call = (op: unknown) => db.call("transaction", { ops: [op] });
  for (
    const expect of [
      {},
      [],
      1,
      "x",
      { rows: -1 },
      { rows: 1.5 },
      { rows: "1" },
      { rows: 1, values: [[1]] },
      { values: [1] },
      { values: [[]] },
      { values: [[1], [1, 2]] },
      { values: [[{ a: 1 }]] },
      { values: null },
      { columns: 1 },
    ]
  ) {
    const answer = (await call({ kind: "query", sql: "SELECT 1", expect })).expect(400);
    equal(answer.get("code"), "INVALID_REQUEST", JSON.stringify(expect));
  }
  (await call({ kind: "exec", sql: "CREATE TABLE no (a)", expect: { rows: 1 } })).expect(400);
  (await call({ kind: "query", sql: "PRAGMA user_version", expect: { rows: 1 } })).expect(400);
});

test("a client's own mistake is not taken for a failed precondition", async () => {
  const db = await sql();
  const op = { kind: "query", sql: "SELECT json('x')", expect: { rows: 1 } };
  const answer = (await db.call("transaction", { ops: [op] })).expect(400);
  equal(answer.get("code"), "SQL_INVALID");
  match(answer.string("error"), /malformed JSON/);
});

test("compare and set: of twenty writers one wins each round", async () => {
  const db = await sql();
  await db.run("CREATE TABLE counter (id INTEGER PRIMARY KEY, n, winner)", "INSERT INTO counter VALUES (1, 0, NULL)");
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, writer) =>
        db.call("transaction", {
          ops: [
            { kind: "query", sql: "SELECT n FROM counter WHERE id = 1", expect: { values: [[round]] } },
            { kind: "exec", sql: "UPDATE counter SET n = n + 1, winner = ? WHERE id = 1", args: [writer] },
          ],
        })),
    );
    const winners = answers.flatMap(({ status }, writer) => status === 200 ? [writer] : []);
    equal(winners.length, 1);
    for (const answer of answers) {
      if (answer.status !== 200) equal(answer.expect(412).get("code"), "PRECONDITION_FAILED");
    }
    deepEqual(await db.rows("SELECT n, winner FROM counter"), [{ n: round + 1, winner: winners[0] }]);
  }
});
