// A process that adds and reads a lot, and tells how large it became: `{"idle","add","longer_add","adds","read","longer_read"}` in MB.
import { LocalDriver } from "../../../../services/storage/local/driver.ts";
import { type Disk, SYSTEM_DISK } from "../../../../services/storage/local/disk.ts";
import { carOf, fileBlock, inPieces, noise, rawBlock } from "../../../support/blocks.ts";
import { nothing, WAITER } from "../../../support/test_content.ts";

const MIB = 2 ** 20, PIECE = 64 * 2 ** 10, CHUNK = 256 * 2 ** 10;
const SHORT = 100, LONG = 1_000, AT_ONCE = 20;

/** A disk that takes blocks and has none: what is measured is memory. */
const nowhere: Disk = {
  ...SYSTEM_DISK,
  write: () => Promise.resolve({ sync: () => new Promise((resolve) => setTimeout(resolve)), close() {} }),
  facts: () => Promise.resolve(undefined),
  // deno-fmt-ignore
  async *names() {},
};

async function* content(megabytes: number, seed: number): AsyncGenerator<Uint8Array> {
  const bytes = noise(CHUNK, seed), view = new DataView(bytes.buffer);
  for (let at = 0; at < megabytes * MIB; at += PIECE) {
    if (at % CHUNK === 0) view.setFloat64(0, at);
    // The same memory again and again: what is measured is the driver's.
    yield bytes.subarray(at % CHUNK, at % CHUNK + PIECE);
  }
}

/** How large the process is at most while something is done. */
async function peakOf(work: () => Promise<unknown>): Promise<number> {
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 10);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.round(Math.max(peak, Deno.memoryUsage().rss) / MIB);
}

const folder = await Deno.makeTempDir({ prefix: "memory-probe-" });
try {
  const idle = Math.round(Deno.memoryUsage().rss / MIB);
  const writes = new LocalDriver({ folder: `${folder}/a`, roots: nothing, disk: nowhere });
  const add = await peakOf(() => writes.add(content(SHORT, 1), WAITER));
  const longer_add = await peakOf(() => writes.add(content(LONG, 2), WAITER));
  const adds = await peakOf(() =>
    Promise.all(Array.from({ length: AT_ONCE }, (_, i) => writes.add(content(LONG / AT_ONCE, 3 + i), WAITER)))
  );
  await writes.close();

  const reads = new LocalDriver({ folder: `${folder}/b`, roots: nothing });
  const leaf = rawBlock(noise(CHUNK));
  const file = (megabytes: number) =>
    fileBlock(Array.from({ length: megabytes * MIB / CHUNK }, () => ({ cid: leaf.cid, size: CHUNK })));
  const readAll = async (megabytes: number) => {
    const root = file(megabytes);
    const { cid } = await reads.importCar(inPieces(await carOf([root.cid], [root, leaf])), WAITER);
    for await (const _ of reads.read(cid, undefined, WAITER));
  };
  const read = await peakOf(() => readAll(SHORT));
  const longer_read = await peakOf(() => readAll(LONG));
  await reads.close();
  await Deno.stdout.write(
    new TextEncoder().encode(`${JSON.stringify({ idle, add, longer_add, adds, read, longer_read })}\n`),
  );
} finally {
  await Deno.remove(folder, { recursive: true });
}
