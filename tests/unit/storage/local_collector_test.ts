import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";
import { carOf, fileBlock, noise, rawBlock, type TestBlock } from "../../support/blocks.ts";
import { leaver, refuses, WAITER } from "../../support/test_content.ts";
import { TestStorage } from "./support/local_storage.ts";

const CHUNK = 256 * 2 ** 10;
const MINUTE = 60_000;

Deno.test("what belongs to nothing goes once it is old, and what is claimed or pinned stays", async () => {
  await using storage = await TestStorage.open();
  const claimed = noise(4 * CHUNK), pinned = noise(CHUNK + 9, 2), nobodys = noise(3 * CHUNK, 3);
  const claim = await storage.add(claimed);
  const pin = await storage.add(pinned);
  await storage.local.pin(pin);
  const { root } = await storage.addDirectory({ "a/b": noise(2 * CHUNK, 4), c: "c" });
  storage.roots.add(claim).add(root.cid);
  const gone = await storage.add(nobodys);
  equal((await storage.collect()).removed, 0, "it is young");
  storage.age();
  const collected = await storage.collect();
  deepEqual([collected.roots, collected.removed, collected.spared], [3, 4, 0]);
  ok(collected.bytes >= 3 * CHUNK);
  await refuses(storage.look(gone), "NOT_FOUND");
  await storage.assertWhole(claim, claimed);
  await storage.assertWhole(pin, pinned);
  await storage.assertWhole((await storage.look(root.cid, "a", "b")).cid, noise(2 * CHUNK, 4));
  await storage.local.unpin(pin);
  storage.roots.delete(claim);
  await storage.collect();
  await refuses(storage.look(pin), "NOT_FOUND");
  equal((await storage.blocks()).length, 2 + 3 + 1);
});

Deno.test("blocks that two have go with the last of them", async () => {
  await using storage = await TestStorage.open();
  const shared = noise(2 * CHUNK), one = new Uint8Array([...shared, 1]), other = new Uint8Array([...shared, 2]);
  const first = await storage.add(one), second = await storage.add(other);
  storage.roots.add(first).add(second);
  storage.age();
  storage.roots.delete(first);
  await storage.collect();
  await storage.assertWhole(second, other);
  storage.roots.delete(second);
  await storage.collect();
  deepEqual(await storage.blocks(), []);
});

Deno.test("a directory of many entries stays to its last one", async () => {
  await using storage = await TestStorage.open();
  const files = Object.fromEntries(
    Array.from({ length: 5_000 }, (_, i) => [`a rather long name, number ${i}.txt`, `${i}`]),
  );
  const { root } = await storage.addDirectory(files);
  storage.roots.add(root.cid);
  storage.age();
  equal((await storage.collect()).removed, 0);
  equal((await storage.entries(root.cid)).length, 5_000);
  equal(await storage.text((await storage.look(root.cid, "a rather long name, number 4999.txt")).cid), "4999");
});

Deno.test("while it is not known what is below a root, nothing goes", async () => {
  for (const harm of ["missing", "damaged"] as const) {
    await using storage = await TestStorage.open();
    const parts = [noise(3 * CHUNK), noise(3 * CHUNK, 2)];
    const { root, files } = await storage.addDirectory({ a: parts[0]!, b: parts[1]! });
    await storage.add(noise(2 * CHUNK, 3));
    storage.roots.add(root.cid);
    storage.age();
    const file = await storage.fileOf(files[0]!.cid);
    if (harm === "missing") await Deno.remove(file);
    else await Deno.writeFile(file, noise(400));
    const before = await storage.blocks();
    const collected = await storage.collect();
    deepEqual([collected.removed, collected.unreadable], [0, [files[0]!.cid]]);
    deepEqual(await storage.blocks(), before);
    equal((await storage.driver.health(WAITER.signal)).status, "degraded");
    // Whoever brings it again mends it.
    await storage.add(parts[0]!);
    storage.age();
    ok((await storage.collect()).removed >= 3);
    equal((await storage.driver.health(WAITER.signal)).status, "ok");
    await storage.assertWhole(files[0]!.cid, parts[0]!);
  }
});

