import { deepEqual, equal, ok } from "node:assert/strict";
import { exporter } from "ipfs-unixfs-exporter";
import { importer } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { CID } from "multiformats/cid";
import { anyBlock, bytesOf, carOf, noise, type TestBlock } from "../../support/blocks.ts";
import { filesOf, WAITER } from "../../support/test_content.ts";
import { TestStorage } from "./support/local_storage.ts";

/** Blocks as the libraries of the network's authors have them. */
function memory() {
  const blocks = new Map<string, TestBlock>();
  return {
    blocks,
    put(cid: CID, bytes: Uint8Array): Promise<CID> {
      blocks.set(cid.toString(), anyBlock(cid.code, bytes));
      return Promise.resolve(cid);
    },
    async *get(cid: CID) {
      const block = blocks.get(cid.toString());
      if (block === undefined) throw new Error(`no block ${cid}`);
      yield await Promise.resolve(block.bytes);
    },
  };
}

type Memory = ReturnType<typeof memory>;

/** What storage holds, for the other library to read. */
const storeOf = (storage: TestStorage) => ({
  async *get(cid: CID) {
    yield await storage.driver.block(cid.toString(), WAITER);
  },
});

const carOfAll = async (root: CID, store: Memory) => await carOf([root], [...store.blocks.values()]);

Deno.test("files of any shape that others make are read as they read them", async () => {
  await using storage = await TestStorage.open();
  const content = noise(20_000);
  const shapes = [
    { cidVersion: 1, rawLeaves: true },
    { cidVersion: 1, rawLeaves: false },
    { cidVersion: 0, rawLeaves: false },
    { cidVersion: 1, rawLeaves: false, leafType: "raw" },
    { cidVersion: 1, rawLeaves: true, fieldOrder: "data-first" },
  ] as const;
  for (const shape of shapes) {
    for (const chunkSize of [30_000, 100, 64]) {
      const store = memory();
      const [made] = await Array.fromAsync(
        importer([{ content }], store, { ...shape, chunker: fixedSize({ chunkSize }) }),
      );
      const { cid, size, kind } = await storage.importCar(await carOfAll(made!.cid, store));
      deepEqual([size, kind], [content.length, "file"], JSON.stringify([shape, chunkSize]));
      deepEqual(await storage.read(cid), content);
      for (const [offset, length] of [[0, 1], [63, 2], [64, 64], [9_999, 5_000], [19_999, 1]] as const) {
        const theirs = await theirsOf(made!.cid, store, offset, length);
        deepEqual(await storage.read(cid, offset, length), theirs);
      }
    }
  }
});

async function theirsOf(cid: CID, store: Memory, offset: number, length: number): Promise<Uint8Array> {
  const entry = await exporter(cid, store);
  if (entry.type !== "file" && entry.type !== "raw") throw new Error(entry.type);
  return await bytesOf(entry.content({ offset, length }));
}

Deno.test("directories that others make, in one block or spread over many, are listed and searched as they do", async () => {
  await using storage = await TestStorage.open();
  for (const shardFanoutBits of [8, 4, 3, 10]) {
    for (const shardSplitThresholdBytes of [0, 1_000_000]) {
      const names = Array.from({ length: 400 }, (_, i) => `name ${i} ${"é".repeat(i % 5)}`);
      const store = memory();
      const options = { wrapWithDirectory: true, shardSplitThresholdBytes, shardFanoutBits };
      const candidates = names.map((name) => ({ path: name, content: new TextEncoder().encode(name) }));
      const made = (await Array.fromAsync(importer(candidates, store, options))).at(-1)!;
      equal(made.unixfs!.type, shardSplitThresholdBytes === 0 ? "hamt-sharded-directory" : "directory");
      const { cid } = await storage.importCar(await carOfAll(made.cid, store));
      const ours = await storage.entries(cid);
      const directory = await exporter(made.cid, store);
      ok(directory.type === "directory");
      const theirs = await Array.fromAsync(directory.entries());
      deepEqual(
        ours.map((entry) => [entry.name, entry.cid]).toSorted(),
        theirs.map((entry) => [entry.name, entry.cid.toString()]).toSorted(),
      );
      for (const name of names.filter((_, i) => i % 37 === 0)) {
        const found = await storage.look(cid, name);
        equal(found.cid, ours.find((entry) => entry.name === name)!.cid, `${name}, ${shardFanoutBits}`);
      }
    }
  }
});

Deno.test("what is added here is read by others", async () => {
  await using storage = await TestStorage.open({ chunkSize: 1_000 });
  const content = noise(400_123);
  const files = Array.from(
    { length: 3_000 },
    (_, i) => [`folder ${i % 3}/${"long ".repeat(49)}${i}`, i === 7 ? content : `text ${i}`] as const,
  );
  const { root } = await storage.driver.addDirectory(filesOf(files), WAITER);
  const entry = await exporter(`${root.cid}/${files[7]![0]}`, storeOf(storage));
  ok(entry.type === "file");
  deepEqual(await bytesOf(entry.content()), content);
  const folder = await exporter(`${root.cid}/folder 1`, storeOf(storage));
  ok(folder.type === "directory" && folder.unixfs.type === "hamt-sharded-directory");
  equal((await Array.fromAsync(folder.entries())).length, 1_000);
});

Deno.test("what is added here has the CIDs that others give it", async () => {
  await using storage = await TestStorage.open({ chunkSize: 100 });
  for (const length of [0, 99, 100, 101, 17_399, 17_400, 17_401, 34_800, 60_000]) {
    const [made] = await Array.fromAsync(
      importer([{ content: noise(length) }], memory(), { chunker: fixedSize({ chunkSize: 100 }) }),
    );
    equal(await storage.add(noise(length)), made!.cid.toString(), String(length));
  }
});
