import { deepEqual, equal, match } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { SqlCaller } from "../support/sql.ts";
import { databaseOn } from "../support/test_database.ts";
import type { Engines } from "./support/engine_test.ts";
import { networkTest, type TestNetwork } from "./support/network.ts";
import type { RqliteTestCluster, RqliteTestNode } from "./support/rqlite.ts";
import { until } from "./support/wait.ts";

/** As a duration; a follower hears from its leader several times in it. */
const FRESHNESS = "2s", FRESHNESS_MS = 2_000;
/** Reads of a gateway that asks three nodes in turn come to each of them. */
const TURNS = 6;
const LEVELS = ["weak", "linearizable", "strong"];
const HEADER = "orama-read-level";
const WAY = "Accept: application/x-ndjson";

type Read = (sql: SqlCaller, options: Readonly<Record<string, unknown>>) => Promise<Answer>;

/** Every way to read, of a table with one row whose `n` only rises. */
const READS: Readonly<Record<string, Read>> = {
  "query": (sql, options) => sql.call("query", { sql: "SELECT n FROM t", ...options }),
  "find": (sql, options) => sql.call("find", { table: "t", ...options }),
  "find-one": (sql, options) => sql.call("find-one", { table: "t", ...options }),
  "select": (sql, options) => sql.call("select", { table: "t", select: ["n"], ...options }),
  "a page": (sql, options) => sql.call("find", { table: "t", order_by: ["n"], limit: 5, after: "", ...options }),
  "a query that goes alone": (sql, options) => sql.call("query", { sql: "SELECT max(n) AS n FROM t", ...options }),
  [WAY]: (sql, options) =>
    sql.call("query", { sql: "SELECT n FROM t", ...options }, { accept: "application/x-ndjson" }),
};

/** The number in an answer, which names the level that it was read at. */
function numberIn(answer: Answer, level: string, what: string): number {
  equal(answer.status, 200, `${what} at ${level}: ${answer.text}`);
  equal(answer.headers.get(HEADER), level, what);
  return Number(/"n":(\d+)|^\[(\d+)\]$/m.exec(answer.text)?.slice(1).find((digits) => digits !== undefined));
}

function isUnavailable(answer: Answer, what: string): void {
  deepEqual(
    [answer.status, answer.status === 503 && answer.get("code")],
    [503, "UNAVAILABLE"],
    `${what}: ${answer.text}`,
  );
  match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/, what);
}

/** A gateway, three nodes on machines of their own, and a table with one row. */
interface Scene {
  readonly gateway: TestGateway;
  readonly owner: Owner;
  readonly sql: SqlCaller;
  readonly tenant: RqliteTestCluster;
  readonly leader: RqliteTestNode;
  readonly machineOf: (node: RqliteTestNode) => TestNetwork["machines"][number];
}

async function on(network: TestNetwork, engines: Engines, run: (scene: Scene) => Promise<void>): Promise<void> {
  const [control, tenant] = await Promise.all([
    engines.rqlite({ nodes: 1 }),
    engines.rqlite({ nodes: 3, machines: network.machines }),
  ]);
  await using database = await databaseOn(control, [tenant]);
  await using gateway = await TestGateway.start({
    driver: "rqlite",
    cacheDriver: "memory",
    storageDriver: "local",
    database,
  });
  await using owner = await newOwner(gateway);
  const sql = new SqlCaller(gateway, { key: owner.apiKey });
  await sql.run("CREATE TABLE t (n INTEGER NOT NULL)", "INSERT INTO t VALUES (1)");
  await until("every node has it", async () => {
    const numbers = await Promise.all(tenant.nodes.map((node) => ownNumber(node)));
    return numbers.every((text) => text.includes("[[1]]"));
  });
  const leader = await tenant.leader();
  const machineOf = (node: RqliteTestNode) => network.machines[tenant.nodes.indexOf(node)]!;
  await run({ gateway, owner, sql, tenant, leader, machineOf });
}

/** What a node has itself, or that it refuses to say. */
const ownNumber = async (node: RqliteTestNode, freshness = "") =>
  await (await node.ask(`/db/query?level=none${freshness}&q=SELECT+n+FROM+t`)).text();