Deno.test("roots that are nowhere, or are no CIDs, keep nothing from being collected", async () => {
  await using storage = await TestStorage.open();
  await storage.add(noise(CHUNK));
  const nowhere = rawBlock("nowhere").cid.toString(), node = fileBlock([]).cid.toString();
  storage.roots.add(nowhere).add(node).add("no CID at all");
  storage.age();
  const { removed, absent } = await storage.collect();
  equal(removed, 1);
  deepEqual(absent, [node, "no CID at all"]);
});

Deno.test("a file of a terabyte in a few blocks is marked as the few blocks that it is", async () => {
  await using storage = await TestStorage.open();
  const blocks: TestBlock[] = [rawBlock("0123456789")];
  let size = 10;
  for (let level = 0; level < 4; level++) {
    const part = { cid: blocks.at(-1)!.cid, size };
    blocks.push(fileBlock(Array.from({ length: 600 }, () => part)));
    size *= 600;
  }
  const { cid } = await storage.importCar(await carOf([blocks.at(-1)!.cid], blocks));
  storage.roots.add(cid);
  storage.age();
  const { marked, removed } = await storage.collect();
  deepEqual([marked, removed], [5, 0]);
});

Deno.test("files that are no blocks are left alone", async () => {
  await using storage = await TestStorage.open();
  await storage.add("x");
  await Deno.writeTextFile(`${storage.folder}/blocks/00/README`, "not ours");
  await Deno.writeTextFile(`${storage.folder}/blocks/${"f".repeat(64)}`, "not ours");
  storage.age();
  await storage.collect();
  deepEqual(await storage.blocks(), ["00/README", "f".repeat(64)]);
});

Deno.test("what else was in a CAR is not kept", async () => {
  await using storage = await TestStorage.open();
  const parts = [rawBlock(noise(100)), rawBlock(noise(200, 2))], stray = rawBlock("stray");
  const root = fileBlock(parts.map(({ cid, bytes }) => ({ cid, size: bytes.length })));
  await storage.importCar(await carOf([root.cid], [stray, root, ...parts]));
  equal((await storage.blocks()).length, 3);
  await refuses(storage.look(stray.cid.toString()), "NOT_FOUND");
});

Deno.test("a collection ends when it is told to, and two at once are one", async () => {
  await using storage = await TestStorage.open();
  await storage.add(noise(3 * CHUNK));
  storage.age();
  const [one, other] = await Promise.all([storage.collect(), storage.collect()]);
  equal(one.removed, 4);
  equal(one, other);
  await storage.add(noise(3 * CHUNK));
  storage.age();
  const caller = leaver();
  storage.disk.before = (step) => step === "remove" ? caller.leave() : undefined;
  await rejects(storage.collect(caller.signal), (error) => error === caller.reason);
  equal((await storage.blocks()).length, 3);
});

Deno.test("collections happen by themselves, and one that fails is followed by another", async () => {
  const told: string[] = [];
  let broken = false;
  await using storage = await TestStorage.open({
    collectInterval: 7_000,
    onCollected: ({ removed }) => told.push(`removed ${removed}`),
    onError: (error) => told.push(`failed: ${(error as Error).message}`),
    roots: async function* () {
      if (broken) throw new Error("no roots");
      yield* [];
    },
  });
  const next = async () => {
    const before = told.length;
    const [timer] = storage.clock.timers;
    equal(timer?.ms, 7_000);
    storage.clock.timers.clear();
    timer.run();
    await until("the next one is planned", () => storage.clock.timers.size === 1);
    return told.slice(before);
  };
  deepEqual(await next(), [], "nothing was ever stored");
  await storage.add("x");
  storage.age();
  broken = true;
  deepEqual(await next(), ["failed: no roots"]);
  broken = false;
  deepEqual(await next(), ["removed 1"]);
  await storage.local.close();
  equal(storage.clock.timers.size, 0);
});

Deno.test("a grace too short to claim what was added is refused", async () => {
  await rejects(TestStorage.open({ grace: 9 * MINUTE }), RangeError);
});
