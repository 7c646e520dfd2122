import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { noise } from "../../support/blocks.ts";
import { leaver, refuses, WAITER } from "../../support/test_content.ts";
import { gate, TestStorage } from "./support/local_storage.ts";

const CHUNK = 256 * 2 ** 10;
const HOUR = 60 * 60 * 1_000, MINUTE = 60_000;

Deno.test("an add under way keeps what it wrote and what it found, however long it takes", async () => {
  await using storage = await TestStorage.open();
  const found = noise(2 * CHUNK), written = noise(2 * CHUNK, 2);
  await storage.add(found);
  storage.age();
  const { reached, pass, open } = gate();
  async function* slow() {
    yield found;
    yield written.slice(0, CHUNK + 1);
    await pass();
    yield written.slice(CHUNK + 1);
  }
  const add = awaitedLater(storage.driver.add(slow(), WAITER));
  await reached;
  for (let i = 0; i < 5; i++) {
    storage.age(HOUR);
    await storage.collect();
  }
  open();
  const { cid } = await add;
  storage.age(30 * MINUTE);
  await storage.collect();
  storage.roots.add(cid);
  storage.age(10 * HOUR);
  await storage.collect();
  await storage.assertWhole(cid, new Uint8Array([...found, ...written]));
});

Deno.test("what was added stays for its grace, counted from its end, whatever the time of day does", async () => {
  for (const jump of [0, 5 * HOUR, -5 * HOUR]) {
    await using storage = await TestStorage.open({ grace: 20 * MINUTE });
    const { reached, pass, open } = gate();
    const content = noise(3 * CHUNK);
    const slow = async function* () {
      yield content.slice(0, 2 * CHUNK);
      await pass();
      yield content.slice(2 * CHUNK);
    };
    const add = awaitedLater(storage.driver.add(slow(), WAITER));
    await reached;
    storage.age(3 * HOUR);
    storage.clock.jump(jump);
    open();
    const { cid } = await add;
    for (let minutes = 0; minutes < 20; minutes += 5) {
      await storage.collect();
      storage.clock.jump(jump);
      await storage.assertWhole(cid, content);
      storage.age(5 * MINUTE);
    }
    storage.clock.jump(-5 * jump);
    storage.age(24 * HOUR);
    await storage.collect();
    await refuses(storage.look(cid), "NOT_FOUND");
  }
});

Deno.test("what was added while a collection was under way stays, however long that takes", async () => {
  const { reached, pass, open } = gate();
  await using storage = await TestStorage.open({
    roots: async function* () {
      await pass();
      yield* [];
    },
  });
  const old = await storage.add(noise(CHUNK + 1));
  storage.age();
  const collecting = awaitedLater(storage.collect());
  await reached;
  const content = noise(2 * CHUNK, 2);
  const cid = await storage.add(content);
  storage.age(50 * HOUR);
  await storage.add("another one ends long after");
  open();
  await collecting;
  await storage.assertWhole(cid, content);
  await refuses(storage.look(old), "NOT_FOUND");
});

Deno.test("a block that an add wants in the very moment in which it goes is there afterwards", async () => {
  const content = noise(3 * CHUNK);
  for (const step of ["facts", "remove"] as const) {
    await using storage = await TestStorage.open();
    const cid = await storage.add(content);
    storage.age();
    const { reached, pass, open } = gate();
    let stopped = false, touched = 0;
    storage.disk.before = async (now, path) => {
      if (now === "touch") touched++;
      if (now !== step || stopped || !path.includes("/blocks/")) return;
      stopped = true;
      await pass();
    };
    const collecting = awaitedLater(storage.collect());
    await reached;
    const again = awaitedLater(storage.add(content));
    // It has found what it can find; with the block that goes it would have, too, by the time of a few more turns of the disk.
    await until("the others are found", () => touched >= 2);
    for (let turn = 0; turn < 20; turn++) await Deno.stat(storage.folder);
    open();
    equal(await again, cid);
    await collecting;
    await storage.collect();
    await storage.assertWhole(cid, content);
  }
});

Deno.test("a block that an add has just found is not taken between that and the add's end", async () => {
  await using storage = await TestStorage.open();
  const content = noise(3 * CHUNK);
  const cid = await storage.add(content);
  storage.age();
  const { reached, pass, open } = gate();
  storage.disk.before = async (step) => {
    if (step === "touch") await pass();
  };
  const again = awaitedLater(storage.add(content));
  await reached;
  const { removed } = await storage.collect();
  // Blocks of whom it has not heard yet may go; those it found do not.
  open();
  equal(await again, cid);
  await storage.assertWhole(cid, content);
  ok(removed <= 3);
});

