import { deepEqual, equal, ok } from "node:assert/strict";
import { newMember, newOwner, type SignedIn, uniqueName } from "../support/accounts.ts";
import { isSqlRefused, SqlCaller } from "../support/sql.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const sqlOf = ({ apiKey: key }: SignedIn) => new SqlCaller(suite.gateway, { key });

/** A table to attack, and one that must not show. */
async function prepared(owner: SignedIn): Promise<SqlCaller> {
  const db = sqlOf(owner);
  await db.run(
    "CREATE TABLE t (id INTEGER, v TEXT)",
    "CREATE TABLE secrets (v TEXT)",
    "INSERT INTO t VALUES (1, 'x')",
    "INSERT INTO secrets VALUES ('TOP-SECRET')",
  );
  return db;
}

test("two namespaces see nothing of each other", async () => {
  await using one = await newOwner(suite.gateway);
  await using two = await newOwner(suite.gateway, uniqueName(), ethereumWallet());
  const [first, second] = [sqlOf(one), sqlOf(two)];
  await first.run("CREATE TABLE shared_name (v TEXT)", "INSERT INTO shared_name VALUES ('of one')");
  isSqlRefused(await second.query("SELECT * FROM shared_name"), "the other's table");
  await second.run("CREATE TABLE shared_name (v TEXT)", "INSERT INTO shared_name VALUES ('of two')");
  deepEqual(await first.rows("SELECT v FROM shared_name"), [{ v: "of one" }]);
  deepEqual(await second.rows("SELECT v FROM shared_name"), [{ v: "of two" }]);
  await second.run("DROP TABLE shared_name");
  deepEqual(await first.rows("SELECT v FROM shared_name"), [{ v: "of one" }]);
  for (const header of [{ "x-namespace": one.namespace }, { "x-wallet": one.wallet.address }]) {
    const answer = await suite.gateway.call("POST", `/v1/rqlite/query?namespace=${one.namespace}`, {
      key: two.apiKey,
      headers: header,
      body: { sql: "SELECT v FROM shared_name", namespace: one.namespace },
    });
    equal(answer.status, 400, "the namespace is the credential's");
  }
}, { namespaces: 2 });

test("a deleted namespace's data is gone when its name is used again", async () => {
  const name = uniqueName(), wallet = ethereumWallet();
  const before = await newOwner(suite.gateway, name, wallet);
  await sqlOf(before).run("CREATE TABLE old (v TEXT)", "INSERT INTO old VALUES ('left behind')");
  (await suite.gateway.call("DELETE", `/v1/namespaces/${name}`, { token: before.accessToken })).expect(200);
  let again: Awaited<ReturnType<typeof newOwner>> | undefined;
  for (let tries = 0; again === undefined && tries < 200; tries++) {
    again = await newOwner(suite.gateway, name, wallet).catch(() => undefined);
  }
  await using owner = again!;
  deepEqual((await sqlOf(owner).schema()).expect(200).list("tables"), []);
  isSqlRefused(await sqlOf(owner).query("SELECT * FROM old"), "the old table");
});

test("a transaction is all or nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = sqlOf(owner);
  await db.run(
    "CREATE TABLE account (id INTEGER PRIMARY KEY, n INTEGER CHECK (n >= 0))",
    "INSERT INTO account VALUES (1, 10), (2, 0)",
  );
  const transfer = (n: number) => ({
    ops: [
      { kind: "exec", sql: "UPDATE account SET n = n + ? WHERE id = 2", args: [n] },
      { kind: "exec", sql: "UPDATE account SET n = n - ? WHERE id = 1", args: [n] },
    ],
  });
  const refused = (await db.call("transaction", transfer(11))).expect(409);
  equal(refused.get("code"), "CONSTRAINT_FAILED");
  equal(refused.get("details.step"), 1);
  for (
    const broken of ["SELEC", "INSERT INTO missing VALUES (1)", "INSERT INTO made VALUES (1, 2)", "ATTACH 'x' AS y"]
  ) {
    const answer = await db.call("transaction", {
      statements: ["DELETE FROM account", "CREATE TABLE made (a)", broken],
    });
    ok([400, 409].includes(answer.status), answer.text);
    equal(answer.get("details.step"), 2, answer.text);
  }
  deepEqual(await db.rows("SELECT * FROM account ORDER BY id"), [{ id: 1, n: 10 }, { id: 2, n: 0 }]);
  equal((await db.schema()).get("count"), 1);
  const answers = await Promise.all(Array.from({ length: 15 }, () => db.call("transaction", transfer(1))));
  equal(answers.filter(({ status }) => status === 200).length, 10);
  deepEqual(await db.rows("SELECT * FROM account ORDER BY id"), [{ id: 1, n: 0 }, { id: 2, n: 10 }]);
});

