import { deepEqual, equal, match, ok } from "node:assert/strict";
import { DataFolderLock } from "../../services/control_plane/data_folder_lock.ts";
import { cidOf, CODES, noise } from "../support/blocks.ts";
import { type CommandResult, TestGateway } from "../support/gateway.ts";
import { StorageCaller } from "../support/storage.ts";

const CHUNK = 256 * 2 ** 10;
const test = (name: string, fn: () => Promise<void>) => Deno.test({ name, fn, ignore: Deno.env.has("TEST_BASE_URL") });

const start = () => TestGateway.start({ driver: "sqlite" });

async function storageOf(gateway: TestGateway, namespace = "default"): Promise<StorageCaller> {
  const { key } = await gateway.makeKey("--namespace", namespace, "--create-namespace");
  return new StorageCaller(gateway, { key });
}

const linesOf = ({ stdout }: CommandResult) =>
  stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));

/** A block's CID, and the file in which a gateway holds it. */
function blockOf(gateway: TestGateway, codec: number, bytes: Uint8Array) {
  const cid = cidOf(codec, bytes), name = cid.multihash.digest.toHex();
  return { cid: cid.toString(), file: `${gateway.dataFolder}/storage/blocks/${name.slice(0, 2)}/${name}` };
}

const leafOf = (gateway: TestGateway, content: Uint8Array, at: number) =>
  blockOf(gateway, CODES.raw, content.subarray(at * CHUNK, (at + 1) * CHUNK));

/** Another bit, and nothing else: not even the file's time tells. */
async function damage(file: string): Promise<void> {
  const { mtime } = await Deno.stat(file), bytes = await Deno.readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await Deno.writeFile(file, bytes);
  await Deno.utime(file, mtime!, mtime!);
}

test("storage inspect names what is damaged or missing and whose it is, and storing the same again mends it", async () => {
  await using gateway = await start();
  const storage = await storageOf(gateway, "one"), other = await storageOf(gateway, "other");
  const [well, bad, lost] = [noise(2 * CHUNK), noise(3 * CHUNK, 2), noise(3 * CHUNK, 3)];
  const cids = [await storage.put(well), await storage.put(bad, "bad"), await other.put(lost, "lost")];
  equal(await other.put(bad, "too"), cids[1]);
  const fine = await gateway.cli("storage", "inspect");
  equal(fine.code, 0, fine.stderr);
  deepEqual(
    linesOf(fine).map(({ cid, namespaces, whole, damaged, missing }) => [cid, namespaces, whole, damaged, missing])
      .toSorted(),
    [[cids[0], ["one"], true, [], []], [cids[1], ["one", "other"], true, [], []], [cids[2], ["other"], true, [], []]]
      .toSorted(),
  );
  const leaf = leafOf(gateway, bad, 1), gone = leafOf(gateway, lost, 2);
  await damage(leaf.file);
  await Deno.remove(gone.file);
  const hurt = await gateway.cli("storage", "inspect", "--json");
  equal(hurt.code, 1, hurt.stdout);
  match(hurt.stderr, /^error: 2 of 3 roots are not whole: store the same content again/m);
  const found = new Map(linesOf(hurt).map((line) => [line.cid, line]));
  deepEqual([found.get(cids[0])!.whole, found.get(cids[0])!.blocks], [true, 3]);
  const { bytes: _, ...rest } = found.get(cids[1])!;
  deepEqual(rest, {
    cid: cids[1],
    namespaces: ["one", "other"],
    whole: false,
    blocks: 3,
    damaged: [leaf.cid],
    missing: [],
  });
  deepEqual([found.get(cids[2])!.damaged, found.get(cids[2])!.missing], [[], [gone.cid]]);
  // The gateway has not read any of it, and does not know.
  equal(await storage.put(bad, "once more"), cids[1]);
  equal(await other.put(lost, "once more"), cids[2]);
  ok(Buffer.from((await storage.read(cids[1]!)).bytes).equals(bad));
  const mended = await gateway.cli("storage", "inspect");
  equal(mended.code, 0, mended.stderr);
});

