import { equal } from "node:assert/strict";
import { noise } from "../../support/blocks.ts";
import { WAITER } from "../../support/test_content.ts";
import { TestStorage } from "./support/local_storage.ts";

const CHUNK = 1_024, MINUTE = 60_000;
const STEPS = 400;

/** The same each time. */
function dice(seed: number): (sides: number) => number {
  let state = seed >>> 0 || 1;
  return (sides) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % sides;
  };
}

/** Contents that have many of their chunks in common. */
const CONTENTS = Array.from({ length: 10 }, (_, i) => {
  const chunks = Array.from({ length: 4 + i }, (_, j) => noise(CHUNK, 1 + (i * 3 + j) % 12));
  return new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
});

for (const seed of [1, 2, 3]) {
  Deno.test(`whatever comes, goes, is read and collected at once, what is claimed is whole (${seed})`, async () => {
    const roll = dice(seed * 7_919);
    await using storage = await TestStorage.open({ chunkSize: CHUNK, grace: 10 * MINUTE });
    await storage.add("opened");
    // Each step of the disk may take its turn late, so that everything happens in many orders.
    storage.disk.before = async () => {
      for (let late = roll(4); late > 0; late--) await new Promise((resolve) => setTimeout(resolve));
    };
    const claims = new Map<string, Uint8Array>();
    const running = new Set<Promise<void>>();
    const failures: unknown[] = [];
    const start = (work: () => Promise<void>) => {
      const one = work().catch((error) => void failures.push(error)).finally(() => running.delete(one));
      running.add(one);
    };
    const claim = (cid: string, content: Uint8Array) => {
      claims.set(cid, content);
      storage.roots.add(cid);
    };
    const someClaim = () => [...claims][roll(Math.max(1, claims.size))];
    const deeds: readonly (() => Promise<void>)[] = [
      async () => {
        const content = CONTENTS[roll(CONTENTS.length)]!;
        claim(await storage.add(content, 100 + roll(3_000)), content);
      },
      async () => {
        const content = CONTENTS[roll(CONTENTS.length)]!;
        const { root, files } = await storage.addDirectory({ a: content, b: "b" });
        storage.roots.add(root.cid);
        claim(files[0]!.cid, content);
        await storage.local.pin(root.cid);
      },
      async () => {
        const [cid, content] = someClaim() ?? [];
        // Read whole, or not at all: the claim may be given up while it is read, which does not matter to who reads.
        if (cid !== undefined) await storage.assertWhole(cid, content!);
      },
      async () => {
        const [cid] = someClaim() ?? [];
        if (cid === undefined) return;
        claims.delete(cid);
        storage.roots.delete(cid);
        await storage.local.unpin(cid);
      },
      async () => void await storage.collect(),
      // Long enough for what was added before to be old, never so long that an add had no time to be claimed.
      () => Promise.resolve(storage.clock.pass(3 * MINUTE)),
      async () => {
        const [cid, content] = someClaim() ?? [];
        if (cid === undefined) return;
        await storage.importCar(await storage.car(cid), 500);
        claim(cid, content!);
      },
    ];
    for (let step = 0; step < STEPS; step++) {
      start(deeds[roll(deeds.length)]!);
      if (running.size > 6) await Promise.race(running);
    }
    await Promise.all(running);
    equal(failures.length, 0, String(failures[0] instanceof Error ? failures[0].stack : failures[0]));
    for (const [cid, content] of claims) await storage.assertWhole(cid, content);
    storage.clock.pass(60 * MINUTE);
    await storage.collect();
    for (const [cid, content] of claims) await storage.assertWhole(cid, content);
    for (const root of storage.roots) equal((await storage.driver.look(root, [], "local", WAITER)).cid, root);
    equal((await storage.leftBehind()).length, 0);
  });
}
