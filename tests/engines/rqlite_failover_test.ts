import { deepEqual, equal, ok } from "node:assert/strict";
import { type ReadLevel, RqliteCluster } from "../../services/rqlite/client.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { engineTest } from "./support/engine_test.ts";
import type { RqliteTestCluster, RqliteTestNode } from "./support/rqlite.ts";
import { until } from "./support/wait.ts";

const WRITERS = 16;
/** Milliseconds within which writes must work again after the leader was lost: an election takes about 1.6 s. */
const BACK_WITHIN = 8_000;

/** Writers and readers that never stop, and what they were told. */
class Load {
  /** When each write was acknowledged, by its id. */
  readonly acknowledged = new Map<number, number>();
  readonly unknown = new Set<number>();
  readonly unavailable = new Set<number>();
  readonly strange: unknown[] = [];
  /** By level: how long each read took, and what failed. */
  readonly reads = new Map<ReadLevel, { longest: number; count: number; failures: unknown[] }>();
  readonly #loops: Promise<void>[] = [];
  #next = 0;
  #stopped = false;

  constructor(private readonly client: RqliteCluster) {
    for (let i = 0; i < WRITERS; i++) this.#loops.push(awaitedLater(this.#write()));
    for (const level of ["none", "none", "weak"] as const) this.#loops.push(awaitedLater(this.#read(level)));
  }

  /** Waits until so many more writes are acknowledged; returns the time of the first of them. */
  async acknowledges(count: number, within: number): Promise<number> {
    const before = this.acknowledged.size;
    await until(`${count} writes are acknowledged`, () => this.acknowledged.size >= before + count, within);
    return [...this.acknowledged.values()][before]!;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      const id = this.#next++;
      try {
        const [result] = await this.client.execute([{ sql: "INSERT INTO log (id) VALUES (?)", args: [id] }], {
          transaction: false,
        });
        if (result?.kind === "change" && result.rowsAffected === 1) this.acknowledged.set(id, performance.now());
        else this.strange.push(result);
      } catch (error) {
        if (error instanceof GatewayError && error.code === "OUTCOME_UNKNOWN") this.unknown.add(id);
        else if (error instanceof GatewayError && error.code === "UNAVAILABLE") this.unavailable.add(id);
        else this.strange.push(error);
        // What is refused at once would otherwise leave no time for anything that could end it.
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    }
  }

