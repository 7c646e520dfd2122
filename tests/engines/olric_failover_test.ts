import { deepEqual, equal, ok } from "node:assert/strict";
import { OlricDriver } from "../../services/cache/olric/driver.ts";
import { WHILE_MEMBERS_CHANGE } from "./support/cache_histories.ts";
import { type CacheLoad, type LoadOptions, underLoad } from "./support/cache_load.ts";
import { engineTest } from "./support/engine_test.ts";
import type { OlricStart, OlricTestCluster } from "./support/olric.ts";
import { until } from "./support/wait.ts";

const WAITER = { signal: new AbortController().signal };
const at = { map: "m", key: "k" };
/** Milliseconds within which everything must work again: the members take about 6 s to give up one of them. */
const BACK_WITHIN = 25_000;
/** Two gateways on a cluster, under load. */
function loadTest(
  name: string,
  start: OlricStart,
  options: LoadOptions,
  run: (load: CacheLoad, cluster: OlricTestCluster) => Promise<void>,
): void {
  engineTest(name, ["olric-server"], async (engines) => {
    const cluster = await engines.olric(start);
    await underLoad(name, cluster.addresses, (load) => run(load, cluster), options);
  });
}

for (const members of [1, 3] as const) {
  const name =
    `two gateways on ${members} of Olric: counters, changes, entries and locks answer as if one thing happened at a time`;
  loadTest(name, { members }, { plain: true }, async (load) => {
    await load.goesOn(3_000);
    equal(load.unavailable, 0);
  });
}

for (const victim of [0, 2]) {
  loadTest(
    `kill -9 of member ${victim} of three: nothing wrong is answered, failures are UNAVAILABLE and soon over`,
    { members: 3 },
    { allowed: WHILE_MEMBERS_CHANGE },
    async (load, cluster) => {
      const recovered = load.recovers(BACK_WITHIN);
      await Promise.all([cluster.nodes[victim]!.kill(), recovered]);
    },
  );
}

loadTest(
  "a member that is stopped and goes on before the others give it up: nothing wrong is answered",
  { members: 3 },
  { allowed: WHILE_MEMBERS_CHANGE },
  async (load, cluster) => {
    cluster.nodes[1]!.pause();
    const recovered = load.recovers(BACK_WITHIN);
    const goesOn = until("the harm is felt", () => load.unavailable > 20).finally(() => cluster.nodes[1]!.resume());
    await Promise.all([goesOn, recovered]);
  },
);

engineTest(
  "a member that comes back empty is filled again, and nothing that two had is lost",
  ["olric-server"],
  async (engines) => {
    const cluster = await engines.olric({ members: 3 });
    await using driver = await opened(cluster.addresses);
    const keys = Array.from({ length: 600 }, (_, i) => `k${i}`);
    await driver.putMany(
      "ns",
      "m",
      keys.map((key) => ({ key, value: { json: JSON.stringify(key) } })),
      undefined,
      WAITER,
    );
    const [, survivor, victim] = cluster.nodes;
    await victim!.kill();
    await cluster.ready(cluster.nodes.slice(0, 2), 2);
    const all = () => driver.getMany("ns", "m", keys, WAITER);
    const haveAll = async () =>
      (await all()).every((entry, i) => "json" in entry!.value && entry!.value.json === `"k${i}"`);
    await until("all entries are there without it", haveAll, BACK_WITHIN);
    equal((await driver.health(WAITER.signal)).status, "degraded", "somebody has to see to it");
    await victim!.start();
    await cluster.ready(cluster.nodes, 3);
    await until("all entries are there with it", haveAll, BACK_WITHIN);
    const { keys: listed } = await driver.scan(
      "ns",
      "m",
      { cursor: undefined, limit: 1_000, matches: undefined },
      WAITER,
    );
    deepEqual(listed.toSorted(), keys.toSorted());
    await until("it is one of them", async () => (await driver.health(WAITER.signal)).status === "ok", BACK_WITHIN);
    equal(await survivor!.members(), 3);
  },
);

