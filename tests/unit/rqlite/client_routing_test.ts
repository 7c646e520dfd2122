import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";
import { alone, clientTest, failsWith, insert, leaderless, select, settle, weak } from "./client_fixture.ts";
import { FakeCluster, whole, written } from "./fake_cluster.ts";

clientTest(
  "reads and writes go to the leader, which is found from any one node; reads of level none go to all",
  3,
  async (fake, open) => {
    fake.leader = "n2";
    const cluster = open({ urls: [`${fake.nodes[1]!.url}/`] });
    await settle(fake, cluster);
    await cluster.execute(insert, alone);
    await cluster.request(select, alone);
    await cluster.query(select, { level: "linearizable" });
    await cluster.query(select, { level: "strong" });
    deepEqual(fake.counts, [0, 0, 4]);
    await until("every node was probed", async () => {
      await cluster.query(select, { level: "none" });
      return fake.counts.every((count) => count > 0);
    });
    for (const node of fake.nodes) node.requests.length = 0;
    for (let i = 0; i < 6; i++) await cluster.query(select, { level: "none" });
    deepEqual(fake.counts, [2, 2, 2]);
  },
);

clientTest("a request says what it wants in its parameters, and never asks to be redirected", 1, async (fake, open) => {
  const cluster = open({ username: "gw", password: "pä" });
  await cluster.query(select, { level: "none", freshness: 1_500, dbTimeout: 250 });
  await cluster.execute(insert, { transaction: true, timeout: 5_000 });
  await cluster.request(select, { transaction: false, level: "linearizable" });
  const seen = fake.nodes[0]!.requests.map(({ path, parameters }) => [path, Object.fromEntries(parameters)]);
  deepEqual(seen, [
    ["/db/query", { level: "none", freshness: "1500ms", blob_array: "", timeout: "1750ms", db_timeout: "250ms" }],
    ["/db/execute", { level: "weak", transaction: "", blob_array: "", timeout: "5000ms" }],
    ["/db/request", { level: "strong", norwrandom: "", blob_array: "", timeout: "300ms" }],
  ]);
  deepEqual(fake.nodes[0]!.requests[1]!.statements, [["INSERT INTO t VALUES (?)", 1]]);
  equal(fake.nodes[0]!.requests[0]!.authorization, "Basic Z3c6cMOk");
});

clientTest("no statements make no request", 1, async (fake, open) => {
  deepEqual(await open().query([], weak), []);
  deepEqual(await open().execute([], { transaction: true }), []);
  deepEqual(fake.counts, [0]);
});

clientTest(
  "a write outlives an election: it is sent again as long as certainly nothing happened",
  3,
  async (fake, open) => {
    const cluster = open();
    await settle(fake, cluster);
    fake.leader = undefined;
    const refusals = [
      leaderless,
      whole(
        "node failed to process Execute on remote node at 127.0.0.1:1: pool get: dial tcp 127.0.0.1:1: connect: connection refused",
      ),
    ];
    let elected = false;
    for (const node of fake.nodes) node.answer = (_, count) => elected ? written : refusals[count % 2]!;
    setTimeout(() => (elected = true, fake.leader = "n2"), 300);
    deepEqual(await cluster.execute(insert, alone), [{ kind: "change", lastInsertId: 1, rowsAffected: 1 }]);
    ok(fake.counts.reduce((sum, count) => sum + count) > 2);
  },
);

clientTest("a statement may run longer than other requests, as long as its node lives", 1, async (fake, open) => {
  const cluster = open({ timeout: 100 });
  const slow = Promise.withResolvers<void>();
  fake.nodes[0]!.wait = slow.promise;
  const pending = cluster.query(select, { level: "weak", dbTimeout: 5_000 });
  setTimeout(slow.resolve, 500);
  equal((await pending)[0]?.kind, "rows");
});

