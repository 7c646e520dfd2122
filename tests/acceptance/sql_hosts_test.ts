import { deepEqual, equal, match, ok } from "node:assert/strict";
import { namespaceFile } from "../../services/database/sqlite/namespace_file.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { TestGateway } from "../support/gateway.ts";
import { CAN_SEE_PROCESSES, hostOf, hostsOf, isThere } from "../support/host_processes.ts";
import { SqlCaller } from "../support/sql.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({ driver: "sqlite" });
const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) AS n FROM c";

function test(name: string, run: () => Promise<void>): void {
  if (CAN_SEE_PROCESSES) suite.test(name, run, { namespaces: 4 });
}

/** A namespace of its own, and who may ask it. */
async function tenant(gateway: TestGateway = suite.gateway) {
  const { apiKey, namespace } = await newOwner(gateway);
  return { sql: new SqlCaller(gateway, { key: apiKey }), key: apiKey, namespace };
}

test("a statement without end is answered in time, whichever way it came, and neighbours go on", async () => {
  const { sql } = await tenant(), neighbour = (await tenant()).sql;
  await sql.run("CREATE TABLE t (a)");
  await neighbour.run("CREATE TABLE t (a)");
  const timeout = 300;
  const ways = {
    query: () => sql.call("query", { sql: ENDLESS, timeout }),
    exec: () => sql.call("exec", { sql: `INSERT INTO t ${ENDLESS}`, timeout }),
    transaction: () =>
      sql.call("transaction", {
        ops: [{ kind: "exec", sql: "INSERT INTO t VALUES (1)" }, { kind: "query", sql: ENDLESS }],
        timeout,
      }),
    "query that sorts a cartesian product": () =>
      sql.call("query", {
        sql: "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 5000) " +
          "SELECT a.i FROM c a, c b, c d ORDER BY a.i * b.i % 7 LIMIT 10",
        timeout,
      }),
  };
  for (const [way, ask] of Object.entries(ways)) {
    const begun = performance.now();
    let took = Infinity, during = 0;
    const answer = awaitedLater(ask().finally(() => took = performance.now() - begun));
    while (took === Infinity) {
      (await neighbour.exec("INSERT INTO t VALUES (1)")).expect(200);
      during++;
    }
    const said = (await answer).expect(422);
    equal(said.get("code"), "STATEMENT_TIMEOUT", way);
    ok(took < 10_000, `${way}: ${took} ms`);
    ok(during > 3, `${way}: the neighbour was answered ${during} times`);
  }
  deepEqual(await sql.rows("SELECT count(*) AS n FROM t"), [{ n: 0 }]);
});

test("a killed process is replaced, and what was acknowledged is there", async () => {
  const { sql, namespace } = await tenant();
  await sql.run("CREATE TABLE t (a)");
  for (let i = 0; i < 5; i++) {
    await sql.run(`INSERT INTO t VALUES (${i})`);
    const pid = hostOf(suite.gateway.pid, `${suite.gateway.dataFolder}/namespaces/${namespaceFile(namespace)}`);
    ok(pid !== undefined);
    Deno.kill(pid, i % 2 === 0 ? "SIGKILL" : "SIGTERM");
    deepEqual(await sql.rows("SELECT count(*) AS n FROM t"), [{ n: i + 1 }]);
  }
});

test("a result that is too large is refused, and comes as a stream", async () => {
  const { sql } = await tenant();
  const many = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 300000) SELECT i FROM c";
  const refused = (await sql.query(many)).expect(413);
  equal(refused.get("code"), "RESULT_TOO_LARGE");
  match(refused.string("error"), /application\/x-ndjson/);
  const streamed = await sql.call("query", { sql: many }, { accept: "application/x-ndjson" });
  equal(streamed.status, 200);
  ok(streamed.text.split("\n").length >= 300_000);
});

test("a file that is no database harms its namespace alone, and the log says what to do", async () => {
  const { sql, namespace } = await tenant();
  const other = (await tenant()).sql;
  const file = `${suite.gateway.dataFolder}/namespaces/${namespaceFile(namespace)}`;
  await Deno.writeTextFile(file, "this is no database ".repeat(1_000));
  const answer = (await sql.query("SELECT 1")).expect(503);
  equal(answer.get("code"), "UNAVAILABLE");
  ok(!answer.text.includes(file), answer.text);
  (await other.query("SELECT 1")).expect(200);
  const told = suite.gateway.log().split("\n").find((line) =>
    line.includes(namespaceFile(namespace)) && line.includes("restore")
  );
  ok(told, "the log names the file and the way out");
  await Deno.remove(file);
  await until("it works again", async () => (await sql.query("SELECT 1")).status === 200);
});

test("the state of the processes can be seen", async () => {
  const status = await suite.gateway.call("GET", "/v1/status");
  const { database } = status.expect(200).get("services") as Record<string, { details: Record<string, number> }>;
  ok(database && database.details["hosts_running"]! >= 0 && database.details["hosts_killed"]! >= 4, status.text);
});

for (const signal of ["SIGKILL", "SIGTERM"] as const) {
  test(`a gateway that is ended by ${signal} leaves no process behind, also while a query runs without end`, async () => {
    await using gateway = await TestGateway.start({
      driver: "sqlite",
      config: { http: { shutdown: { grace: "100ms" } } },
    });
    const { sql, key } = await tenant(gateway);
    await sql.run("CREATE TABLE t (a)", "INSERT INTO t VALUES (7)");
    const endless = sql.call("query", { sql: ENDLESS, timeout: 30_000 }).catch(() => undefined);
    let hosts: number[] = [];
    await until("there are hosts", () => (hosts = hostsOf(gateway.pid)).length >= 2);
    gateway.signal(signal);
    await gateway.exitCode();
    await until("all hosts have ended", () => !hosts.some(isThere));
    await endless;
    await using again = await TestGateway.start({ driver: "sqlite", folder: gateway.folder });
    deepEqual(await new SqlCaller(again, { key }).rows("SELECT a FROM t"), [{ a: 7 }]);
  });
}

test("a gateway that is killed leaves no process behind that loads a dump without end", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite" });
  const { key } = await tenant(gateway);
  const endless = fetch(new URL("/v1/rqlite/restore", gateway.url), {
    method: "POST",
    headers: { "x-api-key": key, "content-type": "application/sql" },
    body: `CREATE TABLE t (n); INSERT INTO t ${ENDLESS};`,
  }).catch(() => undefined);
  const copies = `${gateway.folder}/data/copies`;
  const isLoading = ({ name }: Deno.DirEntry) =>
    [...Deno.readDirSync(`${copies}/${name}`)].some((file) => file.name === "loaded.sqlite");
  await until("the dump is being loaded", () => [...Deno.readDirSync(copies)].some(isLoading));
  const hosts = hostsOf(gateway.pid, "files");
  gateway.signal("SIGKILL");
  await gateway.exitCode();
  await until("the process has ended", () => !hosts.some(isThere));
  await endless;
});
