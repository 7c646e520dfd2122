import { equal, ok } from "node:assert/strict";
import { setImmediate } from "node:timers";
import { DagCheck } from "../../../services/storage/car/check.ts";
import { DirectoryPaths } from "../../../services/storage/car/paths.ts";
import { readFile } from "../../../services/storage/car/read.ts";
import { writeDirectory, WrittenNodes } from "../../../services/storage/local/directories.ts";
import { refuses, WAITER } from "../../support/test_content.ts";
import { deepAndWide, nothingAt, wideFile } from "./support/wide_dags.ts";

const LINKS = 20_000;

/** How often others have their turn while something is done. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0, going = true;
  const tick = () => {
    turns++;
    if (going) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  going = false;
  return turns;
}

Deno.test("memory for wide content is a few words for each link and each file of a directory", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--v8-flags=--expose-gc",
      new URL("support/wide_probe.ts", import.meta.url).pathname,
    ],
  }).output();
  const text = new TextDecoder().decode(stdout);
  ok(success, new TextDecoder().decode(stderr));
  const { check, walk, entry, result }: Record<"check" | "walk" | "entry" | "result", number> = JSON.parse(text);
  // Objects that wait take 670 bytes each, and what the library keeps of a file of a directory 4,500.
  ok(check <= 300 && walk <= 150, text);
  ok(entry <= 500 && result <= 700, text);
});

Deno.test("a block of many links is checked in slices, and so is the whole at the end", async () => {
  const { root, blocks } = deepAndWide(LINKS);
  const check = new DagCheck();
  ok(
    await turnsDuring(async () => {
      for (const block of blocks) await check.add(block);
    }) >= 3 * LINKS / 5_000,
  );
  ok(await turnsDuring(async () => equal((await check.finish(root.cid)).size, 3 * LINKS - 2)) >= 3 * LINKS / 5_000);
});

Deno.test("content whose blocks are all at hand is read in slices", async () => {
  const { root, blocks, size } = deepAndWide(LINKS);
  const all = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]));
  const source = { get: (cid: { toString(): string }) => Promise.resolve(all.get(cid.toString())!) };
  let read = 0;
  const turns = await turnsDuring(async () => {
    for await (const piece of readFile(source, root.cid, undefined, WAITER.signal)) read += piece.length;
  });
  equal(read, size);
  ok(turns >= 3 * LINKS / 100, String(turns));
});

Deno.test("a large directory is put together in slices, and ends when nobody waits for it", async () => {
  const paths = new DirectoryPaths(LINKS), written = new WrittenNodes({ put: () => Promise.resolve() });
  for (let i = 0; i < LINKS; i++) written.note(0x55, nothingAt(paths.add(`file number ${i}`)).subarray(4), 1);
  ok(await turnsDuring(() => writeDirectory(paths.root, written, WAITER.signal)) >= LINKS / 1_024);
  const leaver = new AbortController(), reason = new Error("the caller has left");
  leaver.abort(reason);
  equal(await writeDirectory(paths.root, written, leaver.signal).catch((error) => error), reason);
});

Deno.test("a CAR whose links lead to more blocks than one may have is refused before its end", async () => {
  const check = new DagCheck();
  const wide = (from: number) =>
    wideFile(Array.from({ length: 45_000 }, (_, i) => ({ cid: nothingAt(from + i), size: 1 })));
  for (let k = 0; k < 5; k++) equal(await check.add(wide(k * 45_000)), true);
  await refuses(check.add(wide(5 * 45_000)), "INVALID_REQUEST", /more than 262144 blocks/);
});

Deno.test("names that no hash tells apart are refused, but only where they are in a directory that is spread over blocks", async () => {
  for (const [count, refused] of [[900, false], [1_100, true]] as const) {
    const paths = new DirectoryPaths(2_000), written = new WrittenNodes({ put: () => Promise.resolve() });
    for (let i = 0; i < count; i++) {
      written.note(0x55, nothingAt(paths.add(String(i).padStart(220, "0"))).subarray(4), 1);
    }
    // The same for some, as somebody may find names.
    const hash = (name: Uint8Array) => Uint8Array.of(name[217]!, name[218]! & 1, 1, 1, 1, 1, 1, 1);
    const writing = writeDirectory(paths.root, written, WAITER.signal, hash);
    if (refused) await refuses(writing, "INVALID_REQUEST", /their hashes are the same; rename one/);
    else await writing;
  }
});
