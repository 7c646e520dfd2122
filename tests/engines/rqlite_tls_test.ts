import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { TlsOptions } from "../../services/rqlite/options.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { CERTIFICATES, pathOf } from "../support/certificates/index.ts";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn, type TestDatabase } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import type { RqliteTestNode } from "./support/rqlite.ts";
import { until } from "./support/wait.ts";

const { authority: ca, otherAuthority, gateway: cert, expired, key } = CERTIFICATES;
const user = { username: "gateway", password: "a pässword that is in no log" };
const basic = new TextEncoder().encode(`${user.username}:${user.password}`).toBase64();
const write = [{ sql: "CREATE TABLE IF NOT EXISTS t (x)", args: [] }];
const read = [{ sql: "SELECT 1", args: [] }];

/** The configuration of a database with more settings of `database.rqlite`. */
const withSettings = ({ config }: TestDatabase, more: Readonly<Record<string, unknown>>) => ({
  database: { ...config.database, rqlite: { ...config.database!.rqlite as object, ...more } },
});

/** Reads and writes are refused as not applied, for a reason that the error's causes tell. */
async function refused(url: string, tls: TlsOptions, reason: RegExp): Promise<void> {
  const cluster = new RqliteCluster({ name: "test", urls: [url], tls, patience: 200, ...user });
  const why = (error: unknown) => {
    ok(error instanceof GatewayError && error.code === "UNAVAILABLE", Deno.inspect(error));
    ok(!error.message.includes("127.0.0.1"), error.message);
    match(Deno.inspect(error.cause), reason);
    return true;
  };
  try {
    await rejects(cluster.execute(write, { transaction: false }), why);
    await rejects(cluster.query(read, { level: "weak" }), why);
    await rejects(cluster.stream(read[0]!, [], { level: "weak" }), why);
    equal(await cluster.ready(), false);
  } finally {
    await cluster.close();
  }
}

engineTest(
  "a node that nobody vouches for, or that has another name, gets nothing, and the reason is told",
  ["rqlited"],
  async (engines) => {
    const [node] = (await engines.rqlite({ nodes: 1, tls: "server" })).nodes;
    await refused(node!.url, {}, /invalid peer certificate: UnknownIssuer/);
    await refused(node!.url, { ca: otherAuthority }, /invalid peer certificate: UnknownIssuer/);
    const elsewhere = node!.url.replace("127.0.0.1", "localhost");
    await refused(elsewhere, { ca }, /invalid peer certificate: certificate not valid for name "localhost"/);
    await refused(node!.url.replace("https:", "http:"), { ca }, /HTTP request to an HTTPS server/);
    const cluster = new RqliteCluster({ name: "test", urls: [node!.url], tls: { ca } });
    try {
      const [result] = await cluster.query([{ sql: "SELECT count(*) FROM sqlite_schema", args: [] }], {
        level: "strong",
      });
      deepEqual(result?.kind === "rows" && result.rows, [[0]], "nothing was written by what was refused");
    } finally {
      await cluster.close();
    }
  },
);

engineTest("a node without TLS gets nothing under an https address", ["rqlited"], async (engines) => {
  const [node] = (await engines.rqlite({ nodes: 1 })).nodes;
  await refused(node!.url.replace("http:", "https:"), { ca }, /InvalidContentType/);
});

engineTest(
  "a node that asks for a certificate serves whoever shows one of its authority's; a refused write was not applied",
  ["rqlited"],
  async (engines) => {
    const [node] = (await engines.rqlite({ nodes: 1, tls: "mutual", user })).nodes;
    await refused(node!.url, { ca }, /received fatal alert: CertificateRequired/);
    await refused(node!.url, { ca, cert: expired, key }, /received fatal alert: \w*Certificate/);
    const cluster = new RqliteCluster({ name: "test", urls: [node!.url], tls: { ca, cert, key }, ...user });
    try {
      await cluster.execute(write, { transaction: false });
      equal((await cluster.query(read, { level: "strong" }))[0]?.kind, "rows");
      // More than one TLS record, both ways.
      const long = "x".repeat(300_000);
      const [result] = await cluster.query([{ sql: "SELECT ?", args: [long] }], { level: "weak" });
      deepEqual(result?.kind === "rows" && result.rows, [[long]]);
    } finally {
      await cluster.close();
    }
  },
);

