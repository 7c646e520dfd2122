import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { IpfsDriver } from "../../services/storage/ipfs/driver.ts";
import { bytesOf, cidOf, CODES, inPieces, joined, noise } from "../support/blocks.ts";
import { refuses, WAITER } from "../support/test_content.ts";
import { engineTest } from "./support/engine_test.ts";
import type { KuboTestNode } from "./support/kubo.ts";
import { until } from "./support/wait.ts";

const CHUNK = 256 * 2 ** 10;

/** Endless content, with something to be done before a piece of it is given. */
async function* endless(at: number, event: () => Promise<void> | void, told: () => void = () => {}) {
  try {
    for (let i = 0;; i++) {
      if (i === at) await event();
      yield noise(64 * 2 ** 10, i + 1);
    }
  } finally {
    told();
  }
}

/** Reads all of it, and does something after so many bytes. */
async function readWith(driver: IpfsDriver, cid: string, at: number, event: () => Promise<void> | void) {
  const pieces: Uint8Array[] = [];
  let read = 0, done = false;
  for await (const piece of driver.read(cid, undefined, WAITER)) {
    pieces.push(piece);
    read += piece.length;
    if (!done && read >= at) {
      done = true;
      await event();
    }
  }
  return joined(pieces);
}

engineTest(
  "a Kubo that is killed in the middle of an upload: unavailable, the source is let go, and nothing is there",
  ["ipfs"],
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 1 });
    const [node] = kubos.nodes as readonly [KuboTestNode];
    const driver = new IpfsDriver({ kubo: kubos.urls, timeout: 2_000 });
    for (const kind of ["file", "directory", "car"] as const) {
      let told = false;
      const content = endless(100, () => node.kill(), () => told = true);
      const adding = kind === "file" ? driver.add(content, WAITER) : kind === "directory"
        ? driver.addDirectory(
          (async function* () {
            yield { path: "small", content: inPieces(noise(10)) };
            yield { path: "large", content };
          })(),
          WAITER,
        )
        : driver.importCar(endlessCar(content), WAITER);
      await refuses(adding, "UNAVAILABLE", /nothing was stored/);
      await until("the source is let go", () => told);
      equal((await driver.health(WAITER.signal)).status, "down");
      await node.restart();
      await kubos.ready();
      deepEqual(await node.pins(), []);
      await until("it is asked again", async () => (await driver.health(WAITER.signal)).status === "ok");
      const { cid } = await driver.add(inPieces(noise(10)), WAITER);
      equal((await driver.look(cid, [], "local", WAITER)).size, 10);
    }
    await driver.close();
  },
);

/** A CAR whose blocks never end. */
async function* endlessCar(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { carHeader, carSection } = await import("../../services/storage/car/stream.ts");
  yield carHeader(cidOf(CODES.raw, noise(1)));
  for await (const bytes of content) yield carSection({ cid: cidOf(CODES.raw, bytes), bytes });
}

engineTest(
  "a Kubo that stops in the middle of an upload is given up, and the next upload goes elsewhere",
  ["ipfs"],
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 3 });
    const driver = new IpfsDriver({ kubo: kubos.urls, timeout: 1_000 });
    const stopped: KuboTestNode[] = [];
    await refuses(
      driver.add(
        endless(400, async () => {
          // Whichever it is: the one that has the first chunk.
          const chunk = joined([1, 2, 3, 4].map((seed) => noise(64 * 2 ** 10, seed)));
          const first = cidOf(CODES.raw, chunk).toString();
          await until("a node has some of it", async () => {
            for (const node of kubos.nodes) if (await node.has(first)) stopped.push(node);
            return stopped.length > 0;
          });
          stopped[0]!.pause();
        }),
        WAITER,
      ),
      "UNAVAILABLE",
    );
    equal(stopped.length, 1);
    const content = noise(3 * CHUNK + 1);
    for (let i = 0; i < 4; i++) {
      const { cid } = await driver.add(inPieces(content), WAITER);
      deepEqual(await bytesOf(driver.read(cid, undefined, WAITER)), content);
    }
    equal((await driver.health(WAITER.signal)).status, "degraded");
    stopped[0]!.resume();
    await until("it is well again", async () => (await driver.health(WAITER.signal)).status === "ok");
    await driver.close();
  },
);

engineTest(
  "a Kubo that is killed, or stops, in the middle of a read: the next one goes on",
  ["ipfs"],
  async (engines) => {
    const kubos = await engines.kubo({ nodes: 3, connected: false });
    const content = noise(60 * CHUNK + 7);
    for (const [i, hurt] of (["kill", "pause"] as const).entries()) {
      const [cid] = await Promise.all(kubos.nodes.slice(i).map((node) => node.add(content)));
      const driver = new IpfsDriver({ kubo: kubos.urls.slice(i), timeout: 1_000 });
      deepEqual(await readWith(driver, cid!, 2 * CHUNK, () => kubos.nodes[i]![hurt]()), content);
      deepEqual(
        await bytesOf(driver.read(cid!, { offset: 5 * CHUNK - 1, length: 1_000_000 }, WAITER)),
        content.slice(5 * CHUNK - 1, 5 * CHUNK + 999_999),
      );
      const { root } = { root: cid! };
      ok((await bytesOf(driver.car(root, [], "all", WAITER))).length > content.length);
      await driver.close();
    }
  },
);