Deno.test("what is claimed anew in the middle of a collection stays, or is told to be gone", async () => {
  for (const when of [0, 1, 2, 3]) {
    await using storage = await TestStorage.open();
    const contents = Array.from({ length: 6 }, (_, i) => noise(2 * CHUNK + i, 50 + i));
    const cids = await Promise.all(contents.map((content) => storage.add(content)));
    storage.age();
    const { reached, pass, open } = gate();
    let removed = 0;
    storage.disk.before = async (step) => {
      if (step === "remove" && removed++ === 3 * when) await pass();
    };
    const collecting = awaitedLater(storage.collect());
    await reached;
    const pins = cids.map((cid) =>
      storage.local.pin(cid).then(() => cid, (error: { code?: unknown }) => {
        equal(error.code, "NOT_FOUND");
        return undefined;
      })
    );
    open();
    const pinned = await Promise.all(pins);
    await collecting;
    for (const [i, cid] of cids.entries()) {
      if (pinned[i] === undefined) {
        equal((await storage.driver.pinState(cid, WAITER)).status, "unpinned");
        continue;
      }
      await until("it is checked", async () => (await storage.driver.pinState(cid, WAITER)).status !== "pinning");
      const { status } = await storage.driver.pinState(cid, WAITER);
      if (status === "pinned") await storage.assertWhole(cid, contents[i]!);
      else equal(status, "error");
    }
    const whole = await Promise.all(
      cids.map(async (cid) => (await storage.driver.pinState(cid, WAITER)).status === "pinned"),
    );
    if (when === 0) {
      ok(whole.filter((one) => one).length >= 5, "before anything went, no more than one can have lost a block");
    }
  }
});

Deno.test("what is being read stays until it was read", async () => {
  await using storage = await TestStorage.open();
  const content = noise(40 * CHUNK);
  const cid = await storage.add(content);
  storage.age();
  let at = 0;
  for await (const piece of storage.driver.read(cid, undefined, WAITER)) {
    if (at === 0) equal((await storage.collect()).removed, 0);
    deepEqual(piece, content.slice(at, at + piece.length));
    at += piece.length;
  }
  equal(at, content.length);
  ok((await storage.collect()).removed > 40);
});

Deno.test("a reader who left keeps nothing", async () => {
  await using storage = await TestStorage.open();
  const cid = await storage.add(noise(9 * CHUNK));
  storage.age();
  for await (const _ of storage.driver.read(cid, undefined, WAITER)) break;
  const caller = leaver();
  await rejects(async () => {
    for await (const _ of storage.driver.car(cid, [], "all", caller)) caller.leave();
  }, (error) => error === caller.reason);
  for await (const _ of storage.driver.entries((await storage.addDirectory({ a: "a" })).root.cid, WAITER)) break;
  storage.age();
  await storage.collect();
  deepEqual(await storage.blocks(), []);
});

/** A collection that stands still in the moment before it takes its first block, until it is let go on. */
async function haltedCollection(storage: TestStorage) {
  const { reached, pass, open } = gate();
  let stopped = false;
  storage.disk.before = async (step) => {
    if (step !== "facts" || stopped) return;
    stopped = true;
    await pass();
  };
  const collecting = awaitedLater(storage.collect());
  await reached;
  return { collecting, open };
}

Deno.test("what is claimed in the moment before the first of its blocks goes is whole", async () => {
  await using storage = await TestStorage.open();
  const contents = [noise(3 * CHUNK), noise(3 * CHUNK, 2)];
  const cids = await Promise.all(contents.map((content) => storage.add(content)));
  storage.age();
  const { collecting, open } = await haltedCollection(storage);
  const pins = cids.map((cid) => storage.local.pin(cid));
  open();
  await Promise.all(pins);
  equal((await collecting).removed, 0);
  for (const [i, cid] of cids.entries()) await storage.assertWhole(cid, contents[i]!);
});

Deno.test("who begins to read while blocks go reads on", async () => {
  await using storage = await TestStorage.open();
  const content = noise(20 * CHUNK);
  const cid = await storage.add(content);
  storage.age();
  const { collecting, open } = await haltedCollection(storage);
  let at = 0;
  for await (const piece of storage.driver.read(cid, undefined, WAITER)) {
    if (at === 0) {
      open();
      await collecting;
    }
    deepEqual(piece, content.slice(at, at + piece.length));
    at += piece.length;
  }
  equal(at, content.length);
});

Deno.test("a collection that begins while a pin is being written takes nothing of what it pins", async () => {
  await using storage = await TestStorage.open();
  const content = noise(3 * CHUNK);
  const cid = await storage.add(content);
  storage.age();
  const pin = gate(), sweep = gate();
  let stopped = false, collects = false;
  storage.disk.before = async (step, path) => {
    if (step === "write" && path.includes("/pins/")) await pin.pass();
    if (step !== "facts" || !path.includes("/blocks/") || stopped || !collects) return;
    stopped = true;
    await sweep.pass();
  };
  const pinning = awaitedLater(storage.local.pin(cid));
  await pin.reached;
  collects = true;
  const collecting = awaitedLater(storage.collect());
  await sweep.reached;
  pin.open();
  let pinned = false;
  awaitedLater(pinning.then(() => pinned = true));
  // What was pinned while the collector stood still has to survive its going on.
  for (let turn = 0; turn < 50 && !pinned; turn++) await Deno.stat(storage.folder);
  sweep.open();
  await pinning;
  await collecting;
  await storage.assertWhole(cid, content);
});
