// The local driver of the storage, without a gateway around it: adding, reading and collecting, beside what the disk and the hash
// alone can do. Writes up to 3 GiB below the folder of temporary files.
// deno task bench:storage_local [megabytes]
import { createHash } from "node:crypto";
import { LocalDriver } from "../../services/storage/local/driver.ts";
import { SYSTEM_DISK } from "../../services/storage/local/disk.ts";
import { out } from "../../src/cli/output.ts";
import { noise } from "../support/blocks.ts";
import { filesOf, nothing, WAITER } from "../support/test_content.ts";
import { machine, residentMegabytes } from "./load.ts";

const MIB = 2 ** 20, PIECE = 64 * 2 ** 10, CHUNK = 256 * 2 ** 10;
const LARGE = Number(Deno.args[0] ?? 1_024);
const ROUNDS = 3;
const AT_ONCE = 20;
const SMALL_FILES = 2_000;

/** Pieces as they come from a socket. Each chunk of them is unlike all others. */
async function* content(megabytes: number, seed: number): AsyncGenerator<Uint8Array> {
  const bytes = noise(CHUNK, seed), view = new DataView(bytes.buffer);
  for (let at = 0; at < megabytes * MIB; at += PIECE) {
    if (at % CHUNK === 0) view.setFloat64(0, at);
    yield bytes.subarray(at % CHUNK, at % CHUNK + PIECE);
  }
}

/** Measures something, and how large the process became meanwhile. */
async function measured<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number; peak: number }> {
  let peak = residentMegabytes(Deno.pid);
  const timer = setInterval(() => peak = Math.max(peak, residentMegabytes(Deno.pid)), 20);
  const begun = performance.now();
  try {
    const value = await work();
    return { value, seconds: (performance.now() - begun) / 1_000, peak };
  } finally {
    clearInterval(timer);
  }
}

function row(what: string, megabytes: number, { seconds, peak }: { seconds: number; peak: number }): void {
  out(`| ${what} | ${(megabytes / seconds).toFixed(0)} | ${peak.toFixed(0)} |`);
}

async function hashAlone(megabytes: number): Promise<void> {
  const hash = createHash("sha256");
  for await (const piece of content(megabytes, 1)) hash.update(piece);
  hash.digest();
}

/** One file, and the disk holds it at the end. */
async function writeAlone(path: string, megabytes: number): Promise<void> {
  {
    using file = await Deno.open(path, { create: true, write: true });
    for await (const piece of content(megabytes, 1)) {
      for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
    }
    await file.syncData();
  }
  await Deno.remove(path);
}

const folder = await Deno.makeTempDir({ prefix: "bench-storage-" });
try {
  const driver = new LocalDriver({ folder: `${folder}/storage`, roots: nothing });
  await SYSTEM_DISK.makeFolder(`${folder}/storage`);
  const before = residentMegabytes(Deno.pid);
  const opened = await measured(() => driver.add(content(0, 1), WAITER));
  out(`${machine()}; ${before.toFixed(0)} MB resident before the first use, ${opened.peak.toFixed(0)} MB after`);
  out(`first use: ${(opened.seconds * 1_000).toFixed(0)} ms (code, folders, one file)\n`);
  out("| | MB/s | peak resident MB |\n|---|---|---|");
  let seed = 1;
  for (let round = 0; round < ROUNDS; round++) {
    row("SHA-256 alone, 200 MB", 200, await measured(() => hashAlone(200)));
    row("one file, written and synced, 200 MB", 200, await measured(() => writeAlone(`${folder}/one`, 200)));
    row("add, 200 MB", 200, await measured(() => driver.add(content(200, ++seed), WAITER)));
  }
  const { value: { cid, size }, ...large } = await measured(() => driver.add(content(LARGE, ++seed), WAITER));
  row(`add, ${LARGE} MB`, LARGE, large);
  row(
    `read, ${LARGE} MB`,
    LARGE,
    await measured(async () => {
      for await (const _ of driver.read(cid, undefined, WAITER));
    }),
  );
  row(
    `add, ${AT_ONCE} at once, 25 MB each`,
    AT_ONCE * 25,
    await measured(() => Promise.all(Array.from({ length: AT_ONCE }, () => driver.add(content(25, ++seed), WAITER)))),
  );
  row("add, 200 MB of zeros", 200, await measured(() => driver.add(zeros(200), WAITER)));
  out("\n| | ms |\n|---|---|");
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    let first: number | undefined;
    for await (const _ of driver.read(cid, { offset: size - MIB, length: MIB }, WAITER)) first ??= performance.now();
    out(`| last megabyte of it, first byte and whole | ${ms(first! - begun)}, ${ms(performance.now() - begun)} |`);
  }
  const files = Array.from({ length: SMALL_FILES }, (_, i) => [`file ${i}`, `content ${i}`] as const);
  const many = await measured(() => driver.addDirectory(filesOf(files), WAITER));
  out(`| directory of ${SMALL_FILES} small files | ${ms(many.seconds * 1_000)} |`);
  const one = await measured(() => driver.add(content(0.0625, ++seed), WAITER));
  out(`| a file of 64 KiB | ${ms(one.seconds * 1_000)} |`);
  const collected = await measured(() => driver.collect(WAITER.signal));
  out(`| a collection that looks at ${collected.value.spared} blocks | ${ms(collected.seconds * 1_000)} |`);
  await driver.close();
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function* zeros(megabytes: number): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(PIECE);
  for (let at = 0; at < megabytes * MIB; at += PIECE) yield await Promise.resolve(piece);
}

function ms(value: number): string {
  return value.toFixed(1);
}
