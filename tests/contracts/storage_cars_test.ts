import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { CarReader } from "@ipld/car/reader";
import { encode as encodeCbor } from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import {
  anyBlock,
  carOf,
  CODES,
  directoryBlock,
  fileBlock,
  inPieces,
  joined,
  noise,
  pbBlock,
  rawBlock,
  type TestBlock,
  UNIXFS,
  varint,
} from "../support/blocks.ts";
import type { DagScope } from "../../src/contracts/storage.ts";
import { leaver, onEveryContentDriver, refuses, WAITER } from "../support/test_content.ts";

const CHUNK = 256 * 2 ** 10;
const MIB = 2 ** 20;

const partOf = ({ cid, bytes }: TestBlock) => ({ cid, size: bytes.length });

/** A file of two parts in a directory, as blocks. */
function sample(seed: number) {
  const parts = [rawBlock(noise(1_000, seed)), rawBlock(noise(500, seed + 1))];
  const file = fileBlock(parts.map(partOf));
  const other = rawBlock(`other ${seed}`);
  const root = directoryBlock({ file: file.cid, other: other.cid });
  return { parts, file, other, root, all: [root, file, ...parts, other], size: 1_500 + other.bytes.length };
}

onEveryContentDriver({
  "what a CAR holds is there afterwards, whatever its order and pieces": async (subject) => {
    let seed = 10;
    for (const pieces of [[1], [7, 1, 100], [10_000], []]) {
      const { root, file, all, size, parts } = sample(seed += 10);
      for (const blocks of [all, all.toReversed(), [...all, ...all]]) {
        const car = await carOf([root.cid], blocks);
        const added = await subject.importCar(car, ...pieces);
        deepEqual(added, { cid: root.cid.toString(), size, kind: "directory" });
      }
      deepEqual(await subject.read(file.cid.toString()), joined(parts.map(({ bytes }) => bytes)));
      equal((await subject.look(root.cid.toString(), "file")).size, 1_500);
    }
  },

  "a CAR of a file, and one of a single block": async (subject) => {
    const { file, parts } = sample(1);
    const added = await subject.importCar(await carOf([file.cid], [file, ...parts]));
    deepEqual(added, { cid: file.cid.toString(), size: 1_500, kind: "file" });
    const leaf = rawBlock("leaf");
    deepEqual(await subject.importCar(await carOf([leaf.cid], [leaf])), {
      cid: leaf.cid.toString(),
      size: 4,
      kind: "file",
    });
    equal(await subject.text(leaf.cid.toString()), "leaf");
  },

  "what is not UnixFS is a block": async (subject) => {
    const node = anyBlock(CODES.dagCbor, encodeCbor({ hello: "world" }));
    const added = await subject.importCar(await carOf([node.cid], [node]));
    deepEqual(added, { cid: node.cid.toString(), size: node.bytes.length, kind: "block" });
    deepEqual(await subject.look(added.cid), added);
    deepEqual(await subject.read(added.cid), node.bytes);
  },

  "a CAR from here is taken by the library of its authors, and here again": async (subject) => {
    const { root, files } = await subject.addDirectory({
      a: noise(3 * CHUNK + 1),
      "b/c": "c",
      "b/d": noise(3 * CHUNK + 1),
    });
    const car = await subject.car(root.cid);
    const reader = await CarReader.fromBytes(car);
    deepEqual((await reader.getRoots()).map(String), [root.cid]);
    const cids = await Array.fromAsync(reader.cids(), String);
    equal(new Set(cids).size, cids.length, "each once");
    equal(cids.length, 2 + 1 + 4 + 1, "directories, the file that is there twice, its chunks, and c");
    for (const { cid, size } of files.slice(0, 1)) {
      deepEqual(await subject.importCar(await subject.car(cid)), { cid, size, kind: "file" });
    }
    const { cid, size } = await subject.importCar(car);
    deepEqual([cid, size], [root.cid, root.size]);
  },

  "a CAR has what its scope says": async (subject) => {
    const { root, file, other, parts, all } = sample(2);
    await subject.importCar(await carOf([root.cid], all));
    const cidsOf = async (...asked: Parameters<typeof subject.car>) => {
      const reader = await CarReader.fromBytes(await subject.car(...asked));
      deepEqual((await reader.getRoots()).map(String), [root.cid.toString()]);
      return await Array.fromAsync(reader.cids(), String);
    };
    const cid = root.cid.toString();
    const told = (...blocks: readonly TestBlock[]) => blocks.map((block) => block.cid.toString());
    deepEqual(await cidsOf(cid, [], "block"), told(root));
    deepEqual(await cidsOf(cid, [], "entity"), told(root));
    deepEqual((await cidsOf(cid, [], "all")).toSorted(), told(...all).toSorted());
    deepEqual(await cidsOf(cid, ["file"], "block"), told(root, file));
    deepEqual(await cidsOf(cid, ["file"], "entity"), told(root, file, ...parts));
    deepEqual(await cidsOf(cid, ["other"], "all"), told(root, other));
  },

  "a CAR of some bytes of a file has what they are made of, and nothing else": async (subject) => {
    const leaves = [1, 2, 3, 4].map((seed) => rawBlock(noise(100, seed)));
    const [a, b, c, d] = leaves as [TestBlock, TestBlock, TestBlock, TestBlock];
    const inner = fileBlock([partOf(a), partOf(b)]), twin = fileBlock([partOf(c), partOf(d)]);
    const half = { cid: inner.cid, size: 200 };
    // `inner` stands at 0, 200 and 600.
    const file = fileBlock([half, half, { cid: twin.cid, size: 200 }, half]);
    const root = directoryBlock({ file: file.cid });
    await subject.importCar(await carOf([root.cid], [root, file, inner, twin, ...leaves]));
    const names = new Map(
      Object.entries({ root, file, inner, twin, a, b, c, d })
        .map(([name, { cid }]) => [cid.toString(), name]),
    );
    const blocksOf = async (from: number, to?: number) => {
      const reader = await CarReader.fromBytes(await subject.car(root.cid.toString(), ["file"], { from, to }));
      return (await Array.fromAsync(reader.cids(), (cid) => names.get(cid.toString()))).join(" ");
    };
    for (
      const [from, to, blocks] of [
        [0, 0, "inner a"],
        [0, 99, "inner a"],
        [100, 100, "inner b"],
        [99, 100, "inner a b"],
        [150, 250, "inner b a"],
        [150, 199, "inner b"],
        [150, 700, "inner b a twin c d"],
        [350, 450, "inner b twin c"],
        [350, 650, "inner b twin c d a"],
        [499, 500, "twin c d"],
        [0, undefined, "inner a b twin c d"],
        [0, 10_000, "inner a b twin c d"],
        [-1, undefined, "inner b"],
        [-101, -100, "inner a b"],
        [-10_000, 0, "inner a"],
        [799, 799, "inner b"],
        [10, -790, "inner a"],
        [10, -795, ""],
        [5, 2, ""],
      ] as const
    ) equal(await blocksOf(from, to), `root file ${blocks}`.trimEnd(), `${from}:${to}`);
    for (const [from, to] of [[800, undefined], [800, 900], [0, -801], [-900, -801], [1e60, undefined]] as const) {
      await refuses(subject.car(root.cid.toString(), ["file"], { from, to }), "INVALID_REQUEST", /entity-bytes/);
    }
    const car = (path: readonly string[], scope: DagScope) => subject.car(root.cid.toString(), path, scope);
    deepEqual(await car([], { from: 5, to: 6 }), await car([], "entity"), "a directory has no bytes");
    const empty = await subject.add("");
    deepEqual(await subject.car(empty, [], { from: 0 }), await subject.car(empty, [], "block"));
    const leaf = await subject.add("leaf");
    deepEqual(await subject.car(leaf, [], { from: 1, to: 1 }), await subject.car(leaf, [], "block"));
  },

  "a CAR that lacks a block is refused, even where others have brought it": async (subject) => {
    const { root, file, parts, other, all } = sample(3);
    await subject.importCar(await carOf([root.cid], all));
    for (const missing of [root, file, ...parts, other]) {
      const rest = all.filter((block) => block !== missing);
      await refuses(subject.importCar(await carOf([root.cid], rest)), "INVALID_REQUEST", /lacks|root/);
    }
  },

  "a CAR whose blocks are not what they say is refused": async (subject) => {
    const { root, file, parts, all } = sample(4);
    const forged = { cid: parts[0]!.cid, bytes: noise(1_000, 99) };
    await refuses(
      subject.importCar(await carOf([root.cid], all.map((block) => block === parts[0] ? forged : block))),
      "INVALID_REQUEST",
    );
    await refuses(subject.importCar(await carOf([root.cid], [...all, forged])), "INVALID_REQUEST");
    await refuses(subject.look(file.cid.toString()), "NOT_FOUND");
    await refuses(subject.look(root.cid.toString()), "NOT_FOUND");
  },

  "a file that lies about its length is refused": async (subject) => {
    const leaf = rawBlock(noise(100));
    const lies: readonly TestBlock[] = [
      fileBlock([{ cid: leaf.cid, size: 99 }]),
      fileBlock([{ cid: leaf.cid, size: 2 ** 40 }]),
      fileBlock([{ cid: leaf.cid, size: 0 }]),
      pbBlock([leaf], { type: UNIXFS.file, fileSize: 1, blockSizes: [100] }),
      pbBlock([leaf], { type: UNIXFS.file, blockSizes: [] }),
      pbBlock([leaf], { type: UNIXFS.file, blockSizes: [100, 100] }),
    ];
    for (const lie of lies) {
      await refuses(subject.importCar(await carOf([lie.cid], [lie, leaf])), "INVALID_REQUEST");
    }
    const inner = directoryBlock({});
    const ofDirectory = fileBlock([{ cid: inner.cid, size: 0 }]);
    await refuses(subject.importCar(await carOf([ofDirectory.cid], [ofDirectory, inner])), "INVALID_REQUEST");
  },

  "another number of roots than one, and another version, are refused": async (subject) => {
    const { root, file, all } = sample(5);
    await refuses(subject.importCar(await carOf([], all)), "INVALID_REQUEST", /root/);
    await refuses(subject.importCar(await carOf([root.cid, file.cid], all)), "INVALID_REQUEST", /root/);
    const pragma = joined([[0x0a, 0xa1, 0x67], new TextEncoder().encode("version"), [0x02]]);
    await refuses(subject.importCar(joined([pragma, noise(40)])), "INVALID_REQUEST", /version/);
  },

  "what is no CAR is refused, wherever it stops making sense": async (subject) => {
    const { root, all } = sample(6);
    const car = await carOf([root.cid], all);
    const wrong: readonly Uint8Array[] = [
      new Uint8Array(0),
      new Uint8Array([0]),
      new Uint8Array(1_000),
      new Uint8Array(20).fill(0xff),
      noise(1_000),
      new TextEncoder().encode("<html>no</html>"),
      joined([varint(2 ** 40), noise(100)]),
      joined([varint(2 ** 52), noise(100)]),
      joined([[3, 0xa0, 0, 0]]),
      // A header that says it is deeply nested.
      joined([varint(200), new Uint8Array(200).fill(0x81)]),
      ...[1, 10, 58, 59, 60, 61, 100, car.length - 1].map((length) => car.slice(0, length)),
      joined([car, [0]]),
      joined([car, [1, 0]]),
      joined([car, [5, 1, 0x55, 0x12, 0x20, 1]]),
      joined([car, varint(3 * MIB), noise(1_000)]),
      joined([car, varint(2 ** 50), noise(1_000)]),
      joined([car, new Uint8Array(12).fill(0x80)]),
    ];
    for (const bytes of wrong) {
      await refuses(subject.importCar(bytes), "INVALID_REQUEST");
      await refuses(subject.importCar(bytes, 1), "INVALID_REQUEST");
    }
    await refuses(subject.look(root.cid.toString()), "NOT_FOUND");
  },

  "blocks have at most 2 MiB": async (subject) => {
    const most = rawBlock(noise(2 * MIB)), more = rawBlock(noise(2 * MIB + 1));
    equal((await subject.importCar(await carOf([most.cid], [most]), MIB)).size, 2 * MIB);
    await refuses(subject.importCar(await carOf([more.cid], [more]), MIB), "INVALID_REQUEST", /larger/);
  },

  "CIDs of codecs and hashes that are not taken are refused in a CAR": async (subject) => {
    const bytes = new TextEncoder().encode("hello");
    const wrong: readonly CID[] = [
      CID.createV1(CODES.raw, createDigest(CODES.identity, bytes)),
      CID.createV1(CODES.raw, createDigest(CODES.sha1, noise(20))),
      CID.createV1(CODES.raw, createDigest(CODES.sha256, noise(31))),
      CID.createV1(0x72, createDigest(CODES.sha256, noise(32))),
      CID.createV1(0x78, createDigest(CODES.sha256, noise(32))),
    ];
    for (const cid of wrong) {
      const block = { cid, bytes };
      await refuses(subject.importCar(await carOf([cid], [block])), "INVALID_REQUEST");
      const root = directoryBlock({ inner: cid });
      await refuses(subject.importCar(await carOf([root.cid], [root, block])), "INVALID_REQUEST");
      await refuses(subject.importCar(await carOf([root.cid], [root])), "INVALID_REQUEST");
    }
  },

  "nodes that make no sense are refused, not kept": async (subject) => {
    const leaf = rawBlock("x");
    const wrong: readonly TestBlock[] = [
      anyBlock(CODES.dagPb, noise(100)),
      anyBlock(CODES.dagPb, new Uint8Array([0x0a, 0xff])),
      anyBlock(CODES.dagCbor, noise(100)),
      anyBlock(CODES.dagCbor, new Uint8Array(100_000).fill(0x81)),
      pbBlock([leaf], { type: 99 }),
      pbBlock([{ name: "0x", cid: leaf.cid }], { type: UNIXFS.shard, fanout: 3 }),
      pbBlock([{ name: "0x", cid: leaf.cid }], { type: UNIXFS.shard, fanout: 2 ** 31 }),
      pbBlock([{ name: "", cid: leaf.cid }], { type: UNIXFS.shard, fanout: 256 }),
    ];
    for (const block of wrong) {
      await refuses(subject.importCar(await carOf([block.cid], [block, leaf])), "INVALID_REQUEST");
    }
  },

  "who leaves while a CAR comes is not waited for, and the source is told": async (subject) => {
    const { root, all } = sample(7);
    const car = await carOf([root.cid], all);
    const caller = leaver();
    let told = false;
    async function* source() {
      try {
        yield* inPieces(car.slice(0, -5), 100);
        queueMicrotask(caller.leave);
        yield new Uint8Array(0);
        for (;;) yield await new Promise<Uint8Array>((resolve) => setTimeout(() => resolve(new Uint8Array(0)), 5));
      } finally {
        told = true;
      }
    }
    await rejects(subject.driver.importCar(source(), caller), (error) => error === caller.reason);
    ok(told);
    await refuses(subject.look(root.cid.toString()), "NOT_FOUND");
  },

  "a CAR that is refused in the middle is not read on": async (subject) => {
    const { root, all } = sample(8);
    const car = await carOf([root.cid], all);
    let told = false, pieces = 0;
    async function* source() {
      try {
        yield car;
        for (;; pieces++) yield new Uint8Array(1_000).fill(0xff);
      } finally {
        told = true;
      }
    }
    await refuses(subject.driver.importCar(source(), WAITER), "INVALID_REQUEST");
    ok(told && pieces < 10, String(pieces));
  },
});