test("concurrent writes lose nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const db = sqlOf(owner);
  await db.run(
    "CREATE TABLE counter (n INTEGER)",
    "INSERT INTO counter VALUES (0)",
    "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)",
  );
  const writes = Array.from(
    { length: 60 },
    (_, i) => i % 2 ? db.exec("UPDATE counter SET n = n + 1") : db.exec("INSERT INTO log (v) VALUES (?)", `v${i}`),
  );
  const answers = await Promise.all(writes);
  for (const answer of answers) answer.expect(200);
  const ids = answers.filter((_, i) => i % 2 === 0).map((answer) => answer.get("last_insert_id"));
  equal(new Set(ids).size, 30, "each insert is told its own id");
  deepEqual(await db.rows("SELECT (SELECT n FROM counter) AS n, (SELECT count(*) FROM log) AS l"), [{ n: 30, l: 30 }]);
});

test("a statement needs the scope of its kind, wherever it stands", async () => {
  await using owner = await newOwner(suite.gateway);
  await prepared(owner);
  const keyWith = async (...scopes: string[]) => {
    const made = await suite.gateway.call("POST", "/v1/auth/keys", {
      token: owner.accessToken,
      body: { name: "x", scopes },
    });
    return new SqlCaller(suite.gateway, { key: made.expect(201).string("api_key") });
  };
  const needs = async (db: SqlCaller, operation: string, body: unknown, scope: string) => {
    const answer = (await db.call(operation, body)).expect(403);
    equal(answer.get("code"), "INSUFFICIENT_SCOPE");
    equal(answer.get("details.required_scope"), scope, `${operation} ${JSON.stringify(body)}`);
  };
  const reader = await keyWith("sql:read"), writer = await keyWith("sql:write"), definer = await keyWith("sql:admin");
  (await reader.query("SELECT 1 AS x")).expect(200);
  await needs(reader, "exec", { sql: "INSERT INTO t VALUES (2, 'y')" }, "sql:write");
  await needs(reader, "transaction", { statements: ["SELECT 1"] }, "sql:write");
  await needs(reader, "create-table", { schema: "CREATE TABLE x (a)" }, "sql:admin");
  (await writer.exec("INSERT INTO t VALUES (2, 'y')")).expect(200);
  await needs(writer, "query", { sql: "SELECT 1" }, "sql:read");
  await needs(writer, "exec", { sql: "DROP TABLE t" }, "sql:admin");
  await needs(writer, "exec", { sql: "CREATE TABLE x (a)" }, "sql:admin");
  await needs(writer, "exec", { sql: "INSERT INTO t VALUES (3, 'z') RETURNING *" }, "sql:read");
  await needs(writer, "transaction", { statements: ["INSERT INTO t VALUES (3, 'z')", "DROP TABLE t"] }, "sql:admin");
  await needs(writer, "transaction", { ops: [{ kind: "query", sql: "SELECT * FROM secrets" }] }, "sql:read");
  await needs(definer, "query", { sql: "SELECT 1" }, "sql:read");
  (await definer.call("create-table", { schema: "CREATE TABLE by_definer (a)" })).expect(201);
  deepEqual(await reader.rows("SELECT count(*) AS n FROM t"), [{ n: 2 }]);
});

test("a viewer reads, and writes nothing by any door", async () => {
  await using owner = await newOwner(suite.gateway);
  await prepared(owner);
  const viewer = await newMember(suite.gateway, owner, "viewer");
  for (const credential of [{ token: viewer.accessToken }, { key: viewer.apiKey }]) {
    const db = new SqlCaller(suite.gateway, credential);
    deepEqual(await db.rows("SELECT count(*) AS n FROM t"), [{ n: 1 }]);
    for (
      const [operation, body] of [
        ["exec", { sql: "DELETE FROM t" }],
        ["transaction", { statements: ["DELETE FROM t"] }],
        ["create-table", { schema: "CREATE TABLE x (a)" }],
        ["drop-table", { table: "t" }],
      ] as const
    ) (await db.call(operation, body)).expect(403);
    isSqlRefused(await db.query("DELETE FROM t"), "a write as a query");
  }
  deepEqual(await sqlOf(owner).rows("SELECT count(*) AS n FROM t"), [{ n: 1 }]);
});
