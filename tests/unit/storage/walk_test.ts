import { equal, ok } from "node:assert/strict";
import { type BlockSource, Walk } from "../../../services/storage/car/walk.ts";
import { rawBlock, type TestBlock } from "../../support/blocks.ts";

const MIB = 2 ** 20;
const SIGNAL = new AbortController().signal;

/** Gives blocks of one size, and counts those that were asked for. */
class Counted implements BlockSource {
  asked = 0;

  constructor(private readonly bytes: Uint8Array<ArrayBuffer>) {}

  get(): Promise<Uint8Array> {
    this.asked++;
    return Promise.resolve(this.bytes);
  }
}

type Target = { readonly cid: TestBlock["cid"] };

const targets: readonly Target[] = Array.from({ length: 1_000 }, (_, i) => rawBlock(`target ${i}`));

for (const size of [MIB / 4, 2 * MIB]) {
  Deno.test(`readers that take nothing hold little together, however many they are: blocks of ${size} bytes`, async () => {
    const source = new Counted(new Uint8Array(size));
    const walks: Walk<Target>[] = [];
    for (let i = 0; i < 200; i++) {
      const walk = new Walk<Target>(source, SIGNAL);
      walks.push(walk);
      walk.push(targets);
      // The first tells how large blocks are.
      for (let taken = 0; taken < 3; taken++) await walk.next();
    }
    const held = source.asked - 3 * walks.length;
    ok(held * size < 64 * MIB + walks.length * 2 * size, `${held} blocks are held`);
    for (const walk of walks) walk[Symbol.dispose]();
    const before = source.asked;
    using alone = new Walk<Target>(source, SIGNAL);
    alone.push(targets);
    for (let taken = 0; taken < 3; taken++) await alone.next();
    const ahead = source.asked - before - 3;
    ok(ahead * size >= 6 * MIB, `${ahead} blocks are ahead of who reads alone, now that the others are gone`);
    for (let taken = 3; taken < targets.length; taken++) ok(await alone.next());
    equal(await alone.next(), undefined);
  });
}

Deno.test("a leaf's bytes are given back once the walk has left every place where they stand, and not before", async () => {
  const blocks = Array.from({ length: 120 }, (_, i) => rawBlock(`leaf ${i}`));
  // Some stand in several places: next to each other, and far from each other.
  const order = blocks.flatMap((block, i) => i % 3 === 0 ? [block, block, blocks[(i * 7) % 60]!] : [block]);
  const live = new Set<Uint8Array>(), given: Uint8Array[] = [];
  const source: BlockSource = {
    get: (cid) => {
      const bytes = blocks.find((block) => block.cid === cid)!.bytes.slice();
      live.add(bytes);
      given.push(bytes);
      return Promise.resolve(bytes);
    },
  };
  {
    using walk = new Walk<Target>(source, SIGNAL, (bytes) => ok(live.delete(bytes), "given back once"));
    walk.push(order);
    for (const { cid, bytes } of order) {
      const step = await walk.next();
      equal(step?.target.cid, cid);
      ok(live.has(step!.block.bytes), "it is there while the walk is");
      equal(String(step!.block.bytes), String(bytes));
      await Promise.resolve();
      ok(live.has(step!.block.bytes));
    }
    equal(await walk.next(), undefined);
  }
  await Promise.resolve();
  equal(live.size, 0, `of ${given.length} that were had`);
});

Deno.test("a walk that ends early gives back nothing that may still be read", async () => {
  const bytes = new Map(targets.map(({ cid }) => [cid, new Uint8Array(10)]));
  const source: BlockSource = { get: (cid) => Promise.resolve(bytes.get(cid)!) };
  const back: Uint8Array[] = [];
  const walk = new Walk<Target>(source, SIGNAL, (one) => void back.push(one));
  walk.push(targets);
  for (let i = 0; i < 5; i++) await walk.next();
  walk[Symbol.dispose]();
  await Promise.resolve();
  ok(!back.includes(bytes.get(targets[4]!.cid)!), "where the walk was");
  equal(back.length, new Set(back).size);
});
