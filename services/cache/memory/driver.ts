import type {
  CacheAddress,
  CacheCondition,
  CacheEntry,
  CacheLease,
  CacheMap,
  CachePage,
  CachePutOptions,
  CacheValue,
  Maybe,
} from "../../../src/contracts/cache.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import { type Clock, SYSTEM_CLOCK } from "../../clock/clock.ts";
import { numberOf, sumOf } from "../counters.ts";
import type { CacheDriver, Increment, Scan, Waiter } from "../driver.ts";
import { invalid, notAsExpected } from "../failures.ts";
import { Clearing } from "./clearing.ts";
import { Locks } from "./locks.ts";
import { type EntryId, Store } from "./store.ts";

/** What the driver is made of. */
export interface MemoryDriverOptions {
  /** Bytes of memory that the entries of all namespaces take together. */
  readonly maxBytes: number;
  /** Bytes that the entries of one namespace may take; 0: as many as there are. Default 0. */
  readonly quotaOf?: (namespace: string, waiter: Waiter) => Maybe<number>;
  /** Default: this machine's. */
  readonly clock?: Clock;
  /** Bytes that cannot be guessed. Default `crypto.getRandomValues`. */
  readonly random?: (n: number) => Uint8Array;
}

/** What a page of a scan may take: entries looked at, and milliseconds. */
const MOST_SCANNED = 10_000, LONGEST_SCAN = 10;
/** After how many entries of a scan without a pattern the time is looked at. */
const STRIDE = 256;
/** Which part of the memory locks may take. */
const SHARE_OF_LOCKS = 1 / 4;

/** The cache in this process's own memory. Everything happens at once, so every operation is exact. */
export class MemoryDriver implements CacheDriver {
  readonly #clock: Clock;
  readonly #quotaOf: NonNullable<MemoryDriverOptions["quotaOf"]>;
  readonly #store: Store;
  readonly #locks: Locks;
  /** No other process begins its versions so. */
  readonly #birth: string;
  readonly #clearing: Clearing;

  constructor(options: MemoryDriverOptions) {
    const { maxBytes, clock = SYSTEM_CLOCK, random = (n) => crypto.getRandomValues(new Uint8Array(n)) } = options;
    this.#clock = clock;
    this.#quotaOf = options.quotaOf ?? (() => 0);
    this.#birth = random(9).toBase64({ alphabet: "base64url" });
    this.#store = new Store({ maxBytes, now: () => clock.now(), random });
    const reserve = (bytes: number) => this.#store.reserve(bytes);
    this.#locks = new Locks({ clock, random, reserve, maxBytes: maxBytes * SHARE_OF_LOCKS });
    this.#clearing = new Clearing(clock, [this.#store, this.#locks]);
  }

  held(): { readonly entries: number; readonly bytes: number; readonly evictions: number } {
    const { entries, bytes, evictions } = this.#store;
    return { entries, bytes, evictions };
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  get(namespace: string, { map, key }: CacheAddress): CacheEntry | undefined {
    return this.#use(namespace, map, key);
  }

  getMany(namespace: string, map: string, keys: readonly string[]): readonly (CacheEntry | undefined)[] {
    return keys.map((key) => this.#use(namespace, map, key));
  }

  put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    { ttl, condition, versioned }: CachePutOptions,
    waiter: Waiter,
  ): Maybe<{ readonly version: string | undefined }> {
    return this.#withQuota(namespace, waiter, (quota) => {
      const found = this.#store.find(namespace, at.map, at.key);
      this.#assertMeets(condition, found);
      const entry = this.#write(namespace, at, found, value, ttl, quota);
      return { version: versioned || typeof condition === "object" ? this.#versionOf(entry) : undefined };
    });
  }

