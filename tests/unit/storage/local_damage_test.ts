import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { until } from "../../engines/support/wait.ts";
import { bytesOf, carOf, cidOf, CODES, noise, rawBlock } from "../../support/blocks.ts";
import { refuses, WAITER } from "../../support/test_content.ts";
import { TestStorage } from "./support/local_storage.ts";

const CHUNK = 256 * 2 ** 10;

/** How a disk loses what it was given. */
const HARMS: Readonly<Record<string, (file: string) => Promise<void>>> = {
  "one bit is another": async (file) => {
    const bytes = await Deno.readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(file, bytes);
  },
  "the end is missing": async (file) => await Deno.truncate(file, 100),
  "nothing is left of it": async (file) => await Deno.truncate(file, 0),
  "something is behind it": async (file) => await Deno.writeFile(file, noise(5), { append: true }),
  "it is another block": async (file) => await Deno.writeFile(file, noise(CHUNK, 99)),
};

for (const [harm, hurt] of Object.entries(HARMS)) {
  Deno.test(`a damaged block (${harm}) is never handed out, is told, and is mended by whoever brings it`, async () => {
    await using storage = await TestStorage.open();
    const content = noise(5 * CHUNK);
    const cid = await storage.add(content);
    await storage.local.pin(cid);
    const leaf = cidOf(CODES.raw, content.subarray(2 * CHUNK, 3 * CHUNK)).toString();
    await hurt(await storage.fileOf(leaf));
    const read: Uint8Array[] = [];
    await rejects(async () => {
      for await (const piece of storage.driver.read(cid, undefined, WAITER)) read.push(piece);
    }, (error: { code?: unknown; message: string }) => {
      equal(error.code, "UNAVAILABLE");
      ok(!error.message.includes("/") && !error.message.includes(leaf), error.message);
      return true;
    });
    const got = await bytesOf((async function* () {
      yield* read;
    })());
    deepEqual(got, content.slice(0, got.length));
    ok(got.length <= 2 * CHUNK);
    ok(storage.damage.every((one) => one === leaf) && storage.damage.length > 0, String(storage.damage));
    await refuses(storage.driver.block(leaf, WAITER), "UNAVAILABLE");
    await refuses(storage.car(cid), "UNAVAILABLE");
    await storage.assertWhole(cidOf(CODES.raw, content.subarray(0, CHUNK)).toString(), content.slice(0, CHUNK));
    deepEqual((await storage.driver.pinState(cid, WAITER)).status, "error");
    equal((await storage.driver.health(WAITER.signal)).status, "degraded");
    equal(await storage.add(content), cid);
    await storage.assertWhole(cid, content);
    equal((await storage.driver.pinState(cid, WAITER)).status, "pinned");
    equal((await storage.driver.health(WAITER.signal)).status, "ok");
  });
}

for (const [harm, hurt] of Object.entries(HARMS)) {
  Deno.test(`damage that nobody has noticed (${harm}) is mended by whoever brings the same bytes, by whichever name`, async () => {
    await using storage = await TestStorage.open();
    const content = noise(3 * CHUNK);
    const cid = await storage.add(content);
    const leaf = cidOf(CODES.raw, content.subarray(CHUNK, 2 * CHUNK)).toString();
    await hurt(await storage.fileOf(leaf));
    const { files } = await storage.addDirectory({ "other.bin": content });
    equal(files[0]!.cid, cid);
    await storage.assertWhole(cid, content);
    await hurt(await storage.fileOf(leaf));
    await storage.importCar(
      await carOf([cidOf(CODES.raw, content.subarray(CHUNK, 2 * CHUNK))], [
        rawBlock(content.slice(CHUNK, 2 * CHUNK)),
      ]),
    );
    await storage.assertWhole(cid, content);
    deepEqual(await storage.leftBehind(), []);
  });
}

