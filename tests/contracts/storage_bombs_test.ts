import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { CarReader } from "@ipld/car/reader";
import { carOf, directoryBlock, fileBlock, pbBlock, rawBlock, type TestBlock, UNIXFS } from "../support/blocks.ts";
import { leaver, onEveryContentDriver, refuses, WAITER } from "../support/test_content.ts";

/** A file whose levels each have so many times the level below: blocks by the number of levels, bytes by their power. */
function expanding(levels: number, width: number, leaf = rawBlock("0123456789")) {
  const blocks: TestBlock[] = [leaf];
  let size = leaf.bytes.length, root = leaf;
  for (let level = 0; level < levels; level++) {
    const part = { cid: root.cid, size };
    root = fileBlock(Array.from({ length: width }, () => part));
    size *= width;
    blocks.push(root);
  }
  return { root, blocks, size };
}

onEveryContentDriver({
  "a file of a few blocks and a terabyte is read where it is wanted, and for as long as it is wanted": async (
    subject,
  ) => {
    const { root, blocks, size } = expanding(4, 600);
    equal(size, 10 * 600 ** 4);
    const added = await subject.importCar(await carOf([root.cid], blocks));
    deepEqual(added, { cid: root.cid.toString(), size, kind: "file" });
    equal((await subject.look(added.cid)).size, size);
    const text = new TextDecoder();
    equal(text.decode(await subject.read(added.cid, 0, 25)), "0123456789012345678901234");
    equal(text.decode(await subject.read(added.cid, size - 12, 12)), "890123456789");
    equal(text.decode(await subject.read(added.cid, size / 2 + 5, 3)), "567");
    const caller = leaver();
    let read = 0;
    await rejects(async () => {
      for await (const piece of subject.driver.read(added.cid, undefined, caller)) {
        read += piece.length;
        if (read >= 20_000) caller.leave();
      }
    }, (error) => error === caller.reason);
    ok(read < 30_000);
  },

  "a CAR of it has each block once": async (subject) => {
    const { root, blocks } = expanding(4, 600);
    await subject.importCar(await carOf([root.cid], blocks));
    const reader = await CarReader.fromBytes(await subject.car(root.cid.toString()));
    const cids = await Array.fromAsync(reader.cids(), String);
    equal(cids.length, blocks.length);
    deepEqual(new Set(cids), new Set(blocks.map(({ cid }) => cid.toString())));
  },

  "a node with the same child a hundred thousand times is one node": async (subject) => {
    const leaf = rawBlock("x");
    const wide = fileBlock(Array.from({ length: 30_000 }, () => ({ cid: leaf.cid, size: 1 })));
    const root = fileBlock(Array.from({ length: 4 }, () => ({ cid: wide.cid, size: 30_000 })));
    const added = await subject.importCar(await carOf([root.cid], [root, wide, leaf]));
    equal(added.size, 120_000);
    equal((await subject.read(added.cid)).length, 120_000);
    await subject.driver.pin(added.cid, { name: "wide", replication: { min: 1, max: 1 } }, WAITER);
  },

  "a file longer than can be counted is refused": async (subject) => {
    const { root, blocks } = expanding(6, 600);
    await refuses(subject.importCar(await carOf([root.cid], blocks)), "INVALID_REQUEST");
  },

  "directories in directories, each many times the same, are counted once and listed as they are": async (subject) => {
    const leaf = rawBlock("12345");
    const blocks: TestBlock[] = [leaf];
    let below = leaf;
    for (let level = 0; level < 5; level++) {
      below = directoryBlock(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`e${i}`, below.cid])));
      blocks.push(below);
    }
    const added = await subject.importCar(await carOf([below.cid], blocks));
    deepEqual(added, { cid: below.cid.toString(), size: 5 * 100 ** 5, kind: "directory" });
    equal((await subject.entries(added.cid)).length, 100);
    equal((await subject.look(added.cid, "e1", "e2", "e3", "e4", "e99")).size, 5);
  },

  "what is deeper than is taken is refused, and what is as deep as usual is not": async (subject) => {
    const chain = (length: number) => {
      const blocks: TestBlock[] = [rawBlock("end")];
      for (let i = 0; i < length; i++) blocks.push(fileBlock([{ cid: blocks.at(-1)!.cid, size: 3 }]));
      return { root: blocks.at(-1)!, blocks };
    };
    for (const length of [300, 3_000]) {
      const { root, blocks } = chain(length);
      await refuses(subject.importCar(await carOf([root.cid], blocks), 65_536), "INVALID_REQUEST", /deep/);
    }
    const { root, blocks } = chain(100);
    const { cid } = await subject.importCar(await carOf([root.cid], blocks));
    equal(await subject.text(cid), "end");
    equal((await CarReader.fromBytes(await subject.car(cid)))._blocks.length, 101);
  },

  "a shard that leads to itself under many names has an end": async (subject) => {
    const leaf = rawBlock("x");
    let shard = pbBlock([{ name: "00a", cid: leaf.cid }], { type: UNIXFS.shard, fanout: 256 });
    const blocks: TestBlock[] = [leaf, shard];
    for (let level = 0; level < 30; level++) {
      const links = Array.from({ length: 4 }, (_, i) => ({ name: `0${i}`, cid: shard.cid }));
      shard = pbBlock(links, { type: UNIXFS.shard, fanout: 256 });
      blocks.push(shard);
    }
    const added = subject.importCar(await carOf([shard.cid], blocks));
    // Refused, or listed for as long as somebody wants more of its 4 to the power of 30 entries.
    const { cid } = await added.catch(() => ({ cid: undefined }));
    if (cid === undefined) return;
    let count = 0;
    try {
      for await (const { name } of subject.driver.entries(cid, WAITER)) {
        equal(name, "a");
        if (++count === 1_000) break;
      }
    } catch (error) {
      equal((error as { code?: unknown }).code, "INVALID_REQUEST");
    }
    await refuses(subject.look(cid, "nothing"), "NOT_FOUND");
  },
});
