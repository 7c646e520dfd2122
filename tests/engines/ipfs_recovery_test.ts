import { deepEqual, equal, ok } from "node:assert/strict";
import { IpfsDriver } from "../../services/storage/ipfs/driver.ts";
import { StorageService } from "../../services/storage/service.ts";
import { cidOf as blockOf, CODES, noise } from "../support/blocks.ts";
import { WAITER } from "../support/test_content.ts";
import { principal } from "../unit/auth/support/node.ts";
import { Chance } from "../unit/control_plane/support/chance.ts";
import { DAY, MINUTE, TestClock } from "../unit/control_plane/support/clock.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { openControl } from "../unit/control_plane/support/control.ts";
import { bytesOf, RULES, stream } from "../unit/storage/support/storage.ts";
import { engineTest } from "./support/engine_test.ts";
import type { IpfsClusterTestPeer, IpfsTestCluster } from "./support/ipfs_cluster.ts";
import type { KuboTestCluster } from "./support/kubo.ts";
import { until } from "./support/wait.ts";

const CLUSTER = ["ipfs", "ipfs-cluster-service"] as const;

/** The storage on a Cluster, and its time. Nothing is done in the background but what a test asks for. */
async function storageOn(kubos: KuboTestCluster, cluster: IpfsTestCluster) {
  const clock = new TestClock();
  const control = await openControl();
  const row = { name: "shop", database_name: "shop", state: "active", created_at: clock.now(), created_by: "test" };
  await control.run(control.db.insertInto("namespaces").values(row));
  const driver = new IpfsDriver({ kubo: kubos.urls, cluster: cluster.urls, timeout: 3_000 });
  const errors: unknown[] = [];
  const service = new StorageService(driver, {
    control,
    rulesOf: () => RULES,
    key: new Uint8Array(32),
    now: clock.now,
    random: new Chance(1).bytes,
    replication: { min: 1, max: 1 },
    unpinnedLife: DAY,
    maxLinkLife: DAY,
    remotePins: true,
    watchPins: true,
    onError: (_what, error) => errors.push(error),
  });
  return {
    service,
    driver,
    errors,
    stateOf: async (cid: string) => (await service.status("shop", cid, CONTEXT)).pin,
    /** Lets so much time go by that nothing rests any more, and has done what is to be done. */
    async later(): Promise<void> {
      clock.advance(6 * MINUTE);
      await service.reconcile();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await service.close();
      await control.close();
    },
  };
}

/** How many peers this one takes for living ones. */
async function livingAt(peer: IpfsClusterTestPeer): Promise<number> {
  const metrics = JSON.parse(await peer.ask("/monitor/metrics/freespace")) as readonly { readonly valid: boolean }[];
  return metrics.filter(({ valid }) => valid).length;
}

engineTest(
  "a pin that the Cluster cannot move when a peer dies is moved by the gateway once another peer is there",
  CLUSTER,
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 3 });
    const cluster = await engines.ipfsCluster({ kubos, recoverInterval: "1h" });
    await using storage = await storageOn(kubos, cluster);
    const { service, stateOf } = storage;
    const content = noise(600_000);
    const options = { replication: { min: 2, max: 2 } };
    const { cid } = await service.upload(principal({ namespace: "shop" }), stream(content), options, CONTEXT);
    await until("it is pinned", async () => (await stateOf(cid)).status === "pinned");
    const holders = (await stateOf(cid)).peers.map(({ name }) => name);
    equal(holders.length, 2);
    const spare = cluster.peers.find(({ id }) => !holders.includes(id))!;
    const [kept, lost] = cluster.peers.filter(({ id }) => holders.includes(id)) as [
      IpfsClusterTestPeer,
      IpfsClusterTestPeer,
    ];

    // When the holder dies there is nobody to take its place, and the Cluster does not try again when there is.
    await spare.kill();
    await until("the spare one is missed", async () => await livingAt(kept) === 2);
    await Promise.all([lost.kill(), lost.kubo.kill()]);
    await until("the other one is missed", async () => await livingAt(kept) === 1);
    await until("the pin has failed", async () => (await stateOf(cid)).status === "error");
    await storage.later();
    deepEqual(service.statistics().recoveries, { asked: 0, failed: 1 });
    await spare.start();
    await cluster.ready([kept, spare]);
    equal((await stateOf(cid)).status, "error");

    // A peer that has just come may not know the pin yet: whoever asks that one hears of no failure.
    await until("the Cluster is asked to recover it", async () => {
      await storage.later();
      return service.statistics().recoveries.asked > 0;
    });
    const { recoveries } = service.statistics();
    equal(recoveries.asked, 1);
    await until("it is pinned at the spare one", async () => {
      const { status, peers } = await stateOf(cid);
      return status === "pinned" && peers.some(({ name, status }) => name === spare.id && status === "pinned");
    });
    ok((await spare.kubo.pins()).includes(cid));
    await storage.later();
    deepEqual(service.statistics().recoveries, recoveries, "it is well");

    await service.unpin("shop", cid, CONTEXT);
    await storage.later();
    equal((await storage.driver.pinState(cid, WAITER)).status, "unpinned");
    equal(await kept.isAllocated(cid), false);
  },
);

engineTest(
  "a pin that failed because nobody had the content is tried again by the gateway, and then it is there",
  CLUSTER,
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 3 });
    const cluster = await engines.ipfsCluster({ kubos, pinTimeout: "1s", recoverInterval: "1h" });
    await using storage = await storageOn(kubos, cluster);
    const { service, driver } = storage;
    const content = noise(100_000, 7);
    const cid = blockOf(CODES.raw, content).toString();
    await service.pin(principal({ namespace: "shop" }), cid, {}, CONTEXT);
    await until("it has failed", async () => (await driver.pinState(cid, WAITER)).status === "error");
    equal(await kubos.nodes[0]!.add(content, { pin: "false" }), cid);
    await storage.later();
    equal(service.statistics().recoveries.asked, 1);
    await until("it is pinned", async () => (await driver.pinState(cid, WAITER)).status === "pinned");
    await storage.later();
    const opened = await service.open({ namespace: "shop" }, cid, [], CONTEXT);
    deepEqual(await bytesOf(opened.read()), content);
    deepEqual(service.statistics().pins, { pinned: 1 });
    deepEqual(storage.errors, []);
  },
);
