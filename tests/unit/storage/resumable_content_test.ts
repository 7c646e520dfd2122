import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { FRAME, OVERHEAD } from "../../../services/storage/resumable/frames.ts";
import { StagedContent } from "../../../services/storage/resumable/staged_content.ts";
import { code } from "../auth/support/node.ts";
import { bytesOf, contentParts, FrailDisk, someBytes } from "./support/resumable.ts";

const test = (name: string, run: (path: string) => Promise<void>) =>
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "staged-" });
    try {
      await run(`${folder}/bytes`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

async function append(content: StagedContent, ...all: readonly (string | Uint8Array)[]): Promise<void> {
  await content.begin(false);
  for (const one of all) await content.add(typeof one === "string" ? bytesOf(one) : one);
  await content.end(true);
}

async function whole(content: StagedContent): Promise<Uint8Array> {
  return new Uint8Array(await new Response(ReadableStream.from(content.read())).arrayBuffer());
}

test("bytes come out as they went in, whatever pieces they came in, and are not on the disk as they are", async (path) => {
  const bytes = someBytes(3 * FRAME + 12_345);
  const content = await StagedContent.find(contentParts(path));
  await append(content, bytes.subarray(0, 1), bytes.subarray(1, FRAME), bytes.subarray(FRAME, FRAME + 7));
  await append(content);
  await append(content, bytes.subarray(FRAME + 7));
  equal(content.offset, bytes.length);
  deepEqual(await whole(content), bytes);
  deepEqual(await whole(await StagedContent.find(contentParts(path))), bytes, "after a restart");
  const onDisk = Deno.readFileSync(path);
  const known = bytes.subarray(100, 116).toHex();
  ok(!onDisk.toHex().includes(known));
});

test("a file that was cut anywhere holds a whole beginning, and can be gone on with", async (path) => {
  const parts = ["first ", "second ", "third"];
  const content = await StagedContent.find(contentParts(path));
  for (const part of parts) await append(content, part);
  const file = Deno.readFileSync(path);
  const ends = parts.map((_, i) => parts.slice(0, i + 1).join(""));
  for (let length = 0; length <= file.length; length++) {
    Deno.writeFileSync(path, file.subarray(0, length));
    const found = await StagedContent.find(contentParts(path));
    const kept = new TextDecoder().decode(await whole(found));
    equal(found.offset, kept.length);
    const frames = ends.filter((end, i) => length >= end.length + (i + 1) * OVERHEAD);
    equal(kept, frames.at(-1) ?? "", `${length} bytes`);
    await append(found, "more");
    equal(new TextDecoder().decode(await whole(await StagedContent.find(contentParts(path)))), `${kept}more`);
  }
});

test("bytes that the disk has lost, though the file is as long as it was, do not count, nor do those behind them", async (path) => {
  const content = await StagedContent.find(contentParts(path));
  for (const part of ["first ", "second ", "third"]) await append(content, part);
  const file = Deno.readFileSync(path);
  for (const [at, kept] of [[0, ""], [20, ""], [50, "first "], [file.length - 1, "first second "]] as const) {
    const damaged = file.slice();
    damaged[at]! ^= 1;
    Deno.writeFileSync(path, damaged);
    const found = await StagedContent.find(contentParts(path));
    equal(new TextDecoder().decode(await whole(found)), kept, String(at));
  }
  Deno.writeFileSync(path, new Uint8Array(file.length));
  equal((await StagedContent.find(contentParts(path))).offset, 0);
});

test("the bytes of one upload are none in another, nor at another place", async (path) => {
  const content = await StagedContent.find(contentParts(path));
  await append(content, "one");
  await append(content, "two");
  const other = contentParts(path, { key: someBytes(32, 8) });
  equal((await StagedContent.find(other)).offset, 0);
  const file = Deno.readFileSync(path), half = file.length / 2;
  Deno.writeFileSync(path, new Uint8Array([...file.subarray(half), ...file.subarray(0, half)]));
  equal((await StagedContent.find(contentParts(path))).offset, 0);
});

test("a part that has to be proved counts only once it is, also for who finds the file", async (path) => {
  const content = await StagedContent.find(contentParts(path));
  await append(content, "sure ");
  await content.begin(true);
  await content.add(someBytes(FRAME + 10));
  await content.settle();
  equal(content.offset, 5, "whoever asks meanwhile");
  equal((await StagedContent.find(contentParts(path))).offset, 5, "after a kill");
  await content.end(false);
  equal(Deno.statSync(path).size, OVERHEAD + 5);
  await content.begin(true);
  await content.add(bytesOf("proved"));
  await content.end(true);
  equal(content.offset, 11);
  equal(new TextDecoder().decode(await whole(await StagedContent.find(contentParts(path)))), "sure proved");
});

test("bytes behind a part that was never proved are no way to have it count", async (path) => {
  const content = await StagedContent.find(contentParts(path));
  await content.begin(true);
  await content.add(someBytes(FRAME));
  const unproved = Deno.readFileSync(path);
  await content.end(false);
  // As if the cut had been lost with the machine's power, and what was written then had not.
  const later = await StagedContent.find(contentParts(path));
  await append(later, "later");
  Deno.writeFileSync(path, new Uint8Array([...unproved, ...Deno.readFileSync(path)]));
  equal((await StagedContent.find(contentParts(path))).offset, 0);
});

test("a full disk takes nothing away that was kept, and the upload goes on when there is room", async (path) => {
  const disk = new FrailDisk();
  const content = await StagedContent.find(contentParts(path, { disk }));
  await append(content, "kept ");
  disk.room = 100;
  await content.begin(false);
  await rejects(content.add(someBytes(2 * FRAME)), code("NO_CAPACITY"));
  await content.end(true);
  equal(content.offset, 5);
  equal(Deno.statSync(path).size, OVERHEAD + 5, "nothing half there stays");
  disk.room = Infinity;
  await append(content, "and more");
  equal(new TextDecoder().decode(await whole(await StagedContent.find(contentParts(path)))), "kept and more");
});

test("a full disk that is noticed at the very end of a part is told, and nothing of it counts", async (path) => {
  const disk = new FrailDisk();
  const content = await StagedContent.find(contentParts(path, { disk }));
  await content.begin(false);
  await content.add(bytesOf("short"));
  disk.room = 3;
  await rejects(content.end(true), code("NO_CAPACITY"));
  equal(content.offset, 0);
  equal(Deno.statSync(path).size, 0);
});

test("what the disk would not confirm does not count, though it says nothing the second time", async (path) => {
  const disk = new FrailDisk();
  const content = await StagedContent.find(contentParts(path, { disk }));
  await append(content, "kept ");
  await content.begin(false);
  await content.add(bytesOf("lost"));
  disk.syncFails = true;
  await rejects(content.settle(), code("UNAVAILABLE"));
  disk.syncFails = false;
  await content.end(true);
  equal(content.offset, 5);
  equal((await StagedContent.find(contentParts(path))).offset, 5);
});

test("the disk is made to hold what came, at the latest after 8 MiB or a second", async (path) => {
  const disk = new FrailDisk();
  let time = 0;
  const content = await StagedContent.find(contentParts(path, { disk, monotonic: () => time }));
  await content.begin(false);
  for (let i = 0; i < 33; i++) await content.add(someBytes(FRAME));
  equal(disk.syncs, 1);
  ok(content.offset >= 31 * FRAME, String(content.offset));
  await content.add(bytesOf("a"));
  equal(disk.syncs, 1);
  time = 1_001;
  await content.add(bytesOf("b"));
  equal(disk.syncs, 2);
  equal(content.offset, 33 * FRAME + 2);
  await content.end(true);
});