test("storage collect leaves a folder alone that a gateway uses, and says so", async () => {
  await using gateway = await start();
  const storage = await storageOf(gateway);
  await storage.put("kept");
  const { code, stdout, stderr } = await gateway.cli("storage", "collect");
  deepEqual([code, stdout], [1, ""]);
  match(stderr, new RegExp(`^error: .*/storage is in use by process ${gateway.pid}: a gateway that runs collects by`));
  equal((await gateway.cli("storage", "inspect")).code, 0);
});

test("storage collect deletes what belongs to nothing and is old, once, and nothing else", async () => {
  await using gateway = await start();
  const storage = await storageOf(gateway);
  const [kept, given] = [noise(2 * CHUNK), noise(2 * CHUNK, 2)];
  const cid = await storage.put(kept), unwanted = await storage.put(given), young = await storage.put("young");
  for (const one of [unwanted, young]) (await storage.call("DELETE", `unpin/${one}`)).expect(200);
  await gateway.stop();
  const old = new Date(Date.now() - 3 * 60 * 60_000);
  for (const content of [kept, given]) {
    for (const at of [0, 1]) await Deno.utime(leafOf(gateway, content, at).file, old, old);
  }
  const collected = await gateway.cli("storage", "collect");
  equal(collected.code, 0, collected.stderr);
  const [line, ...others] = linesOf(collected);
  deepEqual(others, []);
  // The node above the two leaves is young, as is the other file.
  deepEqual(line, {
    removed: 2,
    removed_bytes: 2 * CHUNK,
    kept: 3,
    spared: 2,
    roots: line.roots,
    unreadable: [],
    absent: [],
  });
  deepEqual(linesOf(await gateway.cli("storage", "collect"))[0].removed, 0);
  const inspected = await gateway.cli("storage", "inspect");
  deepEqual([inspected.code, linesOf(inspected).map(({ cid }) => cid)], [0, [cid]]);
});

test("storage collect deletes nothing while it cannot tell what belongs together", async () => {
  await using gateway = await start();
  const storage = await storageOf(gateway);
  const content = noise(2 * CHUNK), unwanted = noise(CHUNK, 2);
  const cid = await storage.put(content);
  (await storage.call("DELETE", `unpin/${await storage.put(unwanted)}`)).expect(200);
  await gateway.stop();
  const old = new Date(Date.now() - 3 * 60 * 60_000);
  const { file } = leafOf(gateway, unwanted, 0);
  await Deno.utime(file, old, old);
  const { CID } = await import("multiformats/cid");
  const name = CID.parse(cid).multihash.digest.toHex();
  await damage(`${gateway.dataFolder}/storage/blocks/${name.slice(0, 2)}/${name}`);
  const { code, stdout, stderr } = await gateway.cli("storage", "collect");
  equal(code, 1, stdout);
  deepEqual([JSON.parse(stdout).removed, JSON.parse(stdout).unreadable], [0, [cid]]);
  match(stderr, /error: nothing more is removed while .*`storage inspect` says whose they are/);
  await Deno.stat(file);
});

test("while a collection by hand is under way, a gateway's storage is unavailable, and then there again", async () => {
  await using gateway = await start();
  const storage = await storageOf(gateway);
  {
    using _taken = await DataFolderLock.take(`${gateway.dataFolder}/storage`);
    const refused = (await storage.form([{ name: "a", content: "a" }])).expect(503);
    match(refused.string("error"), /in use by another process/);
    ok(refused.headers.has("retry-after"));
    (await gateway.call("GET", "/v1/status")).expect(200);
  }
  await storage.put("a");
});

test("on Kubo, the commands say who does it", async () => {
  await using gateway = await start();
  for (const [command, instead] of [["inspect", "ipfs repo verify"], ["collect", "ipfs repo gc"]] as const) {
    const onKubo = ["--set", "storage.driver=ipfs", "--set", "storage.ipfs.kubo=http://127.0.0.1:1"];
    const { code, stdout, stderr } = await gateway.cli("storage", command, ...onKubo);
    deepEqual([code, stdout], [2, ""]);
    ok(stderr.includes(`\`${instead}\``), stderr);
  }
});
