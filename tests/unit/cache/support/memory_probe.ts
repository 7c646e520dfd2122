/**
 * Fills a memory driver with entries of random sizes, several times as many as it may hold, and prints what its process then
 * holds beside what it says. Run with `--v8-flags=--expose-gc`; arguments: the bound in bytes, the kind, the seed.
 */
import { getHeapStatistics } from "node:v8";
import { MemoryDriver } from "../../../../services/cache/memory/driver.ts";
import type { CacheValue } from "../../../../src/contracts/cache.ts";
import { randomFrom } from "./random.ts";

/** What the driver said, and what the process held, in bytes. */
export interface Probed {
  readonly entries: number;
  readonly evictions: number;
  /** What the driver counts. */
  readonly counted: number;
  /** What the garbage collector left, more than before the driver was there. */
  readonly held: number;
  /** Of the process, before and after. */
  readonly rss: readonly [number, number];
}

type Random = () => number;

const json = (char: string, length: number): CacheValue => ({ json: `"${char.repeat(length)}"` });
const bytes = (length: number): CacheValue => ({ bytes: new Uint8Array(length), type: "application/octet-stream" });

interface Made {
  readonly value: CacheValue;
  readonly map: string;
  readonly namespace?: string;
}

/** Values by kind; sizes from 1 B to 64 KiB, evenly or mostly small, or as small as they come. */
const KINDS: Readonly<Record<string, (random: Random, i: number) => Made>> = {
  mixed: (random) => {
    const length = 1 + Math.floor(random() * 65_535), kind = random();
    const value = kind < 0.4 ? json("x", length) : kind < 0.7 ? json("€", length >> 1) : bytes(length);
    return { value, map: "m" };
  },
  mostly_small: (random) => {
    const length = Math.ceil(2 ** (random() * 16)), kind = random();
    const value = kind < 0.4 ? json("x", length) : kind < 0.7 ? json("€", Math.ceil(length / 2)) : bytes(length);
    return { value, map: "m" };
  },
  text: (random) => ({ value: json("x", 1 + Math.floor(random() * 65_535)), map: "m" }),
  wide_text: (random) => ({ value: json("é€", 1 + Math.floor(random() * 16_384)), map: "m" }),
  bytes: (random) => ({ value: bytes(1 + Math.floor(random() * 65_535)), map: "m" }),
  tiny: (random) => ({ value: { json: String(Math.floor(random() * 10)) }, map: "m" }),
  tiny_bytes: (random) => ({ value: bytes(Math.floor(random() * 4)), map: "m" }),
  maps: (random, i) => ({ value: { json: String(Math.floor(random() * 10)) }, map: `map ${i}` }),
  namespaces: (random, i) => ({
    value: { json: String(Math.floor(random() * 10)) },
    map: "m",
    namespace: `namespace ${i}`,
  }),
};

function heldNow(): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("run with --v8-flags=--expose-gc");
  for (let i = 0; i < 4; i++) gc();
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

async function probe(maxBytes: number, kind: string, seed: number): Promise<Probed> {
  const random = randomFrom(seed), make = KINDS[kind]!;
  const waiter = { signal: new AbortController().signal };
  const write = (driver: MemoryDriver, i: number) => {
    const { value, map, namespace = `namespace ${i % 10}` } = make(random, i);
    const ttl = random() < 0.5 ? 3_600_000 : undefined;
    driver.put(namespace, { map, key: `key:${Math.floor(random() * 2 ** 40)}` }, value, { ttl }, waiter);
  };
  // Whatever is made once is made before anything is measured.
  const first = new MemoryDriver({ maxBytes: 1_000_000 });
  for (let i = 0; i < 100; i++) write(first, i);
  await first.close();
  const before = heldNow(), rssBefore = Deno.memoryUsage().rss;
  const driver = new MemoryDriver({ maxBytes });
  let written = 0;
  for (; driver.held().evictions === 0; written++) write(driver, written);
  for (let i = 0; i < 3 * written; i++) {
    write(driver, written + i);
    // As in a gateway, where requests come one by one: what is freed by the event loop is freed.
    if (i % 10_000 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  const rssAfter = Deno.memoryUsage().rss;
  const held = heldNow() - before;
  const { entries, bytes: counted, evictions } = driver.held();
  await driver.close();
  return { entries, evictions, counted, held, rss: [rssBefore, rssAfter] };
}

if (import.meta.main) {
  const [maxBytes, kind, seed] = Deno.args;
  const probed = await probe(Number(maxBytes), kind!, Number(seed));
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(probed)));
}
