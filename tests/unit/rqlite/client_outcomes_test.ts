import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { firstFailure } from "../../../services/rqlite/client.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { alone, clientTest, failsWith, insert, leaderless, select, weak } from "./client_fixture.ts";
import { one, whole } from "./fake_cluster.ts";

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

clientTest(
  "reads whose time was over are not asked again, and end as a statement that ran too long",
  2,
  async (fake, open) => {
    for (
      const sentence of ["context deadline exceeded", "sql: transaction has already been committed or rolled back"]
    ) {
      for (const node of fake.nodes) node.answer = () => whole(sentence);
      const before = fake.counts[0]! + fake.counts[1]!;
      const results = await open().request([...select, ...select], { transaction: true });
      deepEqual(firstFailure(results), { index: 1, error: "query timeout" });
      await rejects(open().execute(insert, alone), failsWith("OUTCOME_UNKNOWN", fake));
      equal(fake.counts[0]! + fake.counts[1]!, before + 2);
    }
  },
);

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
    ok(performance.now() - start < 3_000);
  },
);

clientTest(
  "an abort between two tries of a write is UNAVAILABLE: nothing of it is on its way",
  2,
  async (fake, open) => {
    const cluster = open({ patience: 60_000 });
    for (const node of fake.nodes) node.answer = () => leaderless;
    // Whether it comes between them is chance, and while one is on its way nobody knows.
    const codes = new Set<string>();
    for (let tries = 0; tries < 50 && !codes.has("UNAVAILABLE"); tries++) {
      const signal = AbortSignal.timeout(50);
      await rejects(cluster.execute(insert, { transaction: false, signal }), (error) => {
        ok(error instanceof GatewayError);
        codes.add(error.code);
        return failsWith(error.code, fake)(error);
      });
    }
    codes.delete("OUTCOME_UNKNOWN");
    deepEqual([...codes], ["UNAVAILABLE"]);
  },
);
