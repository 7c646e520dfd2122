import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { firstFailure, RqliteCluster, type RqliteClusterOptions } from "../../../services/rqlite/client.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { FakeCluster, one, whole, written } from "./fake_cluster.ts";

const insert = [{ sql: "INSERT INTO t VALUES (?)", args: [1] }];
const select = [{ sql: "SELECT 1", args: [] }];
const weak = { level: "weak" } as const;
const alone = { transaction: false } as const;
const leaderless = { status: 500, body: "leader address: leader not found\n" };

function clientTest(
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

function failsWith(code: string, fake: FakeCluster) {
  return (error: unknown) => {
    ok(error instanceof GatewayError, String(error));
    equal(error.code, code);
    for (const { url } of fake.nodes) ok(!error.message.includes(new URL(url).port), error.message);
    if (code === "UNAVAILABLE") ok(error.status === 503);
    return true;
  };
}

/** Calls until the leader is known: the client looks for it beside the traffic. */
async function settle(fake: FakeCluster, cluster: RqliteCluster): Promise<void> {
  await until("the leader is found", async () => {
    const leader = fake.nodes.find(({ id }) => id === fake.leader)!;
    const before = leader.requests.length;
    for (let i = 0; i < 4; i++) await cluster.query(select, weak);
    return leader.requests.length === before + 4;
  });
  for (const node of fake.nodes) node.requests.length = 0;
}

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
    for (let i = 0; i < 6; i++) await cluster.query(select, { level: "none" });
    deepEqual(fake.counts, [2, 2, 6]);
  },
);

