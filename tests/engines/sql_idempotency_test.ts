import { deepEqual, equal, ok } from "node:assert/strict";
import { SqlDatabase } from "../../services/database/database.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { TransactionResult, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { engineTest } from "./support/engine_test.ts";
import type { RqliteTestCluster } from "./support/rqlite.ts";
import { until } from "./support/wait.ts";

const NAMESPACE = "shop";
const REQUEST: RequestContext = {
  requestId: "test",
  signal: new AbortController().signal,
  clientAddress: "127.0.0.1",
};
const WRITERS = 12;

function gatewayOn({ urls }: RqliteTestCluster): SqlDatabase {
  const clusters = new Map([["one", new RqliteCluster({ name: "one", urls })]]);
  return new SqlDatabase(new RqliteDriver({ clusters, clusterOf: () => Promise.resolve("one") }));
}

/** Two inserts, one of which has rows, and an update: what would show a half of it, and a second time. */
const stepsOf = (id: number): TransactionStep[] => [
  { kind: "exec", sql: "INSERT INTO log (write) VALUES (?)", args: [id] },
  { kind: "exec", sql: "INSERT INTO log (write) VALUES (?) RETURNING id", args: [id] },
  { kind: "query", sql: "SELECT count(*) FROM log WHERE write = ?", args: [id] },
  { kind: "exec", sql: "UPDATE total SET n = n + 1", args: [] },
];

const figuresOf = ({ steps }: TransactionResult) =>
  steps.map((step) => step.kind === "query" ? null : [step.result.rowsAffected, step.result.lastInsertId]);

/** Writers that never stop; those with an even number repeat until they are answered, the others never do. */
class Load {
  readonly acknowledged = new Map<number, TransactionResult>();
  readonly givenUp: number[] = [];
  readonly strange: unknown[] = [];
  /** How many repetitions were answered from the record: the first time had been applied, and its answer lost. */
  replays = 0;
  #next = 0;
  #stopped = false;
  readonly #loops: Promise<void>[];

  constructor(private readonly gateways: readonly SqlDatabase[]) {
    this.#loops = awaitedLater(Array.from({ length: WRITERS }, (_, writer) => this.#write(writer)));
  }

  async acknowledges(count: number): Promise<void> {
    const before = this.acknowledged.size;
    await until(`${count} writes are acknowledged`, () => this.acknowledged.size >= before + count);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #write(writer: number): Promise<void> {
    while (!this.#stopped) {
      const id = this.#next++;
      for (let attempt = writer;; attempt++) {
        const outcome = await this.#once(id, this.gateways[attempt % this.gateways.length]!);
        if (outcome === "answered") break;
        if (writer % 2 === 1) {
          this.givenUp.push(id);
          break;
        }
      }
    }
  }

  async #once(id: number, gateway: SqlDatabase): Promise<"answered" | "unavailable"> {
    try {
      const result = await gateway.transaction(NAMESPACE, stepsOf(id), REQUEST, { idempotencyKey: `write ${id}` });
      if (result.replayed) this.replays++;
      this.acknowledged.set(id, result);
    } catch (error) {
      if (error instanceof GatewayError && error.code === "UNAVAILABLE") return "unavailable";
      this.strange.push(error);
    }
    return "answered";
  }
}

engineTest(
  "with keys, what is acknowledged is applied once though leaders are killed",
  ["rqlited"],
  async (engines) => {
    const cluster = await engines.rqlite({ nodes: 3 });
    const gateways = [gatewayOn(cluster), gatewayOn(cluster)];
    const [gateway] = gateways as [SqlDatabase];
    const rows = async (sql: string) =>
      (await gateway.query(NAMESPACE, { sql, args: [] }, REQUEST, { level: "strong" })).rows;
    try {
      for (
        const sql of [
          "CREATE TABLE log (id INTEGER PRIMARY KEY, write INTEGER)",
          "CREATE TABLE total (n INTEGER)",
          "INSERT INTO total VALUES (0)",
        ]
      ) await gateway.execute(NAMESPACE, { sql, args: [] }, REQUEST);
      const load = new Load(gateways);
      await load.acknowledges(50);
      for (let kill = 0; kill < 3; kill++) {
        const leader = await cluster.leader();
        await leader.kill();
        await load.acknowledges(100);
        await leader.start();
        await cluster.ready();
      }
      await load.stop();
      deepEqual(load.strange, []);

      const counts = new Map((await rows("SELECT write, count(*) FROM log GROUP BY write")) as [number, number][]);
      for (const id of load.acknowledged.keys()) equal(counts.get(id), 2, `write ${id} was acknowledged`);
      for (const id of load.givenUp) ok([undefined, 2].includes(counts.get(id)), `write ${id} was given up`);
      deepEqual(await rows("SELECT n FROM total"), [[counts.size]]);
      equal(counts.size, load.acknowledged.size + load.givenUp.filter((id) => counts.has(id)).length);

      for (const [id, first] of load.acknowledged) {
        const again = await gateway.transaction(NAMESPACE, stepsOf(id), REQUEST, { idempotencyKey: `write ${id}` });
        equal(again.replayed, true);
        deepEqual(figuresOf(again), figuresOf(first));
      }
      for (const id of load.givenUp) {
        const late = await gateway.transaction(NAMESPACE, stepsOf(id), REQUEST, { idempotencyKey: `write ${id}` });
        equal(late.replayed === true, counts.has(id), `write ${id} was given up`);
      }
      deepEqual(await rows("SELECT n FROM total"), [[load.acknowledged.size + load.givenUp.length]]);
      await sameOnAllNodes(cluster);
    } finally {
      await Promise.all(gateways.map((one) => one.close()));
    }
  },
);

/** The record of the keys is replicated like any table, and nothing in it may hang on the node. */
async function sameOnAllNodes({ urls }: RqliteTestCluster): Promise<void> {
  const sql = "SELECT id, key, fingerprint, created_at, figures FROM _orama_idempotency ORDER BY id";
  const contents = urls.map(() => "");
  await until("all nodes have the same record of the keys", async () => {
    for (const [at, url] of urls.entries()) {
      const node = new RqliteCluster({ name: "node", urls: [url] });
      try {
        const [result] = await node.query([{ sql, args: [] }], { level: "none" });
        contents[at] = result?.kind === "rows" ? JSON.stringify(result.rows) : `${at}`;
      } finally {
        await node.close();
      }
    }
    return new Set(contents).size === 1 && contents[0]!.length > 1_000;
  });
}