  async #read(level: ReadLevel): Promise<void> {
    const seen = this.reads.get(level) ?? { longest: 0, count: 0, failures: [] };
    this.reads.set(level, seen);
    while (!this.#stopped) {
      const start = performance.now();
      try {
        const [result] = await this.client.query([{ sql: "SELECT max(id) FROM log", args: [] }], { level });
        if (result?.kind !== "rows") seen.failures.push(result);
      } catch (error) {
        seen.failures.push(error);
      }
      seen.count++;
      seen.longest = Math.max(seen.longest, performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

function failoverTest(
  name: string,
  run: (cluster: RqliteTestCluster, load: Load, client: RqliteCluster) => Promise<void>,
): void {
  engineTest(name, ["rqlited"], async (engines) => {
    const cluster = await engines.rqlite({ nodes: 3 });
    const client = new RqliteCluster({ name: "test", urls: cluster.urls });
    const load = await start(cluster, client);
    try {
      await run(cluster, load, client);
    } finally {
      await load.stop();
      await client.close();
    }
    deepEqual(load.strange, []);
  });
}

async function start(cluster: RqliteTestCluster, client: RqliteCluster): Promise<Load> {
  await client.execute([{ sql: "CREATE TABLE log (id INTEGER PRIMARY KEY)", args: [] }], { transaction: false });
  for (const { url } of cluster.nodes) {
    await until("every node has the table", async () => (await idsOn(url, "none")).size === 0);
  }
  const load = new Load(client);
  await load.acknowledges(200, 10_000);
  return load;
}

async function idsOn(url: string, level: ReadLevel): Promise<Set<unknown>> {
  const client = new RqliteCluster({ name: "one", urls: [url], timeout: 10_000 });
  try {
    const [result] = await client.query([{ sql: "SELECT id FROM log", args: [] }], { level });
    ok(result?.kind === "rows", JSON.stringify(result));
    return new Set(result.rows.map(([id]) => id));
  } finally {
    await client.close();
  }
}

/** What was acknowledged is there, and what was said to be unavailable is not; on every node. */
async function checkStored(cluster: RqliteTestCluster, load: Load): Promise<void> {
  await cluster.ready();
  const stored = await idsOn((await cluster.leader()).url, "strong");
  const missing = [...load.acknowledged.keys()].filter((id) => !stored.has(id));
  const unexpected = [...load.unavailable].filter((id) => stored.has(id));
  deepEqual({ missing, unexpected }, { missing: [], unexpected: [] });
  const told = load.acknowledged.size + [...load.unknown].filter((id) => stored.has(id)).length;
  equal(stored.size, told, "rows that nobody was told of");
  for (const { id, url } of cluster.nodes) {
    await until(`${id} has caught up`, async () => (await idsOn(url, "none")).size === stored.size);
  }
}

/** An election that takes two rounds may last longer than the client's patience. */
function onlyUnavailable(failures: readonly unknown[]): void {
  deepEqual(failures.filter((failure) => !(failure instanceof GatewayError && failure.code === "UNAVAILABLE")), []);
}

async function loseLeader(
  cluster: RqliteTestCluster,
  load: Load,
  lose: (leader: RqliteTestNode) => void | Promise<void>,
) {
  const leader = await cluster.leader();
  const lost = performance.now();
  await lose(leader);
  // Some may still be acknowledged by the old leader's last breath: those after that prove a new one.
  await load.acknowledges(WRITERS, BACK_WITHIN);
  const back = await load.acknowledges(200, BACK_WITHIN);
  ok(back - lost < BACK_WITHIN, `back after ${back - lost} ms`);
  return leader;
}

failoverTest(
  "kill -9 of the leader under load loses no acknowledged write, and reads of level none do not notice",
  async (cluster, load) => {
    const leader = await loseLeader(cluster, load, (node) => node.kill());
    await leader.start();
    await cluster.ready();
    await load.acknowledges(200, BACK_WITHIN);
    await load.stop();

    const none = load.reads.get("none")!;
    deepEqual(none.failures, []);
    ok(none.longest < 1_000, `a read of level none took ${none.longest} ms`);
    onlyUnavailable(load.reads.get("weak")!.failures);
    ok(load.unknown.size <= 2 * WRITERS, `${load.unknown.size} unknown`);
    await checkStored(cluster, load);
  },
);

failoverTest(
  "a leader that is stopped and continued loses no acknowledged write, and reads go on",
  async (cluster, load) => {
    const leader = await loseLeader(cluster, load, (node) => node.pause());
    leader.resume();
    await cluster.ready();
    await load.acknowledges(200, BACK_WITHIN);
    await load.stop();

    deepEqual(load.reads.get("none")!.failures, []);
    onlyUnavailable(load.reads.get("weak")!.failures);
    ok(load.unknown.size > 0, "writes that hung in the stopped leader are unknown");
    await checkStored(cluster, load);
  },
);

failoverTest("the loss of a follower is not noticed by anybody", async (cluster, load) => {
  const leader = await cluster.leader();
  const follower = cluster.nodes.find((node) => node !== leader)!;
  await follower.kill();
  await load.acknowledges(500, BACK_WITHIN);
  await follower.start();
  await cluster.ready();
  await load.acknowledges(200, BACK_WITHIN);
  await load.stop();

  deepEqual([load.unknown.size, load.unavailable.size], [0, 0]);
  for (const { failures } of load.reads.values()) deepEqual(failures, []);
  await checkStored(cluster, load);
});

failoverTest(
  "without a majority writes end within a bound, reads of level none go on, and all is well after it is back",
  async (cluster, load, client) => {
    const leader = await cluster.leader();
    const others = cluster.nodes.filter((node) => node !== leader);
    await Promise.all([leader.kill(), others[0]!.kill()]);
    const begun = performance.now();
    await until("every writer was told that it cannot write", () => load.unavailable.size >= WRITERS);
    ok(performance.now() - begun < 10_000);
    const acknowledged = load.acknowledged.size;
    const before = load.reads.get("none")!.count;
    await until("there were more reads", () => load.reads.get("none")!.count > before + 20);
    equal(load.acknowledged.size, acknowledged);
    equal(await client.ready(), false);

    await leader.start();
    await load.acknowledges(200, 15_000);
    await others[0]!.start();
    await load.stop();
    deepEqual(load.reads.get("none")!.failures, []);
    await checkStored(cluster, load);
  },
);
