import { deepEqual, equal, ok } from "node:assert/strict";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import { TestGateway } from "../support/gateway.ts";
import { CROWD, LockCrowd, meanwhile } from "../support/lock_crowd.ts";
import { SecretBook } from "../support/secrets.ts";
import type { TestCache } from "../support/test_cache.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

engineTest(
  `${CROWD} wait on one gateway for a lock whose holder's gateway is killed: each gets it once, alone, in turn`,
  ["olric-server", "rqlited"],
  async (engines) => {
    const [cluster, control, tenant] = await Promise.all([
      engines.olric({ members: 3 }),
      engines.rqlite({ nodes: 1 }),
      engines.rqlite({ nodes: 1 }),
    ]);
    await using database = await databaseOn(control, [tenant]);
    const cache: TestCache = {
      driver: "olric",
      config: { cache: { driver: "olric", olric: { addresses: cluster.addresses } } },
      cluster,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const config = { log: { level: "info" } };
    const options = {
      driver: "rqlite",
      storageDriver: "local",
      database,
      cache,
      secrets: new SecretBook(),
      config,
    } as const;
    await using holders = await TestGateway.start(options);
    await using others = await TestGateway.start(options);
    const { key } = await holders.makeKey("--namespace", "crowd", "--create-namespace");
    const { key: operator } = await holders.makeKey("--operator");
    const limits = { cache: { lock_waiters: CROWD } };
    const path = "/v1/namespaces/crowd/limits";
    (await others.call("PATCH", path, { key: operator, body: limits })).expect(200);

    const lock = { dmap: "m", key: "k" };
    const holder = new CacheCaller(holders, { key }), probe = new CacheCaller(others, { key });
    const held = (await holder.call("lock", { ...lock, lease: "20s" })).expect(200);
    const token = held.string("token");
    using crowd = new LockCrowd({ url: others.url, key, dmap: "m", name: "k" });
    const contended = awaitedLater(crowd.contend(CROWD, true));
    await meanwhile("all of them wait", async () => {
      (await holder.call("renew", { ...lock, lease: "20s", token })).expect(200);
      // Whoever asks so waits for a moment, too, if there is room.
      return (await probe.call("lock", { ...lock, lease: "20s", wait: "1ms" })).status === 429;
    });
    equal(crowd.numbers.length, 0, "nobody has it but its holder");
    holders.signal("SIGKILL");
    const died = performance.now();
    await probe.put("m", "other", "served");
    equal(await probe.value("m", "other"), "served");
    await until("the first of them has it", () => crowd.numbers.length > 0);
    const first = Math.round(performance.now() - died);
    await contended;
    const all = Math.round(performance.now() - died);
    deepEqual(crowd.odd, []);
    deepEqual(crowd.statuses, { 200: CROWD });
    ok(crowd.numbers[0]! > Number(held.get("fencing")));
    ok(crowd.numbers.every((number, i) => i === 0 || number > crowd.numbers[i - 1]!), "numbers grow");
    equal((await probe.call("unlock", { ...lock, token })).expect(409).get("code"), "LOCK_LOST");
    await Deno.stdout.write(
      new TextEncoder().encode(`the first of ${CROWD} had the lock after ${first} ms, the last after ${all} ms\n`),
    );
  },
);
