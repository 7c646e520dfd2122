import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { SqlDatabase } from "../../services/database/database.ts";
import { RqliteFiles } from "../../services/database/files/rqlite.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import { sqlIn, timedGateway } from "./support/timed_gateway.ts";
import { until } from "./support/wait.ts";

const context = { requestId: "test", signal: new AbortController().signal, clientAddress: "" };

/** A query that counts up to `n`; it takes as long as it takes. */
const counting = (n: number) =>
  `INSERT INTO t (n) WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ${n}) SELECT max(i) FROM c`;

/** Sends what the gateway never would: rqlite interrupts only the first statement of a request that runs out of time. */
const sendBulk = async (url: string, sqls: readonly string[], timeout = "100ms") => {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(sqls.map((sql) => [sql]));
  return await (await fetch(`${url}/db/execute?db_timeout=${timeout}`, { method: "POST", headers, body })).text();
};

/** Whether a read through the log is answered. */
const comesBack = (url: string) =>
  fetch(`${url}/db/query?level=strong&q=SELECT+1`, { signal: AbortSignal.timeout(300) }).then(async (response) => {
    await response.text();
    return true;
  }, () => false);

/** Makes a cluster with a table `t` hang for about fifteen seconds. @returns what tells when it no longer does */
async function hang(url: string): Promise<{ readonly ended: Promise<string> }> {
  const start = performance.now();
  await sendBulk(url, [counting(1_000_000)], "60s");
  const rows = Math.ceil(15_000 / (performance.now() - start)) * 1_000_000;
  // The interrupt of the first statement may meet the second one after all, and then nothing hangs.
  for (let tries = 0; tries < 20; tries++) {
    let over = false;
    const ended = sendBulk(url, [counting(rows), counting(rows)]).finally(() => over = true);
    ended.catch(() => {});
    await until("the log waits for it", async () => over || (!await comesBack(url) && !await comesBack(url)));
    if (!over) return { ended };
  }
  throw new Error("rqlite interrupted both statements each time");
}

engineTest(
  "a cluster that does not come back from a write refuses writes at once, reads on, and harms no other namespace",
  ["rqlited"],
  async (engines) => {
    const [one, two] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
    const changes: string[] = [];
    const clusters = new Map(
      [["one", one.urls], ["two", two.urls]].map(([name, urls]) => [
        name as string,
        new RqliteCluster({
          name: name as string,
          urls: urls as string[],
          timeout: 1_000,
          onStuck: (stuck) => changes.push(`${name} ${stuck}`),
        }),
      ]),
    );
    const driver = new RqliteDriver({ clusters, clusterOf: (name) => Promise.resolve(name), judge: new Judge() });
    const db = new SqlDatabase(driver, { rulesOf: () => ({ ...DEFAULT_RULES, timeout: 300 }) });
    const insert = (name: string) => db.execute(name, { sql: "INSERT INTO t (n) VALUES (?)", args: [1] }, context);
    try {
      for (const name of ["one", "two"]) {
        await db.execute(name, { sql: "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)", args: [] }, context);
        await insert(name);
      }
      const bulk = await hang(one.urls[0]!);
      await rejects(insert("one"), (error) => error instanceof GatewayError && error.code === "OUTCOME_UNKNOWN");
      await until("the cluster is known to be stuck", () => changes.length > 0);
      deepEqual(changes, ["one true"]);
      const before = performance.now();
      for (let i = 0; i < 50; i++) {
        await rejects(
          insert("one"),
          (error) =>
            error instanceof GatewayError && error.code === "UNAVAILABLE" &&
            /does not come to an end/.test(error.message),
        );
      }
      // Of one that waits for its deadline each takes 300 ms.
      ok((performance.now() - before) / 50 < 200, "at once");
      const files = new RqliteFiles((name) => Promise.resolve(clusters.get(name)!));
      await rejects(files.save("one", "a copy that is never made", context), { message: /does not come to an end/ });
      const read = await db.query("one", { sql: "SELECT n FROM t WHERE id = ?", args: [1] }, context);
      deepEqual(read.rows, [[1]]);
      await insert("two");
      const { status, reason, details } = await driver.health(context.signal);
      equal(status, "degraded");
      ok(/in 1 a statement does not come to an end/.test(reason ?? ""), reason ?? "");
      deepEqual(details, { clusters: 2, ready: 1, stuck: 1 });

      await bulk.ended;
      await until("it takes writes again", () => changes.length === 2);
      await insert("one");
      deepEqual(changes, ["one true", "one false"]);
      equal((await driver.health(context.signal)).status, "ok");
    } finally {
      await db.close();
    }
  },
);