clientTest("a request says what it wants in its parameters, and never asks to be redirected", 1, async (fake, open) => {
  const cluster = open({ username: "gw", password: "pä" });
  await cluster.query(select, { level: "none", freshness: 1_500, dbTimeout: 250 });
  await cluster.execute(insert, { transaction: true, timeout: 5_000 });
  await cluster.request(select, { transaction: false, level: "linearizable" });
  const seen = fake.nodes[0]!.requests.map(({ path, parameters }) => [path, Object.fromEntries(parameters)]);
  deepEqual(seen, [
    ["/db/query", { level: "none", freshness: "1500ms", blob_array: "", timeout: "750ms", db_timeout: "250ms" }],
    ["/db/execute", { level: "weak", transaction: "", blob_array: "", timeout: "5000ms" }],
    ["/db/request", { level: "strong", blob_array: "", timeout: "300ms" }],
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

clientTest("patience ends: UNAVAILABLE, with a word on when to come back", 2, async (fake, open) => {
  for (const node of fake.nodes) node.answer = () => leaderless;
  const cluster = open({ patience: 300 });
  const start = performance.now();
  await rejects(
    cluster.execute(insert, alone),
    (error) => failsWith("UNAVAILABLE", fake)(error) && (error as GatewayError).extra.retryAfter === 1,
  );
  const took = performance.now() - start;
  ok(took >= 300 && took < 1_500, String(took));
  const sent = fake.counts[0]! + fake.counts[1]!;
  ok(sent >= 2 && sent < 15, `sent ${sent} times`);
});

const unknown = {
  "no answer in time": "hang",
  "a broken connection": "reset",
  "lost leadership": whole("leadership lost while committing log"),
  "a forwarded request without an answer": whole(
    "node failed to process Execute on remote node at 10.0.0.1:4002: read protobuf length: EOF",
  ),
  "a proxy's error": { status: 502, body: "bad gateway" },
  "no answer of rqlite's": { body: "<html>" },
  "fewer results than statements": { body: `{"results":[]}` },
} as const;

for (const [what, answer] of Object.entries(unknown)) {
  clientTest(`${what} makes a write OUTCOME_UNKNOWN, and it is sent once`, 2, async (fake, open) => {
    for (const node of fake.nodes) node.answer = () => answer;
    await rejects(open().execute(insert, alone), failsWith("OUTCOME_UNKNOWN", fake));
    equal(fake.counts[0]! + fake.counts[1]!, 1);
  });

  if (what === "fewer results than statements") continue;
  clientTest(`${what} makes a read go to another node`, 2, async (fake, open) => {
    fake.leader = undefined;
    const cluster = open();
    let first: string | undefined;
    for (const node of fake.nodes) node.answer = () => (first ??= node.id) === node.id ? answer : one;
    equal((await cluster.query(select, weak))[0]?.kind, "rows");
    first = undefined;
    equal((await cluster.request(select, alone))[0]?.kind, "rows");
  });
}

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
    ok(performance.now() - start < 500);
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
  for (let i = 0; i < 4; i++) equal((await cluster.query(select, { level: "none", freshness: 1 }))[0]?.kind, "rows");
});

const refusals = {
  "a pragma that rqlite forbids": [whole("disallowed pragma"), "SQL_NOT_ALLOWED"],
  "wrong credentials": [{ status: 401, body: "" }, "UNAVAILABLE"],
  "something else at that address": [{ status: 404, body: "<html>" }, "UNAVAILABLE"],
  "a request that rqlite does not understand": [{ status: 400, body: "invalid request" }, "INTERNAL"],
} as const;

for (const [what, [answer, code]] of Object.entries(refusals)) {
  clientTest(`${what} is ${code}, and is not tried again`, 2, async (fake, open) => {
    for (const node of fake.nodes) node.answer = () => answer;
    await rejects(open().execute(insert, alone), failsWith(code, fake));
    await rejects(open().query(select, weak), failsWith(code, fake));
    equal(fake.counts[0]! + fake.counts[1]!, 2);
  });
}

clientTest(
  "an infinite number in a result is the statement's fault; in a write's, nobody knows",
  1,
  async (fake, open) => {
    fake.nodes[0]!.answer = () => ({ status: 500, body: "json: unsupported value: +Inf" });
    await rejects(open().query(select, weak), failsWith("SQL_INVALID", fake));
    await rejects(open().execute(insert, alone), failsWith("OUTCOME_UNKNOWN", fake));
  },
);

clientTest("a result that is too large is refused", 1, async (fake, open) => {
  await rejects(open({ maxAnswerBytes: 20 }).query(select, weak), failsWith("RESULT_TOO_LARGE", fake));
});

clientTest("errors of statements stay with their statement", 1, async (fake, open) => {
  fake.nodes[0]!.answer = () => ({ body: `{"results":[{"error":"no such table: t"},{"rows_affected":1}]}` });
  deepEqual(await open().execute([...insert, ...insert], alone), [
    { kind: "error", error: "no such table: t" },
    { kind: "change", lastInsertId: 0, rowsAffected: 1 },
  ]);
});

clientTest("in a transaction nothing looks successful once one statement failed", 1, async (fake, open) => {
  fake.nodes[0]!.answer = () => ({
    body: `{"results":[{"last_insert_id":1,"rows_affected":1},{"error":"UNIQUE constraint failed: t.a"}]}`,
  });
  const results = await open().execute([...insert, ...insert, ...insert], { transaction: true });
  const undone = { kind: "error", error: "rolled back", rolledBack: true };
  deepEqual(results, [undone, { kind: "error", error: "UNIQUE constraint failed: t.a" }, undone]);
  deepEqual(firstFailure(results), { index: 1, error: "UNIQUE constraint failed: t.a" });
});

clientTest("a transaction that fails as a whole fails in its last statement", 1, async (fake, open) => {
  fake.nodes[0]!.answer = () => whole("FOREIGN KEY constraint failed");
  const results = await open().execute([...insert, ...insert], { transaction: true });
  deepEqual(firstFailure(results), { index: 1, error: "FOREIGN KEY constraint failed" });
});

clientTest("a transaction that went on after a failure is OUTCOME_UNKNOWN", 1, async (fake, open) => {
  fake.nodes[0]!.answer = () => ({ body: `{"results":[{"error":"no such table: x"},{"rows_affected":1}]}` });
  await rejects(open().execute([...insert, ...insert], { transaction: true }), failsWith("OUTCOME_UNKNOWN", fake));
});

clientTest(
  "an abort ends a read as UNAVAILABLE and a write that is on its way as OUTCOME_UNKNOWN",
  2,
  async (fake, open) => {
    for (const node of fake.nodes) node.answer = () => "hang";
    const cluster = open({ timeout: 10_000 });
    const soon = () => AbortSignal.timeout(50);
    const start = performance.now();
    await rejects(cluster.query(select, { level: "weak", signal: soon() }), failsWith("UNAVAILABLE", fake));
    await rejects(cluster.execute(insert, { transaction: false, signal: soon() }), failsWith("OUTCOME_UNKNOWN", fake));
    equal(fake.counts[0]! + fake.counts[1]!, 2);
    await rejects(
      cluster.execute(insert, { transaction: false, signal: AbortSignal.abort() }),
      failsWith("UNAVAILABLE", fake),
    );
    equal(fake.counts[0]! + fake.counts[1]!, 2);
    for (const node of fake.nodes) node.answer = () => leaderless;
    await rejects(
      open({ patience: 60_000 }).execute(insert, { transaction: false, signal: soon() }),
      failsWith("UNAVAILABLE", fake),
    );
    ok(performance.now() - start < 3_000);
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
