import { equal, ok } from "node:assert/strict";
import { RqliteCluster, type RqliteClusterOptions } from "../../../services/rqlite/client.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { FakeCluster } from "./fake_cluster.ts";

/** A write of one row. */
export const insert = [{ sql: "INSERT INTO t VALUES (?)", args: [1] }];
/** A read of one row. */
export const select = [{ sql: "SELECT 1", args: [] }];
export const weak = { level: "weak" } as const;
export const alone = { transaction: false } as const;
/** What a node says that knows no leader. */
export const leaderless = { status: 500, body: "leader address: leader not found\n" };

/** A test with fake nodes, and clients that are closed after it. */
export function clientTest(
  name: string,
  nodes: number,
  run: (fake: FakeCluster, open: (options?: Partial<RqliteClusterOptions>) => RqliteCluster) => Promise<void>,
): void {
  Deno.test(name, async () => {
    await using fake = new FakeCluster(nodes);
    const opened: RqliteCluster[] = [];
    try {
      await run(fake, (options) => {
        const cluster = new RqliteCluster({ name: "test", urls: fake.urls, timeout: 300, patience: 1_000, ...options });
        opened.push(cluster);
        return cluster;
      });
    } finally {
      for (const cluster of opened) await cluster.close();
    }
  });
}

/** Whether an error has a code, and no address in its message. */
export function failsWith(code: string, fake: FakeCluster) {
  return (error: unknown) => {
    ok(error instanceof GatewayError, String(error));
    equal(error.code, code);
    for (const { url } of fake.nodes) ok(!error.message.includes(new URL(url).port), error.message);
    if (code === "UNAVAILABLE") ok(error.status === 503);
    return true;
  };
}

/** Calls until the leader is known: the client looks for it beside the traffic. */
export async function settle(fake: FakeCluster, cluster: RqliteCluster): Promise<void> {
  await until("the leader is found", async () => {
    const leader = fake.nodes.find(({ id }) => id === fake.leader)!;
    const before = leader.requests.length;
    for (let i = 0; i < 4; i++) await cluster.query(select, weak);
    return leader.requests.length === before + 4;
  });
  for (const node of fake.nodes) node.requests.length = 0;
}
