import { deepEqual, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const WRITERS = 16;
/** Acknowledged writes before and after the leader dies. */
const BEFORE = 200, AFTER = 200;

engineTest(
  "kill -9 of a namespace's leader under load loses no write that the gateway acknowledged",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 3 }), engines.rqlite({ nodes: 3 })]);
    await using database = await databaseOn(control, [tenant]);
    await using gateway = await TestGateway.start({ driver: "rqlite", database });
    const { key } = await gateway.makeKey("--namespace", "failover", "--create-namespace");
    const run = (path: string, body: unknown) => gateway.call("POST", `/v1/rqlite/${path}`, { key, body });
    (await run("exec", { sql: "CREATE TABLE t (id INTEGER PRIMARY KEY)" })).expect(200);

    const acknowledged = new Set<number>(), unknown = new Set<number>(), odd: string[] = [];
    let next = 0, stop = false;
    const writers = awaitedLater(Array.from({ length: WRITERS }, async () => {
      while (!stop) {
        const id = next++;
        const { status, text } = await run("exec", { sql: "INSERT INTO t VALUES (?)", args: [id] });
        if (status === 200) acknowledged.add(id);
        else if (status === 409 && text.includes("OUTCOME_UNKNOWN")) unknown.add(id);
        else if (status !== 503) odd.push(`${status} ${text}`);
      }
    }));
    try {
      await until("writes go through", () => acknowledged.size >= BEFORE);
      await (await tenant.leader()).kill();
      const then = acknowledged.size;
      await until("writes go through again", () => acknowledged.size >= then + AFTER);
    } finally {
      stop = true;
      await Promise.all(writers);
    }
    deepEqual(odd, []);
    const answer = (await run("query", { sql: "SELECT id FROM t" })).expect(200);
    const stored = new Set((JSON.parse(answer.text) as { items: { id: number }[] }).items.map(({ id }) => id));
    deepEqual([...acknowledged].filter((id) => !stored.has(id)), [], "acknowledged, and lost");
    deepEqual([...stored].filter((id) => !acknowledged.has(id) && !unknown.has(id)), [], "stored, and reported as not");
    ok(stored.size >= BEFORE + AFTER);
  },
);
