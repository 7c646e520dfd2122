import { deepEqual, equal, ok } from "node:assert/strict";
import { newOwner, type Owner } from "../support/accounts.ts";
import { RUNS_ALONE } from "../support/alone.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import { gatewaySuite } from "../support/suite.ts";

/** Keys that stay, that are written together, and in an answer that is not asked for in pages. */
const KEYS = RUNS_ALONE ? 1_000_000 : 200_000, BATCH = 10_000, CEILING = 100_000;
/** Entries that a page looks at, however long it takes. */
const LEAST_LOOKED_AT = 256;

const suite = gatewaySuite({
  driver: "sqlite",
  cacheDriver: "memory",
  config: {
    cache: { memory: { max_bytes: "512MiB" } },
    limits: { cache: { bytes: 0, scan_keys: BATCH } },
  },
});
const { test } = suite;
const cacheOf = ({ apiKey: key }: Owner) => new CacheCaller(suite.gateway, { key });
const numbered = (name: string, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => `${name}:${from + i}`);

/** Writes keys, all with the same value. */
async function fill(cache: CacheCaller, name: string, keys: number): Promise<void> {
  for (let from = 0; from < keys; from += BATCH) {
    const entries = numbered(name, from, Math.min(BATCH, keys - from)).map((key) => ({ key, value: 1 }));
    (await cache.call("mput", { dmap: "m", entries })).expect(200);
  }
}

/** Which keys that stay were seen, and that no others were but those that came. */
class Sightings {
  readonly #stays = new Uint8Array(KEYS);

  note(keys: readonly string[]): void {
    for (const key of keys) {
      const [, name, number] = /^(stays|goes|comes):(\d+)$/.exec(key) ?? [];
      ok(name !== undefined, key);
      if (name === "stays") this.#stays[Number(number)] = 1;
    }
  }

  get missing(): readonly number[] {
    return [...this.#stays.entries()].flatMap(([i, seen]) => seen === 1 ? [] : i);
  }
}

test(`a scan of ${KEYS} keys has all that stay, while others come and go and are read; without a limit it ends at its ceiling`, async () => {
  await using owner = await newOwner(suite.gateway);
  const cache = cacheOf(owner);
  await fill(cache, "goes", BATCH);
  await fill(cache, "stays", KEYS);
  await cache.put("other", "k", "there");
  const sightings = new Sightings();

  const first = (await cache.call("scan", { dmap: "m" })).expect(200);
  const keys = first.get("keys") as string[];
  deepEqual([first.get("count"), keys.length, new Set(keys).size], [CEILING, CEILING, CEILING]);
  sightings.note(keys);

  let cursor: string | undefined = first.string("cursor");
  let isOver = false, reads = 0, pages = 0;
  const reading = awaitedLater((async () => {
    for (; !isOver; reads++) equal(await cache.value("other", "k"), "there");
  })());
  const changing = awaitedLater((async () => {
    for (let round = 0; !isOver && round < BATCH / 10; round++) {
      (await cache.call("mdelete", { dmap: "m", keys: numbered("goes", round * 10, 10) })).expect(200);
      const entries = [...numbered("comes", round * 10, 10), `stays:${round * 997}`];
      (await cache.call("mput", { dmap: "m", entries: entries.map((key) => ({ key, value: "longer" })) })).expect(200);
    }
  })());
  for (; cursor !== undefined; pages++) {
    ok(pages < 2 * KEYS / LEAST_LOOKED_AT, "the scan has no end");
    const page = (await cache.call("scan", { dmap: "m", limit: BATCH, cursor })).expect(200);
    const found = page.get("keys") as string[];
    ok(found.length <= BATCH);
    sightings.note(found);
    cursor = page.get("cursor") as string | undefined;
  }
  isOver = true;
  await Promise.all([reading, changing]);
  deepEqual(sightings.missing, []);
  ok(reads >= pages / 10, `${reads} reads were answered beside ${pages} pages`);
  equal(
    ((await cache.call("scan", { dmap: "m", match: `^stays:${KEYS / 10 - 1}\\d$` })).expect(200).get(
      "keys",
    ) as string[]).length,
    10,
  );
});
