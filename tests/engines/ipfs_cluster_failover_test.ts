import { deepEqual, equal, ok } from "node:assert/strict";
import { IpfsDriver } from "../../services/storage/ipfs/driver.ts";
import { bytesOf, inPieces, noise } from "../support/blocks.ts";
import { refuses, WAITER } from "../support/test_content.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const CHUNK = 256 * 2 ** 10;
const CLUSTER = ["ipfs", "ipfs-cluster-service"] as const;

engineTest(
  "three peers: pinned means on as many as must, and after a death it is put on others",
  CLUSTER,
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 3 });
    const cluster = await engines.ipfsCluster({ kubos });
    const driver = new IpfsDriver({ kubo: kubos.urls, cluster: cluster.urls, timeout: 3_000 });
    const content = noise(5 * CHUNK + 1);
    const { cid } = await driver.add(inPieces(content), WAITER);
    await driver.pin(cid, { name: "two", replication: { min: 2, max: 2 } }, WAITER);
    const pinnedAt = async () => (await driver.pinState(cid, WAITER)).peers.filter(({ status }) => status === "pinned");
    await until("it is pinned", async () => (await driver.pinState(cid, WAITER)).status === "pinned");
    const holders = await pinnedAt();
    equal(holders.length, 2);
    equal((await Promise.all(kubos.nodes.map((node) => node.pins()))).flat().length, 2);

    // Not the first peer, so that another one has to take over from it as well in the next step.
    const lost = cluster.peers.findLast(({ id }) => holders.some(({ name }) => name === id))!;
    await Promise.all([lost.kill(), lost.kubo.kill()]);
    const stateOf = (name: string) => async () =>
      (await driver.pinState(cid, WAITER)).peers.find((peer) => peer.name === name);
    await until("the state says which peer is gone", async () => {
      const peer = await stateOf(lost.id)();
      return peer === undefined || peer.status === "error" && peer.error === "the peer cannot be reached";
    });
    equal((await driver.health(WAITER.signal)).status, "degraded");
    deepEqual(await bytesOf(driver.read(cid, undefined, WAITER)), content);
    await until("two of those that are left have it", async () => {
      const { status, peers } = await driver.pinState(cid, WAITER);
      if (status === "error") await driver.recover(cid, WAITER);
      return status === "pinned" &&
        peers.filter(({ name, status }) => name !== lost.id && status === "pinned").length === 2;
    });

    await refuses(driver.pin(cid, { name: "", replication: { min: 9, max: 9 } }, WAITER), "UNAVAILABLE", /fewer peers/);
    await refuses(
      driver.pin(cid, { name: "", replication: { min: 3, max: 2 } }, WAITER),
      "INVALID_REQUEST",
      /replication_min/,
    );
    await driver.unpin(cid, WAITER);
    equal((await driver.pinState(cid, WAITER)).status, "unpinned");
    await driver.close();
  },
);

engineTest(
  "the first peer is down, or answers nothing: the next one is asked, and then none",
  CLUSTER,
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 3 });
    const cluster = await engines.ipfsCluster({ kubos });
    const [first, second, third] = cluster.peers;
    const driver = new IpfsDriver({ kubo: kubos.urls, cluster: cluster.urls, timeout: 1_000 });
    const options = { name: "n", replication: { min: 1, max: 1 } };
    const pinOne = async (seed: number) => {
      const { cid } = await driver.add(inPieces(noise(CHUNK + 1, seed)), WAITER);
      await driver.pin(cid, options, WAITER);
      return cid;
    };
    await first!.kill();
    const cid = await pinOne(1);
    await until("another peer knows", async () => (await driver.pinState(cid, WAITER)).peers.length > 0);
    second!.pause();
    const begin = performance.now();
    await pinOne(2);
    ok(performance.now() - begin < 10_000);
    await driver.unpin(cid, WAITER);
    equal(await third!.isAllocated(cid), false);
    const { status, details } = await driver.health(WAITER.signal);
    deepEqual([status, details?.cluster_peers, details?.cluster_peers_up], ["degraded", 3, 1]);
    await third!.kill();
    await refuses(pinOne(3), "UNAVAILABLE");
    await refuses(driver.pinState(cid, WAITER), "UNAVAILABLE");
    equal((await driver.health(WAITER.signal)).status, "down");
    // What is there is read all the same.
    equal((await bytesOf(driver.read(cid, undefined, WAITER))).length, CHUNK + 1);
    second!.resume();
    await until("a peer is found again", async () => (await driver.pinState(cid, WAITER)).status !== undefined);
    await driver.close();
  },
);

engineTest("content that only another peer's Kubo has is found through it", CLUSTER, async (engines) => {
  const kubos = await engines.kubo({ nodes: 3 });
  const cluster = await engines.ipfsCluster({ kubos });
  const [mine, other] = kubos.nodes;
  const driver = new IpfsDriver({ kubo: [mine!.url], cluster: cluster.urls, timeout: 2_000 });
  const cid = await other!.add(noise(3 * CHUNK), { pin: "false" });
  equal(await mine!.has(cid), false);
  await refuses(driver.look(cid, [], "local", WAITER), "NOT_FOUND");
  await driver.pin(cid, { name: "n", replication: { min: 3, max: 3 } }, WAITER);
  await until("it is pinned", async () => (await driver.pinState(cid, WAITER)).status === "pinned");
  equal((await driver.look(cid, [], "local", WAITER)).size, 3 * CHUNK);
  await driver.close();
});