engineTest(
  "a control plane that does not come back from a write is told by status, metric and log, and SQL goes on",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
    const url = control.urls[0]!;
    await using database = await databaseOn(control, [tenant]);
    await using gateway = await TestGateway.start({ driver: "rqlite", database });
    const { key } = await gateway.makeKey("--namespace", "shop", "--create-namespace");
    const { key: operator } = await gateway.makeKey("--operator");
    const run = (path: string, sql: string) => gateway.call("POST", `/v1/rqlite/${path}`, { key, body: { sql } });
    (await run("exec", "CREATE TABLE t (n)")).expect(200);
    const change = () =>
      gateway.call("PATCH", "/v1/namespaces/shop/limits", { key: operator, body: { sql: { bulk_rows: 5 } } });
    const stateOf = async () => (await gateway.call("GET", "/v1/status")).expect(200);
    const metric = async () =>
      /^sql_cluster_stuck\{cluster="control plane"\} (\d)$/m.exec(
        (await gateway.call("GET", "/metrics", { key: operator })).expect(200).text,
      )?.[1];
    equal((await stateOf()).get("services.control_plane.status"), "ok");

    // Nothing of the gateway's is called so.
    await sendBulk(url, ["CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)"], "60s");
    const bulk = await hang(url);
    ok([409, 503].includes((await change()).status));
    await until("it is known to be stuck", async () => await metric() === "1");
    const refused = (await change()).expect(503);
    match(refused.string("error"), /^the control database reads, and does not come back from an earlier change/);
    equal(refused.headers.get("retry-after"), "5");
    await until("status says so", async () => {
      const state = await stateOf();
      return state.get("status") === "degraded" && state.get("services.control_plane.status") === "degraded" &&
        /does not come back/.test(state.string("services.control_plane.reason"));
    });
    match(gateway.log(), /the cluster of the control plane lives and does not come back from a write/);
    (await run("exec", "INSERT INTO t VALUES (1)")).expect(200);
    (await run("query", "SELECT * FROM t")).expect(200);

    await bulk.ended;
    await until("it takes writes again", async () => await metric() === "0");
    (await change()).expect(200);
    await until("status says so", async () => (await stateOf()).get("services.control_plane.status") === "ok");
    match(gateway.log(), /takes writes again/);
  },
);

/** What meets the cluster that hangs before anything else does. */
const FIRST: readonly (readonly [path: string, body: unknown])[] = [
  ["transaction", { statements: ["INSERT INTO t (n) VALUES (1)", "INSERT INTO t (n) VALUES (2)"] }],
  ["bulk", { table: "t", columns: ["n"], rows: [[1], [2]] }],
];

engineTest(
  "a namespace whose cluster does not come back from a transaction, or from a load, is 503, and no other one is",
  ["rqlited"],
  async (engines) => {
    const [control, one, two] = await Promise.all([1, 2, 3].map(() => engines.rqlite({ nodes: 1 })));
    await using database = await databaseOn(control!, [one!, two!]);
    await using gateway = await timedGateway(database, 1_000);
    const { key: operator } = await gateway.makeKey("--operator");
    const sql = await sqlIn(gateway, "shop"), neighbour = await sqlIn(gateway, "neighbour");
    await sql.run("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)", "INSERT INTO t (n) VALUES (0)");
    await neighbour.run("CREATE TABLE n (n)");
    const isOf = async ({ urls }: { readonly urls: readonly string[] }) =>
      (await (await fetch(`${urls[0]}/db/query?q=SELECT+1+FROM+sqlite_schema+WHERE+name='t'`)).text()).includes(
        "values",
      );
    const at = await isOf(one!) ? 0 : 1;
    const url = [one!, two!][at]!.urls[0]!;
    const metrics = async () => (await gateway.call("GET", "/metrics", { key: operator })).expect(200).text;
    const stuck = async (cluster: number) =>
      new RegExp(`^sql_cluster_stuck\\{cluster="tenant-${cluster}"\\} 1$`, "m").test(await metrics());
    const status = async () => (await gateway.call("GET", "/v1/status")).expect(200);

    for (const [path, body] of FIRST) {
      const bulk = await hang(url);
      const first = (await sql.call(path, body)).expect(409);
      equal(first.get("code"), "OUTCOME_UNKNOWN", path);
      await until("the cluster is known to be stuck", () => stuck(at));
      equal(await stuck(1 - at), false);
      for (const [again, what] of [...FIRST, ["exec", { sql: "INSERT INTO t (n) VALUES (3)" }]] as const) {
        const refused = (await sql.call(again, what)).expect(503);
        equal(refused.get("code"), "UNAVAILABLE");
        match(
          refused.string("error"),
          /an earlier statement in the database of this namespace does not come to an end/,
        );
        equal(refused.headers.get("retry-after"), "5");
      }
      await until("status says so", async () => {
        const state = await status();
        return state.get("services.database.status") === "degraded" &&
          state.get("services.database.details.stuck") === 1 &&
          /^1 of 2 .*in 1 a statement does not come to an end$/.test(state.string("services.database.reason"));
      });
      const told = gateway.log().split("\n").filter((line) =>
        line.includes("lives and does not come back from a write")
      );
      ok(told.length > 0 && told.every((line) => line.includes(`tenant-${at}`)), told.join("\n"));
      deepEqual(await sql.rows("SELECT n FROM t WHERE id = 1"), [{ n: 0 }]);
      await neighbour.run("INSERT INTO n VALUES (1)");
      (await neighbour.call("transaction", { statements: ["INSERT INTO n VALUES (2)"] })).expect(200);
      (await neighbour.call("bulk", { table: "n", rows: [[3]] })).expect(200);

      await bulk.ended;
      await until("it takes writes again", async () => !await stuck(at));
      (await sql.call(path, body)).expect(200);
      await until("status says so", async () => (await status()).get("services.database.status") === "ok");
    }
  },
);