/** How many requests to write a node got by itself, and not from another node. */
async function executions(node: RqliteTestNode): Promise<number> {
  const response = await node.ask("/debug/vars", { authorization: `Basic ${basic}` });
  return (await response.json() as { http: { executions: number } }).http.executions;
}

engineTest(
  "a gateway learns the other nodes over TLS, outlives the leader, and neither log nor answers hold what it proves itself with",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([
      engines.rqlite({ nodes: 1, tls: "mutual", user }),
      engines.rqlite({ nodes: 3, tls: "mutual", user }),
    ]);
    await using database = await databaseOn(control, [tenant]);
    const leader = await tenant.leader();
    const known = tenant.nodes.find((node) => node !== leader)!;
    const tls = { ca_file: pathOf("authority.pem"), cert, key_file: pathOf("key.pem") };
    const config = withSettings(database, { ...user, tls, pool: [{ name: "tenant-0", urls: [known.url] }] });
    await using gateway = await TestGateway.start({ driver: "rqlite", database, config });
    const { key: apiKey } = await gateway.makeKey("--namespace", "tls", "--create-namespace");
    const answers: string[] = [];
    const call = async (method: string, path: string, body?: unknown) => {
      const answer = await gateway.call(method, path, { key: apiKey, ...(body !== undefined && { body }) });
      answers.push(answer.text, JSON.stringify([...answer.headers]));
      return answer;
    };
    const exec = (sql: string) => call("POST", "/v1/rqlite/exec", { sql });
    (await exec("CREATE TABLE t (id INTEGER PRIMARY KEY)")).expect(200);
    (await exec("INSERT INTO t VALUES (1)")).expect(200);
    const insert = async () => (await exec("INSERT INTO t VALUES (NULL)")).status === 200;
    await until("the gateway writes to the leader itself", async () => await insert() && await executions(leader) > 0);
    await known.kill();
    await until("writes go through without the node that was configured", insert);
    await known.restart();
    await tenant.ready();
    await leader.kill();
    await until("writes go through without the leader", insert);
    deepEqual((await call("POST", "/v1/rqlite/query", { sql: "SELECT id FROM t" })).expect(200).get("items.0.id"), 1);
    (await call("GET", "/v1/status")).expect(200);
    const told = [gateway.log(), gateway.output(), ...answers, (await gateway.cli("config", "print")).stdout].join(
      "\n",
    );
    for (const secret of [user.password, encodeURIComponent(user.password), basic, key.split("\n")[1]!]) {
      equal(told.includes(secret), false, secret);
    }
  },
);

engineTest(
  "a namespace on nodes that nobody vouches for is 503 for reads and writes, and the log says why",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([
      engines.rqlite({ nodes: 1, user }),
      engines.rqlite({ nodes: 1, tls: "server", user }),
    ]);
    await using database = await databaseOn(control, [tenant]);
    const config = withSettings(database, { ...user, tls: { ca: otherAuthority } });
    await using gateway = await TestGateway.start({ driver: "rqlite", database, config });
    const { key: apiKey } = await gateway.makeKey("--namespace", "tls", "--create-namespace");
    const call = (path: string, sql: string) =>
      gateway.call("POST", `/v1/rqlite/${path}`, { key: apiKey, body: { sql } });
    for (const answer of await Promise.all([call("exec", "CREATE TABLE t (x)"), call("query", "SELECT 1")])) {
      equal(answer.expect(503).get("code"), "UNAVAILABLE");
      ok(Number(answer.headers.get("retry-after")) > 0);
      ok(!/127\.0\.0\.1|certificate/i.test(answer.text), answer.text);
    }
    const line = gateway.log().split("\n").find((line) => line.includes('"request failed"')) ?? "";
    match(line, /invalid peer certificate: UnknownIssuer/);
    ok(line.includes(tenant.urls[0]!), "the line names the node");
    equal([user.password, basic].some((secret) => gateway.log().includes(secret)), false);
  },
);
