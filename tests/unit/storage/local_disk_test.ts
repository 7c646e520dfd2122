import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { awaitedLater } from "../../support/awaited_later.ts";
import { carOf, fileBlock, inPieces, noise, rawBlock } from "../../support/blocks.ts";
import { leaver, refuses, WAITER } from "../../support/test_content.ts";
import { type DiskStep, failure, TestStorage } from "./support/local_storage.ts";

const CHUNK = 256 * 2 ** 10;

/** Fails from a step's so-manieth time on. */
function failsAt(storage: TestStorage, step: DiskStep, times: number, code: string): void {
  let seen = 0;
  storage.disk.before = (now) => {
    if (now === step && ++seen >= times) throw failure(code);
  };
}

async function assertNothingSaid(work: Promise<unknown>): Promise<void> {
  await rejects(work, (error: Error) => {
    ok(!/path|machine|\//.test(error.message), error.message);
    return true;
  });
}

for (const code of ["ENOSPC", "EDQUOT"]) {
  Deno.test(`a disk that is full (${code}) is NO_CAPACITY, and nothing half is there`, async () => {
    for (const [step, times] of [["write", 1], ["write", 5], ["sync", 1], ["sync", 9], ["makeFolder", 1]] as const) {
      await using storage = await TestStorage.open();
      const kept = await storage.add("kept");
      const before = await storage.blocks();
      failsAt(storage, step, times, code);
      const content = noise(12 * CHUNK);
      await refuses(storage.add(content, 65_536), "NO_CAPACITY", /no room/);
      await refuses(storage.addDirectory({ a: content.slice(1), b: "b" }), "NO_CAPACITY");
      const parts = Array.from({ length: 10 }, (_, i) => rawBlock(noise(1_000, i)));
      const root = fileBlock(parts.map(({ cid }) => ({ cid, size: 1_000 })));
      await refuses(storage.importCar(await carOf([root.cid], [root, ...parts])), "NO_CAPACITY");
      await assertNothingSaid(storage.add(content));
      deepEqual(await storage.blocks(), before, `${step} ${times}`);
      deepEqual(await storage.leftBehind(), []);
      storage.disk.before = () => {};
      equal(await storage.text(kept), "kept");
      await storage.assertWhole(await storage.add(content), content);
    }
  });
}

Deno.test("a real disk that is full is NO_CAPACITY, and has its room back", async (t) => {
  const mount = await Deno.makeTempDir({ prefix: "small-disk-" });
  const mounted = await run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount);
  if (!mounted) {
    await Deno.remove(mount);
    return void await t.step({ name: "this machine lets nobody mount a disk", ignore: true, fn() {} });
  }
  try {
    const storage = await TestStorage.open({}, mount);
    try {
      const kept = await storage.add("kept");
      for (let i = 0; i < 3; i++) await refuses(storage.add(noise(5 * 2 ** 20, i), 65_536), "NO_CAPACITY");
      deepEqual(await storage.leftBehind(), []);
      const content = noise(2 ** 20);
      await storage.assertWhole(await storage.add(content), content);
      equal(await storage.text(kept), "kept");
    } finally {
      await storage.local.close();
    }
  } finally {
    await run("umount", mount);
    await Deno.remove(mount, { recursive: true });
  }
});

