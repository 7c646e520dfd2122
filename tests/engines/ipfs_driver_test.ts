import { deepEqual, equal, ok } from "node:assert/strict";
import { IpfsDriver } from "../../services/storage/ipfs/driver.ts";
import type { IpfsDriverOptions } from "../../services/storage/ipfs/options.ts";
import { bytesOf, cidOf, CODES, inPieces, noise } from "../support/blocks.ts";
import { filesOf, refuses, WAITER } from "../support/test_content.ts";
import { type Engines, engineTest } from "./support/engine_test.ts";
import type { KuboTestNode } from "./support/kubo.ts";
import { until } from "./support/wait.ts";

const CHUNK = 256 * 2 ** 10;
const EVERYWHERE = { name: "n", replication: { min: -1, max: -1 } };

/** A driver on one Kubo and one peer, which end with the test. */
async function single(engines: Engines, options: Partial<IpfsDriverOptions> = {}) {
  const kubos = await engines.kubo({ nodes: 1 });
  const cluster = await engines.ipfsCluster({ kubos });
  const driver = new IpfsDriver({ kubo: kubos.urls, cluster: cluster.urls, timeout: 3_000, ...options });
  return {
    driver,
    kubo: kubos.nodes[0]!,
    peer: cluster.peers[0]!,
    [Symbol.asyncDispose]: () => driver.close(),
  };
}

const statusOf = async (driver: IpfsDriver, cid: string) => (await driver.pinState(cid, WAITER)).status;

engineTest(
  "the same bytes have the CID that `ipfs add` gives them, however the node is configured",
  ["ipfs"],
  async (engines) => {
    const [plain] = (await engines.kubo({ nodes: 1 })).nodes as readonly [KuboTestNode];
    const strange = await engines.kubo({
      nodes: 1,
      config: {
        Import: {
          CidVersion: 0,
          UnixFSRawLeaves: false,
          UnixFSChunker: "size-1048576",
          UnixFSFileMaxLinks: 1024,
          UnixFSDirectoryMaxLinks: 16,
          UnixFSHAMTDirectoryMaxFanout: 64,
          HashFunction: "sha2-512",
        },
      },
    });
    for (const chunkSize of [CHUNK, 2 ** 20, 1_024]) {
      const driver = new IpfsDriver({ kubo: strange.urls, chunkSize });
      for (const length of [0, 5, 1_024, 1_025, CHUNK, CHUNK + 1, 5_000_000]) {
        const content = noise(length, length);
        const { cid } = await driver.add(inPieces(content), WAITER);
        equal(
          cid,
          await plain.add(content, { chunker: `size-${chunkSize}` }),
          `${length} bytes in chunks of ${chunkSize}`,
        );
      }
      const directory = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`folder/${i}`, String(i)]));
      const { root } = await driver.addDirectory(filesOf(Object.entries(directory)), WAITER);
      const other = new IpfsDriver({ kubo: [plain.url], chunkSize });
      equal((await other.addDirectory(filesOf(Object.entries(directory)), WAITER)).root.cid, root.cid);
      await Promise.all([driver.close(), other.close()]);
    }
  },
);

engineTest("a CAR from here is taken by another Kubo, with the same root", ["ipfs"], async (engines) => {
  const { urls } = await engines.kubo({ nodes: 1 });
  const [other] = (await engines.kubo({ nodes: 1 })).nodes as readonly [KuboTestNode];
  const driver = new IpfsDriver({ kubo: urls });
  const { root } = await driver.addDirectory(filesOf([["a", noise(CHUNK * 200)], ["b/c", "c"]]), WAITER);
  const body = new FormData();
  body.append("file", new Blob([await bytesOf(driver.car(root.cid, [], "all", WAITER))]));
  const response = await fetch(`${other.url}/api/v0/dag/import?pin-roots=true`, { method: "POST", body });
  ok((await response.text()).includes(root.cid));
  deepEqual(await other.pins(), [root.cid]);
  await driver.close();
});

engineTest("nothing is pinned by adding it, and what is unpinned is gone with the next collection", [
  "ipfs",
  "ipfs-cluster-service",
], async (engines) => {
  await using one = await single(engines);
  const { driver, kubo } = one;
  const added = await driver.add(inPieces(noise(3 * CHUNK)), WAITER);
  const kept = await driver.add(inPieces(noise(2 * CHUNK, 2)), WAITER);
  await driver.pin(kept.cid, EVERYWHERE, WAITER);
  await until("it is pinned", async () => await statusOf(driver, kept.cid) === "pinned");
  deepEqual(await kubo.pins(), [kept.cid]);
  await kubo.ask("repo/gc", { quiet: "true" });
  await refuses(driver.look(added.cid, [], "local", WAITER), "NOT_FOUND");
  equal((await bytesOf(driver.read(kept.cid, undefined, WAITER))).length, 2 * CHUNK);
  await driver.unpin(kept.cid, WAITER);
  await until("Kubo has let it go", async () => (await kubo.pins()).length === 0);
});

