import { deepEqual, equal, ok } from "node:assert/strict";
import { statfs } from "node:fs/promises";
import { newOwner } from "../support/accounts.ts";
import { carOf, fileBlock, rawBlock } from "../support/blocks.ts";
import { TestGateway } from "../support/gateway.ts";
import { noise, StorageCaller, type TestFile } from "../support/storage.ts";
import { type Own, ownTest } from "./support/own.ts";
import { until } from "./support/wait.ts";

const MB = 2 ** 20;
const PLACE = "/run";
const disk = (options: string): Own => ({
  what: "disk",
  variable: "TEST_HAS_OWN_DISK",
  options: [],
  prepare: `mount -t tmpfs -o ${options} none ${PLACE}`,
});

/** A gateway whose content is on the disk that is full soon, and nothing else. */
async function onDisk(
  run: (storage: StorageCaller, gateway: TestGateway, key: string) => Promise<void>,
): Promise<void> {
  const folders = { uploads: { folder: `${PLACE}/uploads` }, local: { folder: `${PLACE}/storage` } };
  const config = { storage: folders };
  await using gateway = await TestGateway.start({ driver: "sqlite", cacheDriver: "memory", config });
  await using owner = await newOwner(gateway);
  await run(new StorageCaller(gateway, { key: owner.apiKey }), gateway, owner.apiKey);
  equal(/"level":"(error|fatal)"/.test(gateway.log()), false, gateway.log());
}

const total = async (storage: StorageCaller) => (await storage.call("GET", "objects")).expect(200).get("total");

/** Bytes and files that the disk has room for. */
async function room(): Promise<{ readonly bytes: number; readonly files: number }> {
  const { bavail, bsize, ffree } = await statfs(PLACE);
  return { bytes: bavail * bsize, files: ffree };
}

ownTest(
  disk("size=48m"),
  import.meta.url,
  "a disk that is full refuses every kind of upload, loses nothing, and takes them when there is room again",
  [],
  () =>
    onDisk(async (storage, gateway, key) => {
      const kept = noise(6 * MB), large = noise(30 * MB, 2);
      const cid = await storage.put(kept, "kept");
      await Deno.writeFile(`${PLACE}/ballast`, noise(20 * MB, 3));
      const before = await room();
      const headers = { "content-type": "application/vnd.ipld.car" };
      const leaves = Array.from({ length: 30 }, (_, i) => rawBlock(large.subarray(i * MB, (i + 1) * MB)));
      const root = fileBlock(leaves.map(({ cid }) => ({ cid, size: MB })));
      const car = new Uint8Array(await carOf([root.cid], [root, ...leaves]));
      const uploads: readonly (() => ReturnType<StorageCaller["call"]>)[] = [
        () => storage.form([{ name: "large", content: large }]),
        () =>
          storage.form([{ name: "small", content: "x" }, { name: "a/large", content: large }], {}, "?directory=true"),
        () => storage.form([{ name: "large", content: large }], {}, "?encrypt=true"),
        () => storage.call("POST", "car", { raw: car, headers }),
      ];
      const freed = () =>
        until("what was refused has left the disk", async () => (await room()).bytes >= before.bytes - MB / 2);
      for (const [i, upload] of uploads.entries()) {
        const answer = await upload();
        deepEqual([answer.status, answer.get("code")], [503, "NO_CAPACITY"], `${i}: ${answer.text}`);
        ok(Number(answer.headers.get("retry-after")) > 0);
        equal(await total(storage), 1);
        await freed();
      }
      await refusedInParts(gateway, key, large);
      await freed();
      const many = () =>
        Promise.all(
          Array.from({ length: 12 }, (_, i) => storage.form([{ name: `${i}`, content: noise(4 * MB, 10 + i) }])),
        );
      const answers = await many();
      const stored = answers.filter(({ status }) => status === 200);
      for (const answer of answers) if (answer.status !== 200) equal(answer.expect(503).get("code"), "NO_CAPACITY");
      ok(stored.length <= 5, "no more than there is room for");
      equal(await total(storage), 1 + stored.length);
      for (const answer of stored) equal((await storage.read(answer.string("cid"))).bytes.length, 4 * MB);
      ok(Buffer.from((await storage.read(cid)).bytes).equals(kept));
      await Deno.remove(`${PLACE}/ballast`);
      equal(await storage.put(noise(16 * MB, 4)).then(async (cid) => (await storage.read(cid)).bytes.length), 16 * MB);
    }),
);

/** An upload that can be gone on with, and not here. */
async function refusedInParts(gateway: TestGateway, key: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
  const tus = { "tus-resumable": "1.0.0" };
  const begun = await gateway.call("POST", "/v1/storage/uploads", {
    key,
    headers: { ...tus, "upload-length": String(content.length) },
  });
  if (begun.status !== 201) return void equal(begun.expect(503).get("code"), "NO_CAPACITY");
  const location = begun.headers.get("location")!;
  const headers = { ...tus, "content-type": "application/offset+octet-stream", "upload-offset": "0" };
  const answer = await gateway.call("PATCH", location, { key, headers, raw: content });
  deepEqual([answer.status, answer.get("code")], [503, "NO_CAPACITY"], answer.text);
  (await gateway.call("DELETE", location, { key, headers: tus })).expect(204);
}

ownTest(
  disk("size=64m,nr_inodes=1200"),
  import.meta.url,
  "a disk that has room for bytes and none for files says that it is full, and has nothing half",
  [],
  () =>
    onDisk(async (storage) => {
      const cid = await storage.put("kept");
      const before = await room();
      const files = Array.from({ length: 2_000 }, (_, i): TestFile => ({ name: `${i}`, content: `file ${i}` }));
      const answer = await storage.form(files, {}, "?directory=true");
      deepEqual([answer.status, answer.get("code")], [503, "NO_CAPACITY"], answer.text);
      equal(await total(storage), 1);
      await until("its files are gone", async () => (await room()).files >= before.files - 300);
      equal(new TextDecoder().decode((await storage.read(cid)).bytes), "kept");
      (await storage.form(files.slice(0, 100), {}, "?directory=true")).expect(200);
      equal(await total(storage), 2);
    }),
);