async function run(program: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

Deno.test("a disk that leaves others too little room is full", async () => {
  await using storage = await TestStorage.open();
  await storage.add("opened");
  Object.assign(storage.disk, { space: () => Promise.resolve({ free: 100, total: 10_000 }) });
  await refuses(storage.add(noise(100)), "NO_CAPACITY");
  deepEqual(await storage.leftBehind(), []);
  equal((await storage.driver.health(WAITER.signal)).reason, "its disk is full");
});

Deno.test("a disk that fails is UNAVAILABLE, names no path, and is asked again", async () => {
  await using storage = await TestStorage.open();
  storage.disk.before = () => {
    throw failure("EIO");
  };
  await refuses(storage.add("x"), "UNAVAILABLE");
  await assertNothingSaid(storage.add("x"));
  storage.disk.before = () => {};
  const cid = await storage.add("x");
  for (const step of ["write", "sync", "rename", "syncFolder", "facts"] as const) {
    failsAt(storage, step, 1, "EIO");
    await refuses(storage.add(`other ${step}`), "UNAVAILABLE", /^the disk of the storage failed$/);
  }
  failsAt(storage, "read", 1, "EACCES");
  await refuses(storage.read(cid), "UNAVAILABLE");
  failsAt(storage, "space", 1, "EIO");
  equal((await storage.driver.health(WAITER.signal)).status, "down");
  storage.disk.before = () => {};
  equal((await storage.driver.health(WAITER.signal)).status, "ok");
  equal(await storage.text(cid), "x");
  deepEqual(await storage.leftBehind(), []);
});

Deno.test("when an add comes back, the disk holds every block and its name, and not before", async () => {
  await using storage = await TestStorage.open();
  await storage.add("opened");
  const order: string[] = [];
  storage.disk.before = (step, path) => {
    if (step === "sync" || step === "rename" || step === "syncFolder" || step === "write") {
      order.push(`${step} ${step === "syncFolder" ? path.slice(-2) : path.split("/").at(-1)!}`);
    }
  };
  const cid = await storage.add(noise(5 * CHUNK));
  storage.disk.before = () => {};
  const names = (await Promise.all([cid].map((one) => storage.fileOf(one)))).map((path) => path.split("/").at(-1)!);
  const renamed = order.filter((line) => line.startsWith("rename ")).map((line) => line.slice(7));
  equal(renamed.length, 6);
  ok(renamed.includes(names[0]!));
  for (const name of renamed) {
    const at = (line: string) => order.lastIndexOf(line);
    ok(at(`write ${name}`) < at(`sync ${name}`), name);
    ok(at(`sync ${name}`) < at(`rename ${name}`), name);
    ok(at(`rename ${name}`) < at(`syncFolder ${name.slice(0, 2)}`), name);
  }
});

Deno.test("a start has the disk hold what the one before may not have, and makes the folders for good", async () => {
  const above = await Deno.makeTempDir({ prefix: "storage-" }), folder = `${above}/deep`;
  const synced = new Set<string>();
  const note = (step: DiskStep, path: string) => step === "syncFolder" ? void synced.add(path) : undefined;
  try {
    const first = await TestStorage.open({}, folder);
    first.disk.before = note;
    await first.add("x");
    await first.local.close();
    for (const path of [above, folder, `${folder}/pins`, `${folder}/blocks`]) ok(synced.has(path), path);
    synced.clear();
    const second = await TestStorage.open({}, folder);
    second.disk.before = note;
    await second.local.held();
    await second.local.close();
    equal([...synced].filter((path) => /\/blocks\/[0-9a-f]{2}$/.test(path)).length, 256);
    for (const path of [`${folder}/pins`, `${folder}/blocks`]) ok(synced.has(path), path);
  } finally {
    await Deno.remove(above, { recursive: true });
  }
});

Deno.test("who finds a block whose name the disk may not hold yet has it hold it as well", async () => {
  await using storage = await TestStorage.open();
  await storage.add("opened");
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const { promise: goOn, resolve } = Promise.withResolvers<void>();
  let synced = 0;
  storage.disk.before = async (step) => {
    if (step !== "syncFolder") return;
    if (++synced > 1) return;
    stop();
    await goOn;
  };
  const first = awaitedLater(storage.add("the same"));
  await stopped;
  await storage.add("the same");
  equal(synced, 2);
  resolve();
  await first;
});

Deno.test("an add that is given up leaves nothing on the disk", async () => {
  await using storage = await TestStorage.open();
  await storage.add("opened");
  const before = await storage.blocks();
  const caller = leaver();
  async function* source() {
    for (let i = 0; i < 40; i++) yield noise(CHUNK, i);
    caller.leave();
    await new Promise(() => {});
  }
  await rejects(storage.driver.add(source(), caller), (error) => error === caller.reason);
  deepEqual(await storage.leftBehind(), []);
  deepEqual(await storage.blocks(), before);
});

Deno.test("what a gateway left that was killed is removed at the next start, and what it stored is there", async () => {
  const first = await TestStorage.open();
  const content = noise(3 * CHUNK);
  const cid = await first.add(content);
  await first.local.pin(cid);
  await Deno.mkdir(`${first.folder}/incoming/7`);
  await Deno.writeFile(`${first.folder}/incoming/7/${"ab".repeat(32)}`, noise(CHUNK));
  await Deno.writeTextFile(`${first.folder}/incoming/strange`, "x");
  await first.local.close();
  await using second = await TestStorage.open({}, first.folder);
  await second.assertWhole(cid, content);
  deepEqual(await second.leftBehind(), []);
  equal((await second.driver.pinState(cid, WAITER)).status, "pinned");
});

Deno.test("a folder that cannot be used is told as down, and used once it can", async () => {
  await using storage = await TestStorage.open();
  storage.disk.before = () => {
    throw failure("EROFS");
  };
  equal((await storage.driver.health(WAITER.signal)).status, "ok", "nobody has asked it for anything");
  await refuses(storage.add("x"), "UNAVAILABLE");
  storage.disk.before = () => {};
  equal(await storage.text(await storage.add("x")), "x");
});

Deno.test("what the storage holds is counted, and follows what comes and goes", async () => {
  await using storage = await TestStorage.open();
  const sizeOf = async () => {
    let sum = 0;
    for (const file of await storage.blocks()) sum += (await Deno.stat(`${storage.folder}/blocks/${file}`)).size;
    return sum;
  };
  await storage.add(noise(3 * CHUNK + 1));
  equal(await storage.local.held(), await sizeOf());
  await Promise.all([storage.add(noise(CHUNK, 2)), storage.add(noise(CHUNK, 2)), storage.add(noise(CHUNK, 3))]);
  await storage.add(noise(3 * CHUNK + 1));
  equal(await storage.local.held(), await sizeOf());
  storage.age();
  await storage.collect();
  equal(await sizeOf(), 0);
  equal(await storage.local.held(), 0);
});

Deno.test("a piece that its source writes over afterwards was taken as it was", async () => {
  await using storage = await TestStorage.open();
  const content = noise(4 * CHUNK);
  async function* reused() {
    const buffer = new Uint8Array(CHUNK);
    for await (const piece of inPieces(content, CHUNK)) {
      buffer.set(piece);
      yield buffer;
      buffer.fill(0xee);
    }
  }
  const { cid } = await storage.driver.add(reused(), WAITER);
  await storage.assertWhole(cid, content);
});