engineTest("an end of a pin is not lost, however soon it comes after its beginning or its change", [
  "ipfs",
  "ipfs-cluster-service",
], async (engines) => {
  await using one = await single(engines);
  const { driver, kubo, peer } = one;
  const cids = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => (await driver.add(inPieces(noise(100, i)), WAITER)).cid),
  );
  // Ended at once, half of them when they were there already and are replaced.
  await Promise.all(cids.map(async (cid, i) => {
    if (i % 2 === 1) {
      await driver.pin(cid, { ...EVERYWHERE, name: "first" }, WAITER);
      await until("it is pinned", async () => await statusOf(driver, cid) === "pinned");
    }
    await driver.pin(cid, EVERYWHERE, WAITER);
    await driver.unpin(cid, WAITER);
    equal(await statusOf(driver, cid), "unpinned");
  }));
  // All that the peer had to write down is written down behind this.
  const last = (await driver.add(inPieces(noise(100, 99)), WAITER)).cid;
  await driver.pin(last, EVERYWHERE, WAITER);
  await until("it is pinned", async () => await statusOf(driver, last) === "pinned");
  deepEqual(await Promise.all(cids.map((cid) => peer.isAllocated(cid))), cids.map(() => false));
  await until("Kubo has only the last", async () => (await kubo.pins()).join() === last);
});

engineTest("a pin that begins again right after its end stays", ["ipfs", "ipfs-cluster-service"], async (engines) => {
  await using one = await single(engines);
  const { driver, peer } = one;
  const { cid } = await driver.add(inPieces(noise(100)), WAITER);
  for (let i = 0; i < 5; i++) {
    await driver.pin(cid, EVERYWHERE, WAITER);
    equal(["queued", "pinning", "pinned"].includes(await statusOf(driver, cid)), true);
    await driver.unpin(cid, WAITER);
    await driver.pin(cid, EVERYWHERE, WAITER);
    await until("it is pinned", async () => await statusOf(driver, cid) === "pinned");
  }
  equal(await peer.isAllocated(cid), true);
});

engineTest("what nobody has is pinning, then an error, and recovers when somebody has it", [
  "ipfs",
  "ipfs-cluster-service",
], async (engines) => {
  const kubos = await engines.kubo({ nodes: 1 });
  const cluster = await engines.ipfsCluster({ kubos, pinTimeout: "1s", recoverInterval: "10m" });
  const driver = new IpfsDriver({ kubo: kubos.urls, cluster: cluster.urls, timeout: 3_000 });
  const content = noise(1_000, 7), cid = cidOf(CODES.raw, content).toString();
  await driver.pin(cid, EVERYWHERE, WAITER);
  await until("it failed", async () => await statusOf(driver, cid) === "error");
  const { error, peers: [peer] } = await driver.pinState(cid, WAITER);
  equal(error, "0 of 1 copies are kept, and 1 could not be made");
  deepEqual([peer?.name, peer?.status], ["c0", "error"]);
  equal(/\d+\.\d+\.\d+\.\d+|http|context/.test(peer?.error ?? ""), false, peer?.error ?? "");
  await driver.add(inPieces(content), WAITER);
  await driver.recover(cid, WAITER);
  await until("it is pinned", async () => await statusOf(driver, cid) === "pinned");
  await refuses(driver.recover(cidOf(CODES.raw, noise(10, 8)).toString(), WAITER), "NOT_FOUND");
  await driver.close();
});

engineTest("content is had from an address that the caller names, where that is allowed", [
  "ipfs",
  "ipfs-cluster-service",
], async (engines) => {
  const far = (await engines.kubo({ nodes: 1 })).nodes[0]!;
  await using one = await single(engines, { privateOrigins: true });
  const { driver, kubo } = one;
  const cid = await far.add(noise(3 * CHUNK, 3));
  await refuses(driver.look(cid, [], "network", WAITER), "NOT_FOUND");
  const shy = new IpfsDriver({ kubo: [kubo.url], timeout: 500 });
  await shy.pin(cid, { ...EVERYWHERE, origins: [far.address] }, WAITER);
  equal(await statusOf(shy, cid), "pinning");
  await shy.unpin(cid, WAITER);
  equal(await statusOf(shy, cid), "unpinned");
  await shy.close();
  await driver.pin(cid, { ...EVERYWHERE, origins: ["/ip4/127.0.0.1/tcp/1", "nonsense", far.address] }, WAITER);
  await until("it is pinned", async () => await statusOf(driver, cid) === "pinned");
  equal((await driver.look(cid, [], "local", WAITER)).size, 3 * CHUNK);
});

engineTest("a peer that asks for a password gets it, and a wrong one is told to nobody", [
  "ipfs",
  "ipfs-cluster-service",
], async (engines) => {
  const kubos = await engines.kubo({ nodes: 1 });
  const user = { username: "gateway", password: "correct-horse" };
  const cluster = await engines.ipfsCluster({ kubos, user });
  const options = { kubo: kubos.urls, cluster: cluster.urls, clusterUsername: user.username };
  const driver = new IpfsDriver({ ...options, clusterPassword: user.password });
  const { cid } = await driver.add(inPieces(noise(10)), WAITER);
  await driver.pin(cid, EVERYWHERE, WAITER);
  await until("it is pinned", async () => await statusOf(driver, cid) === "pinned");
  equal((await driver.health(WAITER.signal)).status, "ok");
  const stranger = new IpfsDriver({ ...options, clusterPassword: "wrong-battery" });
  for (
    const ask of [
      () => stranger.pin(cid, EVERYWHERE, WAITER),
      () => stranger.pinState(cid, WAITER),
      () => stranger.unpin(cid, WAITER),
    ]
  ) {
    await refuses(ask(), "UNAVAILABLE", /refuses to serve/);
    const error = await ask().catch((error) => error);
    equal(Deno.inspect(error, { depth: 10 }).includes("wrong-battery"), false);
  }
  equal((await stranger.health(WAITER.signal)).status, "down");
  await Promise.all([driver.close(), stranger.close()]);
});