Deno.test("a block that is missing below a root is told, and the root is not taken for something nobody has", async () => {
  await using storage = await TestStorage.open();
  const content = noise(3 * CHUNK);
  const { root } = await storage.addDirectory({ "a.bin": content, b: "b" });
  await storage.local.pin(root.cid);
  const file = await storage.look(root.cid, "a.bin");
  await Deno.remove(await storage.fileOf(file.cid));
  await refuses(storage.look(root.cid, "a.bin"), "UNAVAILABLE", /missing/);
  equal((await storage.look(root.cid, "b")).size, 1);
  const entries = await storage.entries(root.cid);
  deepEqual(entries.map(({ name, size, kind }) => [name, size, kind]), [["a.bin", undefined, "block"], [
    "b",
    1,
    "file",
  ]]);
  equal((await storage.driver.pinState(root.cid, WAITER)).status, "error");
  await Deno.remove(await storage.fileOf(root.cid));
  await refuses(storage.look(root.cid), "NOT_FOUND");
});

Deno.test("the report for repairs names what is damaged and missing below each root, and checks everything", async () => {
  await using storage = await TestStorage.open();
  const [good, bad, lost] = [noise(3 * CHUNK), noise(3 * CHUNK, 2), noise(3 * CHUNK, 3)];
  const whole = await storage.add(good);
  const damaged = await storage.add(bad), missing = await storage.add(lost);
  const { root } = await storage.addDirectory({ good, bad, lost });
  const leafOf = (content: Uint8Array) => cidOf(CODES.raw, content.subarray(0, CHUNK)).toString();
  await HARMS["one bit is another"]!(await storage.fileOf(leafOf(bad)));
  await Deno.remove(await storage.fileOf(missing));
  for (const cid of [whole, damaged, missing, root.cid]) storage.roots.add(cid);
  await storage.local.pin(whole);
  const reports = await Array.fromAsync(storage.local.inspect(WAITER.signal));
  deepEqual(reports.map(({ cid, whole }) => [cid, whole]), [
    [whole, true],
    [damaged, false],
    [missing, false],
    [root.cid, false],
  ]);
  deepEqual(reports.map(({ damaged, missing }) => [damaged, missing]), [
    [[], []],
    [[leafOf(bad)], []],
    [[], [missing]],
    [[leafOf(bad)], [missing]],
  ]);
  equal(reports[0]!.blocks, 4);
  ok(reports[0]!.bytes > 3 * CHUNK);
});

Deno.test("recovering looks at every block again, and says how it is", async () => {
  await using storage = await TestStorage.open();
  const content = noise(3 * CHUNK);
  const cid = await storage.add(content);
  await storage.local.pin(cid);
  const file = await storage.fileOf(cidOf(CODES.raw, content.subarray(0, CHUNK)).toString());
  const bytes = await Deno.readFile(file);
  await HARMS["nothing is left of it"]!(file);
  const recovered = async () => {
    await storage.driver.recover(cid, WAITER);
    await until("it is looked at", async () => (await storage.driver.pinState(cid, WAITER)).status !== "pinning");
    return (await storage.driver.pinState(cid, WAITER)).status;
  };
  equal(await recovered(), "error");
  await Deno.writeFile(file, bytes);
  equal(await recovered(), "pinned");
  await refuses(storage.driver.recover(cidOf(CODES.raw, noise(9)).toString(), WAITER), "NOT_FOUND");
});

Deno.test("what is pinned without being whole says so", async () => {
  await using storage = await TestStorage.open();
  const content = noise(3 * CHUNK);
  const cid = await storage.add(content);
  await Deno.remove(await storage.fileOf(cidOf(CODES.raw, content.subarray(0, CHUNK)).toString()));
  await storage.collect();
  await storage.local.pin(cid);
  await until("it is checked", async () => (await storage.driver.pinState(cid, WAITER)).status === "error");
  const { error, peers } = await storage.driver.pinState(cid, WAITER);
  ok(error !== undefined && peers.length === 1 && peers[0]!.error === error);
  await refuses(
    storage.driver.pin(cidOf(CODES.raw, noise(9)).toString(), {
      name: "",
      replication: { min: 1, max: 1 },
    }, WAITER),
    "NOT_FOUND",
  );
});