  putMany(
    namespace: string,
    map: string,
    entries: readonly { readonly key: string; readonly value: CacheValue }[],
    ttl: number | undefined,
    waiter: Waiter,
  ): Maybe<void> {
    return this.#withQuota(namespace, waiter, (quota) => {
      for (const { key, value } of entries) {
        this.#write(namespace, { map, key }, this.#store.find(namespace, map, key), value, ttl, quota);
      }
    });
  }

  swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    waiter: Waiter,
  ): Maybe<CacheEntry | undefined> {
    return this.#withQuota(namespace, waiter, (quota) => {
      const found = this.#store.find(namespace, at.map, at.key);
      const before = found === undefined ? undefined : this.#seen(found);
      this.#write(namespace, at, found, value, ttl, quota);
      return before;
    });
  }

  delete(namespace: string, { map, key }: CacheAddress, version: string | undefined): boolean {
    const found = this.#store.find(namespace, map, key);
    if (found === undefined) return false;
    if (version !== undefined) this.#assertMeets({ version }, found);
    this.#store.remove(found);
    return true;
  }

  deleteMany(namespace: string, map: string, keys: readonly string[]): number {
    return keys.filter((key) => this.delete(namespace, { map, key }, undefined)).length;
  }

  increment(
    namespace: string,
    at: CacheAddress,
    { by, initial, ttl }: Increment,
    waiter: Waiter,
  ): Maybe<{ readonly value: number }> {
    return this.#withQuota(namespace, waiter, (quota) => {
      const found = this.#store.find(namespace, at.map, at.key);
      const value = sumOf(found === undefined ? initial : numberOf(this.#store.value(found)), by);
      const due = found === undefined ? this.#dueIn(ttl) : this.#store.due(found);
      this.#store.write(found, { namespace, ...at, value: { json: String(value) }, due, quota });
      this.#clearing.arm();
      return { value };
    });
  }

  expire(namespace: string, { map, key }: CacheAddress, ttl: number | undefined): boolean {
    const found = this.#store.find(namespace, map, key);
    if (found === undefined) return false;
    this.#store.expire(found, this.#dueIn(ttl));
    this.#store.use(found);
    this.#clearing.arm();
    return true;
  }

  touch(namespace: string, map: string, keys: readonly string[]): number {
    let found = 0;
    for (const key of keys) {
      const entry = this.#store.find(namespace, map, key);
      if (entry === undefined) continue;
      this.#store.use(entry);
      found++;
    }
    return found;
  }

  scan(namespace: string, name: string, { cursor, limit, matches }: Scan): CachePage {
    const map = this.#store.space(namespace)?.maps.get(name);
    const end = this.#clock.monotonic() + LONGEST_SCAN;
    const keys: string[] = [];
    // From the back to the front: that is the direction in which entries never move.
    let slot = Math.min(slotOf(cursor), map?.list.length ?? 0);
    for (let looked = 1; slot > 0 && keys.length < limit && looked <= MOST_SCANNED; looked++) {
      const id = map!.list[--slot]!;
      if (!this.#store.isOver(id)) {
        const key = this.#store.key(id);
        if (matches === undefined || matches(key)) keys.push(key);
      }
      if ((matches !== undefined || looked % STRIDE === 0) && this.#clock.monotonic() > end) break;
    }
    return { keys, cursor: slot > 0 ? String(slot) : undefined };
  }

  maps(namespace: string): readonly CacheMap[] {
    this.#clearing.now();
    const maps = [...this.#store.space(namespace)?.maps.values() ?? []];
    return maps.map(({ name, list, bytes }) => ({ name, keys: list.length, bytes })).sort((a, b) =>
      a.name < b.name ? -1 : 1
    );
  }

  drop(namespace: string, map: string): void {
    this.#store.drop(namespace, map);
    this.#clearing.arm();
  }

  tryLock(namespace: string, at: CacheAddress, lease: number): CacheLease | undefined {
    const taken = this.#locks.tryLock(namespace, at, lease);
    this.#clearing.arm();
    return taken;
  }

  renew(namespace: string, at: CacheAddress, token: string, lease: number): { readonly expiresAt: number } {
    return { expiresAt: this.#locks.renew(namespace, at, token, lease) };
  }

  unlock(namespace: string, at: CacheAddress, token: string): void {
    this.#locks.unlock(namespace, at, token);
  }

  purge(namespace: string): Promise<void> {
    this.#locks.purge(namespace);
    this.#store.purge(namespace);
    this.#clearing.arm();
    return Promise.resolve();
  }

  usage(namespace: string): Promise<Usage> {
    this.#clearing.now();
    const space = this.#store.space(namespace);
    return Promise.resolve({ cache_bytes: space?.bytes ?? 0, cache_keys: space?.entries ?? 0 });
  }

  health(): Promise<ServiceHealth> {
    return Promise.resolve({ status: "ok", driver: "memory" });
  }

  close(): Promise<void> {
    this.#clearing.close();
    return Promise.resolve();
  }

  #use(namespace: string, map: string, key: string): CacheEntry | undefined {
    const entry = this.#store.find(namespace, map, key);
    if (entry === undefined) return undefined;
    this.#store.use(entry);
    return this.#seen(entry);
  }

  #seen(id: EntryId): CacheEntry {
    return { value: this.#store.value(id), version: this.#versionOf(id), expiresAt: this.#store.due(id) };
  }

  #versionOf(id: EntryId): string {
    return this.#birth + this.#store.version(id);
  }

  #write(
    namespace: string,
    { map, key }: CacheAddress,
    found: EntryId | undefined,
    value: CacheValue,
    ttl: number | undefined,
    quota: number,
  ): EntryId {
    const id = this.#store.write(found, { namespace, map, key, value, due: this.#dueIn(ttl), quota });
    this.#clearing.arm();
    return id;
  }

  #dueIn(ttl: number | undefined): number | undefined {
    return ttl === undefined ? undefined : this.#clock.now() + ttl;
  }

  #assertMeets(condition: CacheCondition | undefined, found: EntryId | undefined): void {
    if (condition === undefined) return;
    if (condition === "absent") {
      if (found !== undefined) throw notAsExpected("there is an entry already");
    } else if (found === undefined) throw notAsExpected("there is no entry");
    else if (condition !== "present" && condition.version !== this.#versionOf(found)) {
      throw notAsExpected("the entry has another version");
    }
  }

  #withQuota<T>(namespace: string, waiter: Waiter, write: (quota: number) => T): Maybe<T> {
    const quota = this.#quotaOf(namespace, waiter);
    return quota instanceof Promise ? quota.then((bytes) => write(bytes || Infinity)) : write(quota || Infinity);
  }
}

/** @throws GatewayError `INVALID_REQUEST` for a cursor that is none */
function slotOf(cursor: string | undefined): number {
  if (cursor === undefined) return Infinity;
  if (!/^\d{1,15}$/.test(cursor)) throw invalid("cursor", "not one that a scan of this map gave; begin without it");
  return Number(cursor);
}
