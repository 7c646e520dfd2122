import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { GroupedStatement, RqliteCluster } from "../../../services/rqlite/client.ts";
import { until } from "../../engines/support/wait.ts";
import { clientTest, failsWith, insert } from "./client_fixture.ts";
import { type FakeAnswer, type FakeNode, one, whole, written } from "./fake_cluster.ts";

const waiter = { signal: new AbortController().signal };
const grouped: GroupedStatement = { text: '"SELECT 1"', args: [], timeout: 50, waiter, wildcard: false };
const read = (cluster: RqliteCluster, more: Partial<GroupedStatement> = {}) =>
  cluster.readGrouped({ ...grouped, ...more }, { level: "weak" });
const sent = (node: FakeNode) =>
  node.requests.map(({ path, parameters, statements }) => [path, parameters.has("transaction"), statements.length]);

/** As many answers as there are statements. */
function several(node: FakeNode): void {
  const row = { columns: ["1"], types: ["integer"], values: [[1]] };
  node.answer = ({ statements }) => ({ body: JSON.stringify({ results: statements.map(() => row) }) });
}

clientTest("reads that go together are one transaction, and one alone is none", 1, async (fake, open) => {
  const node = fake.nodes[0]!, cluster = open();
  several(node);
  await Promise.all([read(cluster), read(cluster), read(cluster)]);
  await read(cluster);
  await read(cluster, { wildcard: true });
  deepEqual(sent(node), [["/db/query", true, 3], ["/db/query", false, 1], ["/db/query", false, 2]]);
});

clientTest("reads that ran out of their time together are to be asked alone", 1, async (fake, open) => {
  const node = fake.nodes[0]!;
  node.answer = () => whole("context deadline exceeded");
  const cluster = open();
  deepEqual(await Promise.all([read(cluster), read(cluster)]), [undefined, undefined]);
  equal(node.requests.length, 1);
});

clientTest("rqlite has time to begin with a statement before it may interrupt it", 1, async (fake, open) => {
  const node = fake.nodes[0]!, cluster = open();
  for (const dbTimeout of [1, 99.5, 250.5]) await cluster.execute(insert, { transaction: false, dbTimeout });
  deepEqual(node.requests.map(({ parameters }) => parameters.get("db_timeout")), ["100ms", "100ms", "251ms"]);
});

clientTest("a write has the time of those that wait before it, together", 1, async (fake, open) => {
  const node = fake.nodes[0]!;
  // One after the other, as a log is applied, and each for almost as long as it may.
  let last = Promise.resolve();
  node.answer = () => {
    node.wait = last = last.then(() => new Promise((resolve) => setTimeout(resolve, 590)));
    return written;
  };
  const changes: boolean[] = [];
  const cluster = open({ onStuck: (stuck) => changes.push(stuck) });
  const start = performance.now();
  await Promise.all(Array.from({ length: 6 }, () => cluster.execute(insert, { transaction: false, dbTimeout: 600 })));
  ok(performance.now() - start > 2_700, "longer than one may take that waits for one other");
  deepEqual(changes, []);
});

clientTest(
  "whoever waits for the log of a cluster that hangs is told, and whoever comes later at once",
  1,
  async (fake, open) => {
    const node = fake.nodes[0]!;
    const answers: Record<string, FakeAnswer> = { "/db/execute": "hang", "/db/query": "hang" };
    node.answer = ({ path }) => answers[path]!;
    const changes: boolean[] = [];
    const cluster = open({ onStuck: (stuck) => changes.push(stuck) });
    const start = performance.now();
    const write = (dbTimeout: number) => cluster.execute(insert, { transaction: false, dbTimeout });
    const all = [write(200), write(400), write(400)];
    await Promise.all(all.map((one) => rejects(one, failsWith("OUTCOME_UNKNOWN", fake))));
    ok(performance.now() - start < 30_000, "nobody waited for the time of them all");
    await until("it is known to be stuck", () => changes.length === 1);
    await rejects(write(200), failsWith("UNAVAILABLE", fake));
    answers["/db/query"] = one;
    await until("it is no longer stuck", () => changes.length === 2);
    deepEqual(changes, [true, false]);
  },
);
