import { equal, ok, rejects } from "node:assert/strict";
import { engineTest } from "./engine_test.ts";
import { RqliteTestCluster } from "./rqlite.ts";
import { Hopeless, until } from "./wait.ts";

Deno.test("until() waits through failures, and gives the last one when it gives up", async () => {
  let looks = 0;
  const failing = () => {
    looks++;
    throw new Error("not yet");
  };
  await rejects(until("it works", failing, 60), (error: Error) => {
    equal(error.message, "waited 60 ms in vain until it works");
    equal((error.cause as Error).message, "not yet");
    return true;
  });
  ok(looks > 1);
});

Deno.test("until() does not count the time in which nothing could run", async () => {
  let looks = 0;
  const standsStill = () => {
    looks++;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, looks === 1 ? 2_000 : 0);
    return looks > 2;
  };
  await until("it has run on", standsStill, 600);
});

Deno.test("until() ends at once when there is nothing to wait for", async () => {
  let looks = 0;
  const gone = () => {
    looks++;
    throw new Hopeless("the process has ended\nits last words");
  };
  await rejects(until("it serves", gone), /no use to wait until it serves: the process has ended\nits last words/);
  equal(looks, 1);
});

engineTest(
  "an engine that ends by itself is not waited for, and the failure holds its last words",
  ["rqlited"],
  async () => {
    const start = performance.now();
    const starting = RqliteTestCluster.start({ nodes: 3, flags: ["-auth", "no/such/users.json"], deadline: 60_000 });
    await rejects(starting, /failed to get credential store/);
    ok(performance.now() - start < 10_000);
  },
);

engineTest(
  "a node that ended by itself later is noticed as well, one that the test killed is not",
  ["rqlited"],
  async (engines) => {
    const cluster = await engines.rqlite({ nodes: 1, deadline: 60_000 });
    const [node] = cluster.nodes;
    node!.terminate();
    const start = performance.now();
    const runs = () => {
      node!.assertRuns();
      return false;
    };
    await rejects(until("its end is noticed", runs), /ended by itself\n/);
    await rejects(cluster.ready(), /ended by itself\n/);
    await rejects(cluster.leader(), /ended by itself\n/);
    ok(performance.now() - start < 5_000);
    await node!.restart();
    await cluster.ready();
  },
);