engineTest(
  "what a dead member had is still there for conditions, locks and deletes",
  ["olric-server"],
  async (engines) => {
    const cluster = await engines.olric({ members: 3 });
    await using driver = await opened(cluster.addresses);
    const keys = Array.from({ length: 150 }, (_, i) => `k${i}`);
    const tokens: string[] = [];
    for (const key of keys) {
      for (const map of ["nx", "xx", "gone", "version"]) {
        await driver.put(
          "ns",
          { map, key },
          { json: "1" },
          {},
          WAITER,
        );
      }
      tokens.push((await driver.tryLock("ns", { map: "m", key }, 600_000, WAITER))!.token);
    }
    await cluster.nodes[1]!.kill();
    const alive = [cluster.nodes[0]!, cluster.nodes[2]!];
    await cluster.ready(alive, 2);
    // What is asked of them is new to the members: nothing has read these entries since.
    const probe = (key: string) => driver.put("ns", { map: "probe", key }, { json: "1" }, {}, WAITER);
    await until("they have shared out what it had", () => Promise.all(keys.map(probe)).then(() => true), BACK_WITHIN);
    let created = 0, locked = 0, unlocked = 0, deleted = 0, replaced = 0, left = 0;
    for (const [i, key] of keys.entries()) {
      const put = (map: string, condition: "absent" | "present") =>
        driver.put("ns", { map, key }, { json: "2" }, { condition }, WAITER).then(() => 1, () => 0);
      created += await put("nx", "absent");
      replaced += await put("xx", "present");
      if (await driver.tryLock("ns", { map: "m", key }, 1_000, WAITER)) locked++;
      unlocked += await driver.unlock("ns", { map: "m", key }, tokens[i]!, WAITER).then(() => 1, () => 0);
      if (await driver.delete("ns", { map: "gone", key }, undefined, WAITER)) deleted++;
      if (await driver.get("ns", { map: "gone", key }, WAITER)) left++;
    }
    deepEqual({ created, locked, unlocked, deleted, replaced, left }, {
      created: 0,
      locked: 0,
      unlocked: 150,
      deleted: 150,
      replaced: 150,
      left: 0,
    });
  },
);

for (const members of [1, 3] as const) {
  engineTest(
    `${members} of Olric, all gone: UNAVAILABLE soon, and back by itself`,
    ["olric-server"],
    async (engines) => {
      const cluster = await engines.olric({ members });
      await using driver = await opened(cluster.addresses);
      await driver.put("ns", at, { json: "1" }, {}, WAITER);
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      const operations: (() => Promise<unknown>)[] = [
        () => driver.ping(WAITER),
        () => driver.get("ns", at, WAITER),
        () => driver.put("ns", at, { json: "2" }, {}, WAITER),
        () => driver.put("ns", at, { json: "2" }, { versioned: true }, WAITER),
        () => driver.swap("ns", at, { json: "2" }, undefined, WAITER),
        () => driver.delete("ns", at, undefined, WAITER),
        () => driver.increment("ns", at, { by: 1, initial: 0, ttl: undefined }, WAITER),
        () => driver.expire("ns", at, 1_000, WAITER),
        () => driver.scan("ns", "m", { cursor: undefined, limit: 10, matches: undefined }, WAITER),
        () => driver.maps("ns"),
        () => driver.drop("ns", "m", WAITER),
        () => driver.purge("ns", WAITER.signal),
        () => driver.tryLock("ns", at, 1_000, WAITER),
        () => driver.unlock("ns", at, "0".repeat(32), WAITER),
      ];
      for (const operation of operations) {
        const error = await operation().then(() => undefined, (error) => error);
        equal(error?.code, "UNAVAILABLE", String(error));
        ok(!/127\.0\.0\.1/.test(error.message));
      }
      deepEqual((await driver.health(WAITER.signal)).details, { members, reachable: 0 });
      await Promise.all(cluster.nodes.map((node) => node.start()));
      await cluster.ready();
      const works = async () => (await driver.put("ns", at, { json: "3" }, {}, WAITER), true);
      await until("it works again", works, BACK_WITHIN);
      await until("all is well", async () => (await driver.health(WAITER.signal)).status === "ok", BACK_WITHIN);
    },
  );
}

async function opened(addresses: readonly string[]) {
  const driver = await OlricDriver.open({ addresses });
  return Object.assign(driver, { [Symbol.asyncDispose]: () => driver.close() });
}
