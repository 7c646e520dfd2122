import { deepEqual, equal, ok } from "node:assert/strict";
import { OlricDriver } from "../../services/cache/olric/driver.ts";
import { CacheService } from "../../services/cache/service.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { engineTest } from "./support/engine_test.ts";

const REQUEST = { requestId: "test", clientAddress: "127.0.0.1", signal: new AbortController().signal };
const RULES = { maxValueBytes: 1_000, maxBytes: 0, maxScanKeys: 1_000, maxLockWaiters: 1, near: new Map() };
const NS = "shop", MAP = "carts";
/** Keys that are written together, and callers who change the map during a scan. */
const BATCH = 5_000, CHANGING = 4;

/** A map of many keys on a cluster, and what others do to it meanwhile. */
class BusyMap {
  readonly cache: CacheService;
  readonly stays: readonly string[];
  /** Keys that were there for some time during the scan, or are there. */
  readonly #come = new Set<string>();
  #changes = 0;
  #stopped = false;

  constructor(driver: OlricDriver, count: number) {
    this.cache = new CacheService(driver, { rulesOf: () => RULES });
    this.stays = Array.from({ length: count }, (_, i) => `stays:${i}`);
  }

  async fill(): Promise<void> {
    const gone = Array.from({ length: 2_000 }, (_, i) => `gone:${i}`);
    await this.#write(gone);
    for (let from = 0; from < this.stays.length; from += BATCH) await this.#write(this.stays.slice(from, from + BATCH));
    equal(await this.cache.deleteMany(NS, MAP, gone, REQUEST), gone.length);
    await this.cache.put(NS, { map: "other", key: "k" }, { json: "1" }, {}, REQUEST);
  }

  /** Puts and deletes keys, and writes some of those that stay anew, until {@link halt}. @returns how many changes there were */
  async change(): Promise<number> {
    const caller = async (first: number) => {
      for (let i = first; !this.#stopped; i += CHANGING) {
        const key = `comes:${i}`;
        this.#come.add(key);
        await this.#write([key, this.stays[(i * 7_919) % this.stays.length]!]);
        if (i % 2 === 0) ok(await this.cache.delete(NS, { map: MAP, key }, undefined, REQUEST));
        this.#changes++;
      }
    };
    await Promise.all(Array.from({ length: CHANGING }, (_, i) => caller(i)));
    return this.#changes;
  }

  halt(): void {
    this.#stopped = true;
  }

  /** Whether somebody wrote it, and nobody deleted it before. */
  knows(key: string): boolean {
    return key.startsWith("stays:") || this.#come.has(key);
  }

  async #write(keys: readonly string[]): Promise<void> {
    const entries = keys.map((key) => ({ key, value: { json: JSON.stringify(key) } }));
    await this.cache.putMany(NS, MAP, entries, undefined, REQUEST);
  }
}

for (const [members, count] of [[1, 300_000], [3, 100_000]] as const) {
  engineTest(
    `${members} of Olric: a scan of ${count} keys page by page has all that stay, while others come and go and are read`,
    ["olric-server"],
    async (engines) => {
      const cluster = await engines.olric({ members });
      const driver = await OlricDriver.open({ addresses: cluster.addresses });
      try {
        const map = new BusyMap(driver, count);
        await map.fill();
        const changing = awaitedLater(map.change());
        const seen = new Set<string>(), unknown: string[] = [];
        let pages = 0, answeredBefore = 0;
        let cursor: string | undefined;
        do {
          let isOver = false;
          const scanned = Promise.resolve(map.cache.scan(NS, MAP, { cursor, limit: 1_000 }, REQUEST)).finally(() =>
            isOver = true
          );
          const read = Promise.resolve(map.cache.get(NS, { map: "other", key: "k" }, REQUEST)).then((entry) => {
            if (!isOver) answeredBefore++;
            return entry;
          });
          const [page, entry] = await Promise.all([scanned, read]);
          deepEqual(entry?.value, { json: "1" });
          ok(page.keys.length <= 1_000 && pages <= count, `${page.keys.length} keys on page ${pages}`);
          for (const key of page.keys) {
            seen.add(key);
            if (!map.knows(key)) unknown.push(key);
          }
          cursor = page.cursor;
          pages++;
        } while (cursor !== undefined);
        map.halt();
        ok(await changing > 0);
        deepEqual(map.stays.filter((key) => !seen.has(key)), []);
        deepEqual(unknown, []);
        // A page takes many questions, one after the other; somebody else's is one.
        ok(answeredBefore > pages / 2, `${answeredBefore} of ${pages} reads were answered before the page beside them`);
      } finally {
        await driver.close();
      }
    },
  );
}
