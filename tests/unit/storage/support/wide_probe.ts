// A process that tells how much memory wide content takes, in bytes: `{"check","walk","entry","result"}`, of each link or file.
// With --expose-gc, so that only what is kept counts.
import { DagCheck } from "../../../../services/storage/car/check.ts";
import { readFile } from "../../../../services/storage/car/read.ts";
import { LocalDriver } from "../../../../services/storage/local/driver.ts";
import { type Disk, SYSTEM_DISK } from "../../../../services/storage/local/disk.ts";
import { inPieces } from "../../../support/blocks.ts";
import { nothing, WAITER } from "../../../support/test_content.ts";
import { deepAndWide, nothingAt, wideFile } from "./wide_dags.ts";

const LINKS = 30_000, FILES = 20_000;

const { gc } = globalThis as unknown as { gc(): void };

/** What is left once all that nobody has any more is gone; some of it goes late. */
async function held(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

async function checked(): Promise<number> {
  const wide = [0, 1, 2].map((k) =>
    wideFile(Array.from({ length: LINKS }, (_, i) => ({ cid: nothingAt(k * LINKS + i), size: 1 })))
  );
  const check = new DagCheck(), before = await held();
  for (const block of wide) await check.add(block);
  return (await held() - before) / (3 * LINKS) + 0 * check.blocks;
}

async function walked(): Promise<number> {
  const { root, blocks } = deepAndWide(LINKS);
  const all = new Map(blocks.map(({ cid, bytes }) => [cid.toString(), bytes]));
  const source = { get: (cid: { toString(): string }) => Promise.resolve(all.get(cid.toString())!) };
  const before = await held();
  for await (const _ of readFile(source, root.cid, undefined, WAITER.signal)) {
    return (await held() - before) / (3 * LINKS);
  }
  throw new Error("nothing was read");
}

/** A disk that takes blocks and has none. */
const nowhere: Disk = {
  ...SYSTEM_DISK,
  write: () => Promise.resolve({ sync: () => Promise.resolve(), close() {} }),
  facts: () => Promise.resolve(undefined),
  // deno-fmt-ignore
  async *names() {},
};

async function added(folder: string): Promise<readonly [number, number]> {
  const driver = new LocalDriver({ folder, roots: nothing, disk: nowhere });
  const content = () => inPieces(Uint8Array.of(1));
  await driver.add(content(), WAITER);
  const before = await held();
  let taken = 0;
  const { files } = await driver.addDirectory(
    (async function* () {
      for (let i = 0; i < FILES; i++) yield { path: `folder ${i % 10}/file number ${i}.txt`, content: content() };
      taken = await held();
    })(),
    WAITER,
  );
  const result = await held() - before;
  await driver.close();
  return [(taken - before) / FILES, result / files.length];
}

const folder = await Deno.makeTempDir({ prefix: "wide-probe-" });
try {
  const check = await checked(), walk = await walked();
  const [entry, result] = await added(`${folder}/storage`);
  await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify({ check, walk, entry, result })}\n`));
} finally {
  await Deno.remove(folder, { recursive: true });
}
