import { deepEqual, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import type { RqliteTestCluster } from "./support/rqlite.ts";
import { until } from "./support/wait.ts";

const WRITERS = 64;
/** Acknowledged writes before the first blow, and that must follow each one. */
const CALM = 500;
/** Milliseconds for which a paused node answers nobody. */
const PAUSE = 4_000;

type Blow = readonly [name: string, strike: (cluster: RqliteTestCluster) => Promise<() => Promise<void>>];

const follower = async (cluster: RqliteTestCluster) => {
  const leader = await cluster.leader();
  return cluster.nodes.find((node) => node !== leader)!;
};

const BLOWS: readonly Blow[] = [
  ["kill -9 of the leader", async (cluster) => {
    const node = await cluster.leader();
    await node.kill();
    return () => node.start();
  }],
  ["SIGSTOP of the leader", async (cluster) => {
    const node = await cluster.leader();
    node.pause();
    return () => Promise.resolve(node.resume());
  }],
  ["kill -9 of a follower", async (cluster) => {
    const node = await follower(cluster);
    await node.kill();
    return () => node.start();
  }],
  ["SIGSTOP of a follower", async (cluster) => {
    const node = await follower(cluster);
    node.pause();
    return () => Promise.resolve(node.resume());
  }],
];

/** What is known of one write, told by its answers alone. */
interface Ledger {
  readonly acknowledged: Set<number>;
  /** Nobody has said yes, and nobody has said no. */
  readonly unknown: Set<number>;
  readonly odd: string[];
}

engineTest(
  "leader and followers die and hang under 64 writers: what was acknowledged is there once, what has a key at most once",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 3 })]);
    await using database = await databaseOn(control, [tenant]);
    await using gateway = await TestGateway.start({
      driver: "rqlite",
      database,
      config: { limits: { key: { rate: 0, burst: 0 } } },
    });
    const { key } = await gateway.makeKey("--namespace", "turmoil", "--create-namespace");
    const run = (path: string, body: unknown, headers: Record<string, string> = {}) =>
      gateway.call("POST", `/v1/rqlite/${path}`, { key, body, headers });
    // Nothing in the table forbids a second copy: it would be seen.
    (await run("exec", { sql: "CREATE TABLE t (id INTEGER NOT NULL)" })).expect(200);

    const { acknowledged, unknown, odd }: Ledger = { acknowledged: new Set(), unknown: new Set(), odd: [] };
    const repeated = new Set<number>();
    let next = 0, stop = false;
    const insert = (id: number, headers?: Record<string, string>) =>
      run("exec", { sql: "INSERT INTO t VALUES (?)", args: [id] }, headers);

    /** Writes once, and believes what it is told. */
    async function plain(id: number): Promise<void> {
      const { status, text } = await insert(id);
      if (status === 200) acknowledged.add(id);
      else if (status === 409 && text.includes("OUTCOME_UNKNOWN")) unknown.add(id);
      else if (status !== 503) odd.push(`${status} ${text}`);
    }

    /** Repeats with its key until there is a yes, as a client may. */
    async function keyed(id: number): Promise<void> {
      for (let attempt = 0;; attempt++) {
        const { status, text } = await insert(id, { "idempotency-key": `write-${id}` });
        if (attempt > 0) repeated.add(id);
        if (status === 200) return void acknowledged.add(id);
        if (status !== 503 && !text.includes("IDEMPOTENCY_KEY_IN_USE")) return void odd.push(`${status} ${text}`);
        if (stop) return void unknown.add(id);
      }
    }

    const writers = awaitedLater(Array.from({ length: WRITERS }, async (_, writer) => {
      while (!stop) await (writer % 2 === 0 ? plain : keyed)(next++);
    }));
    const recoveries: string[] = [];
    try {
      await until("writes go through", () => acknowledged.size >= CALM);
      for (const [name, strike] of BLOWS) {
        const undo = await strike(tenant);
        const start = performance.now();
        // What was on its way may still be acknowledged; what was begun after the blow tells that writes go through again.
        const first = next;
        await until(`a write goes through after ${name}`, () => anyFrom(acknowledged, first));
        recoveries.push(`${name}: writes again after ${Math.round(performance.now() - start)} ms`);
        await until("the blow has lasted", () => performance.now() - start > PAUSE, PAUSE * 2);
        await undo();
        await tenant.ready();
        const then = acknowledged.size;
        await until(`writes go on after ${name}`, () => acknowledged.size >= then + CALM);
      }
    } finally {
      stop = true;
      await Promise.all(writers);
    }

    deepEqual(odd, []);
    const answer = (await run("query", {
      sql: "SELECT id, count(*) AS copies FROM t GROUP BY id",
      level: "linearizable",
    })).expect(200);
    const items = (JSON.parse(answer.text) as { items: { id: number; copies: number }[] }).items;
    const copies = new Map(items.map(({ id, copies }) => [id, copies]));
    deepEqual([...acknowledged].filter((id) => copies.get(id) !== 1), [], "acknowledged, and not there exactly once");
    deepEqual(items.filter(({ copies }) => copies > 1), [], "there more than once");
    const uncertain = [...copies.keys()].filter((id) => !acknowledged.has(id) && !unknown.has(id));
    deepEqual(uncertain, [], "stored, and reported as not");
    ok(repeated.size > 0, "no write with a key had to be repeated");
    await Deno.stdout.write(new TextEncoder().encode(
      `${
        [
          ...recoveries,
          `${acknowledged.size} writes, ${repeated.size} of them repeated with their key, ${unknown.size} unknown`,
        ].join("\n")
      }\n`,
    ));
  },
);

/** Ids rise, so the newest are the last ones. */
function anyFrom(ids: ReadonlySet<number>, first: number): boolean {
  for (const id of ids) if (id >= first) return true;
  return false;
}