clientTest("a statement that may run long does not wait for a node that hangs", 2, async (fake, open) => {
  fake.leader = undefined;
  const cluster = open({ timeout: 100, patience: 3_000 });
  fake.nodes[0]!.hang();
  const start = performance.now();
  for (let i = 0; i < 2; i++) {
    equal((await cluster.query(select, { level: "weak", dbTimeout: 60_000 }))[0]?.kind, "rows");
  }
  ok(performance.now() - start < 5_000);
});

clientTest(
  "a node that is gone costs nothing but a moment, and nodes that were not configured stand in",
  3,
  async (fake, open) => {
    const cluster = open({ urls: [fake.urls[0]!] });
    await settle(fake, cluster);
    await fake.nodes[0]!.kill();
    fake.leader = "n1";
    const start = performance.now();
    for (const level of ["none", "weak", "strong"] as const) equal((await cluster.query(select, { level })).length, 1);
    equal((await cluster.execute(insert, alone)).length, 1);
    ok(performance.now() - start < 2_000);
  },
);

clientTest("a leader that cannot be reached is gone round: the other nodes pass requests on", 2, async (fake, open) => {
  const unreachable = new FakeCluster(1);
  const [dead] = unreachable.urls;
  await unreachable.nodes[0]!.kill();
  const cluster = open({ urls: [dead!, ...fake.urls], patience: 200 });
  for (let i = 0; i < 20; i++) equal((await cluster.execute(insert, alone)).length, 1);
});

clientTest("a node that is not fresh enough passes a read of level none to the next one", 2, async (fake, open) => {
  fake.nodes[0]!.answer = () => whole("stale read");
  const cluster = open();
  for (let i = 0; i < 4; i++) {
    equal((await cluster.query(select, { level: "none", freshness: 1 }))[0]?.kind, "rows");
    const { columns, batches } = await cluster.stream(select[0]!, [], { level: "none", freshness: 1 });
    ok(columns.length > 0);
    for await (const rows of batches) ok(rows.length > 0);
  }
});

clientTest(
  "where the only node that answers is not fresh enough, that is told in the end, and it is not flooded",
  2,
  async (fake, open) => {
    const cluster = open({ patience: 300 });
    await until("every node was probed", async () => {
      await cluster.query(select, { level: "none" });
      return fake.counts.every((count) => count > 0);
    });
    await fake.nodes[1]!.kill();
    fake.nodes[0]!.answer = () => whole("stale read");
    for (const node of fake.nodes) node.requests.length = 0;
    const options = { level: "none", freshness: 1 } as const;
    await rejects(cluster.query(select, options), failsWith("UNAVAILABLE", fake));
    await rejects(cluster.stream(select[0]!, [], options), failsWith("UNAVAILABLE", fake));
    ok(fake.counts[0]! < 40, `${fake.counts[0]} requests`);
  },
);

clientTest("nodes() and ready() take the first answer, and ready() never throws", 2, async (fake, open) => {
  await fake.nodes[0]!.kill();
  const cluster = open();
  deepEqual((await cluster.nodes()).map(({ id, url, leader }) => [id, url, leader]), [
    ["n0", fake.urls[0], true],
    ["n1", fake.urls[1], false],
  ]);
  equal(await cluster.ready(), true);
  await fake.nodes[1]!.kill();
  await rejects(cluster.nodes(), failsWith("UNAVAILABLE", fake));
  equal(await cluster.ready(), false);
});

clientTest("many calls at once over a few connections all get their own answer", 1, async (fake, open) => {
  fake.nodes[0]!.answer = ({ statements }) => ({
    body: `{"results":[{"columns":["n"],"types":["integer"],"values":[[${statements[0]![1]}]]}]}`,
  });
  const cluster = open({ timeout: 5_000 });
  const numbers = Array.from({ length: 500 }, (_, n) => n);
  const results = await Promise.all(
    numbers.map((n) => cluster.query([{ sql: "SELECT ?", args: [n] }], { level: "none" })),
  );
  deepEqual(results.map(([result]) => result?.kind === "rows" && result.rows[0]?.[0]), numbers);
});