/** How many requests it was asked to read something. */
const askedOf = async (node: RqliteTestNode) =>
  (await (await node.ask("/debug/vars")).json() as { http: { queries: number } }).http.queries;

const refuses = async (node: RqliteTestNode) =>
  (await ownNumber(node, `&freshness=${FRESHNESS_MS}ms`)).includes("stale read");

networkTest(
  import.meta.url,
  "a follower that its leader does not reach answers level none with what it has, and with freshness another node does or nobody",
  ["rqlited"],
  3,
  (network, engines) =>
    on(network, engines, async ({ gateway, owner, sql, tenant, leader, machineOf }) => {
      const follower = tenant.nodes.find((node) => node !== leader)!;
      const others = tenant.nodes.filter((node) => node !== follower);
      /** What each way of reading gives in all turns, smallest first, without copies. */
      const seen = async (options: Readonly<Record<string, unknown>>, level = String(options["level"])) => {
        const numbers = new Set<number>();
        for (const [what, read] of Object.entries(READS)) {
          for (let turn = 0; turn < TURNS; turn++) numbers.add(numberIn(await read(sql, options), level, what));
        }
        return [...numbers].sort();
      };
      const asked = await askedOf(follower);
      await until("the follower has its turn", async () => {
        await seen({ level: "none" });
        return await askedOf(follower) > asked;
      });
      await network.part(machineOf(follower));
      await sql.run("UPDATE t SET n = 2");
      await until("the follower has not heard from its leader for too long", () => refuses(follower));
      await until("the others have", async () =>
        (await Promise.all(others.map((node) => ownNumber(node)))).every((text) => text.includes("[[2]]")));

      deepEqual(await seen({ level: "none" }), [1, 2], "old data from the follower in its turn, new from the others");
      deepEqual(await seen({ level: "none", freshness: FRESHNESS }), [2], "never from the follower");
      for (const level of LEVELS) {
        deepEqual(await seen({ level }), [2], level);
      }
      for (const level of LEVELS) {
        deepEqual(await seen({ level, freshness: "1ms" }), [2], `${level}, which has no use for it`);
      }
      deepEqual(await seen({ level: "none" }), [1, 2], "who refuses is asked again");

      const settings = async (own: Readonly<Record<string, unknown>>) =>
        (await gateway.call("PATCH", `/v1/namespaces/${owner.namespace}/settings`, {
          token: owner.accessToken,
          body: { sql: own },
        })).expect(200);
      await settings({ read_level: "none", freshness: FRESHNESS_MS });
      deepEqual(await seen({}, "none"), [2], "the namespace's own freshness");
      deepEqual(await seen({ level: "none" }), [1, 2], "which is not that of who names a level");
      await settings({ freshness: null });
      deepEqual(await seen({}, "none"), [1, 2], "the namespace's own level without it");
      deepEqual(await seen({ level: "weak" }), [2]);
      await settings({ read_level: null });

      for (const node of others) {
        node.pause();
      }
      try {
        const reading = (options: Readonly<Record<string, unknown>>) =>
          Promise.all(
            Object.entries(READS).map(async ([what, read]) =>
              [what, await read(sql, options)] as const
            ),
          );
        const [old, fresh, ...higher] = await Promise.all(
          [{ level: "none" }, { level: "none", freshness: FRESHNESS }, ...LEVELS.map((level) => ({ level }))].map(
            reading,
          ),
        );
        for (const [what, answer] of old!) equal(numberIn(answer, "none", what), 1);
        for (const [what, answer] of fresh!) isUnavailable(answer, `${what} with freshness`);
        for (const [at, answers] of higher.entries()) {
          for (const [what, answer] of answers) isUnavailable(answer, `${what} at ${LEVELS[at]}`);
        }
      } finally {
        for (const node of others) node.resume();
      }
      await network.join(machineOf(follower));
      await until("the follower has caught up", async () => (await ownNumber(follower)).includes("[[2]]"));
      const all = [{ level: "none" }, { level: "none", freshness: FRESHNESS }, ...LEVELS.map((level) => ({ level }))];
      await until("every level is served again", async () => {
        for (const options of all) deepEqual(await seen(options), [2]);
        return true;
      });
    }),
);