engineTest("a Kubo that is killed in the middle of a read, and nobody else has it: an error, never a short file", [
  "ipfs",
], async (engines) => {
  const kubos = await engines.kubo({ nodes: 1 });
  const [node] = kubos.nodes as readonly [KuboTestNode];
  const cid = await node.add(noise(60 * CHUNK));
  const driver = new IpfsDriver({ kubo: kubos.urls, timeout: 1_000 });
  await refuses(readWith(driver, cid, 2 * CHUNK, () => node.kill()), "UNAVAILABLE");
  await refuses(bytesOf(driver.read(cid, undefined, WAITER)), "UNAVAILABLE");
  await refuses(driver.look(cid, [], "local", WAITER), "UNAVAILABLE");
  await refuses(driver.block(cid, WAITER), "UNAVAILABLE");
  await refuses(driver.pin(cid, { name: "", replication: { min: 1, max: 1 } }, WAITER), "UNAVAILABLE");
  await refuses(driver.pinState(cid, WAITER), "UNAVAILABLE");
  equal(await driver.held(WAITER), undefined);
  await driver.close();
});

engineTest("a block that has rotted on the disk of one Kubo is never handed out", ["ipfs"], async (engines) => {
  for (const HashOnRead of [false, true]) {
    const kubos = await engines.kubo({ nodes: 3, connected: false, config: { Datastore: { HashOnRead } } });
    const [first, second] = kubos.nodes as readonly [KuboTestNode, KuboTestNode];
    const content = noise(8 * CHUNK);
    const cid = await first.add(content);
    await second.add(content);
    await rot(first, CHUNK);
    const alone = new IpfsDriver({ kubo: [first.url], timeout: 1_000 });
    await refuses(bytesOf(alone.read(cid, undefined, WAITER)), "UNAVAILABLE");
    const both = new IpfsDriver({ kubo: [first.url, second.url], timeout: 1_000 });
    deepEqual(await bytesOf(both.read(cid, undefined, WAITER)), content);
    equal((await both.health(WAITER.signal)).status, "ok");
    await Promise.all([alone.close(), both.close()]);
  }
});

/** Changes a byte of a block of this length, as it lies on the disk. */
async function rot(node: KuboTestNode, length: number): Promise<void> {
  const blocks = `${node.repository}/blocks`;
  for await (const shard of Deno.readDir(blocks)) {
    if (!shard.isDirectory) continue;
    for await (const { name } of Deno.readDir(`${blocks}/${shard.name}`)) {
      const path = `${blocks}/${shard.name}/${name}`;
      const bytes = await Deno.readFile(path);
      if (bytes.length !== length) continue;
      bytes[1_000]! ^= 1;
      await Deno.chmod(path, 0o600);
      return await Deno.writeFile(path, bytes);
    }
  }
  throw new Error("there is no such block");
}

engineTest("without a Cluster every Kubo keeps everything, and says where it does not", ["ipfs"], async (engines) => {
  const kubos = await engines.kubo({ nodes: 3 });
  const driver = new IpfsDriver({ kubo: kubos.urls, timeout: 1_000, pinTimeout: 2_000 });
  const options = { name: "n", replication: { min: 1, max: 1 } };
  const { cid } = await driver.add(inPieces(noise(3 * CHUNK)), WAITER);
  await driver.pin(cid, options, WAITER);
  await until("all have it", async () => (await driver.pinState(cid, WAITER)).status === "pinned");
  deepEqual(await Promise.all(kubos.nodes.map((node) => node.pins())), [[cid], [cid], [cid]]);
  await kubos.nodes[2]!.kill();
  const state = await driver.pinState(cid, WAITER);
  equal(state.status, "error");
  deepEqual(state.peers.map(({ status }) => status), ["pinned", "pinned", "error"]);
  // What may still be there is not said to be gone.
  await rejects(driver.unpin(cid, WAITER), { code: "UNAVAILABLE" });
  await kubos.nodes[2]!.start();
  await kubos.ready();
  await until("it is let go everywhere", async () => {
    await driver.unpin(cid, WAITER);
    return true;
  });
  deepEqual(await Promise.all(kubos.nodes.map((node) => node.pins())), [[], [], []]);
  const nowhere = cidOf(CODES.raw, noise(10, 3)).toString();
  await driver.pin(nowhere, options, WAITER);
  equal((await driver.pinState(nowhere, WAITER)).status, "pinning");
  await until("it failed", async () => (await driver.pinState(nowhere, WAITER)).status === "error");
  equal((await driver.pinState(nowhere, WAITER)).peers[0]!.error, "the peer did not find the content in time");
  await driver.close();
});
