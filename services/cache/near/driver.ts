import type {
  CacheAddress,
  CacheEntry,
  CacheHoldings,
  CacheLease,
  CacheMap,
  CacheNearStatistics,
  CacheNearWrite,
  CachePage,
  CachePutOptions,
  CacheReadOptions,
  CacheValue,
  Maybe,
} from "../../../src/contracts/cache.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import { SYSTEM_CLOCK } from "../../clock/clock.ts";
import type { CacheDriver, Increment, Scan, Waiter } from "../driver.ts";
import { Copies, type CopiesOptions } from "./copies.ts";
import type { MapCopies } from "./map_copies.ts";

/** What the near cache is made of. */
export interface NearDriverOptions {
  /** Where entries are kept. */
  readonly driver: CacheDriver;
  /** Bytes that the copies of all namespaces may take together. */
  readonly maxBytes: number;
  /**
   * The maps of a namespace that have a near cache, and how many milliseconds a copy lives in each: the same object for as long
   * as it holds. `undefined`: nobody knows yet, and nothing is answered from a copy.
   */
  readonly livesOf: (namespace: string, waiter: Waiter) => ReadonlyMap<string, number> | undefined;
  /** Default: this machine's. */
  readonly clock?: CopiesOptions["clock"];
}

/** One who reads together with others: nobody's leaving ends it. */
const EVERYBODY: Waiter = { signal: new AbortController().signal };

/** A driver with a near cache before it: `DESIGN.md` says what it answers. */
export class NearDriver implements CacheDriver {
  readonly #driver: CacheDriver;
  readonly #livesOf: NearDriverOptions["livesOf"];
  readonly #copies: Copies;
  #tell: (write: CacheNearWrite) => void = () => {};

  constructor({ driver, maxBytes, livesOf, clock = SYSTEM_CLOCK }: NearDriverOptions) {
    this.#driver = driver;
    this.#livesOf = livesOf;
    this.#copies = new Copies({ maxBytes, clock });
  }

  /** Forgets a namespace that somebody deleted, on whichever gateway. */
  forget(namespace: string): void {
    this.#copies.dropNamespace(namespace);
  }

  /** Has somebody told of each write behind which copies elsewhere are old, once it is over. @param tell must not throw */
  onWrite(tell: (write: CacheNearWrite) => void): void {
    this.#tell = tell;
  }

  /** Throws the copies out that another gateway's write made old. */
  wroteElsewhere(write: CacheNearWrite): void {
    this.#drop(write);
  }

  held(): Maybe<CacheHoldings | undefined> {
    return this.#driver.held();
  }

  near(): CacheNearStatistics {
    return this.#copies.statistics();
  }

  ping(waiter: Waiter): Promise<void> {
    return this.#driver.ping(waiter);
  }

  get(
    namespace: string,
    at: CacheAddress,
    waiter: Waiter,
    options?: CacheReadOptions,
  ): Maybe<CacheEntry | undefined> {
    if (options?.current) {
      // Who was told what is there now shall read nothing older afterwards.
      const drop = () => this.#copies.dropKeys(namespace, at.map, [at.key]);
      return around(drop, () => this.#driver.get(namespace, at, waiter, options), drop);
    }
    const copies = this.#copiesOf(namespace, at.map, waiter);
    if (copies === undefined) return this.#driver.get(namespace, at, waiter, options);
    return copies.find(at.key) ?? copies.read(at.key, () => this.#driver.get(namespace, at, EVERYBODY));
  }

  getMany(
    namespace: string,
    map: string,
    keys: readonly string[],
    waiter: Waiter,
  ): Maybe<readonly (CacheEntry | undefined)[]> {
    const copies = this.#copiesOf(namespace, map, waiter);
    if (copies === undefined) return this.#driver.getMany(namespace, map, keys, waiter);
    const found = keys.map((key) => copies.find(key));
    const missing = keys.filter((_, i) => found[i] === undefined);
    if (missing.length === 0) return found;
    const read = copies.readMany(missing, () => this.#driver.getMany(namespace, map, missing, waiter));
    const together = (entries: readonly (CacheEntry | undefined)[]) => {
      let next = 0;
      return found.map((entry) => entry ?? entries[next++]);
    };
    return read instanceof Promise ? read.then(together) : together(read);
  }

  put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    options: CachePutOptions,
    waiter: Waiter,
  ): Maybe<{ readonly version: string | undefined }> {
    return this.#writing(
      { namespace, map: at.map, keys: [at.key] },
      waiter,
      () => this.#driver.put(namespace, at, value, options, waiter),
    );
  }

  putMany(
    namespace: string,
    map: string,
    entries: readonly { readonly key: string; readonly value: CacheValue }[],
    ttl: number | undefined,
    waiter: Waiter,
  ): Maybe<void> {
    const keys = entries.map(({ key }) => key);
    return this.#writing(
      { namespace, map, keys },
      waiter,
      () => this.#driver.putMany(namespace, map, entries, ttl, waiter),
    );
  }

  swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    waiter: Waiter,
  ): Maybe<CacheEntry | undefined> {
    return this.#writing(
      { namespace, map: at.map, keys: [at.key] },
      waiter,
      () => this.#driver.swap(namespace, at, value, ttl, waiter),
    );
  }

  delete(namespace: string, at: CacheAddress, version: string | undefined, waiter: Waiter): Maybe<boolean> {
    return this.#writing(
      { namespace, map: at.map, keys: [at.key] },
      waiter,
      () => this.#driver.delete(namespace, at, version, waiter),
    );
  }

  deleteMany(namespace: string, map: string, keys: readonly string[], waiter: Waiter): Maybe<number> {
    return this.#writing({ namespace, map, keys }, waiter, () => this.#driver.deleteMany(namespace, map, keys, waiter));
  }

  increment(
    namespace: string,
    at: CacheAddress,
    increment: Increment,
    waiter: Waiter,
  ): Maybe<{ readonly value: number }> {
    const write = { namespace, map: at.map, keys: [at.key] };
    return this.#writing(write, waiter, () => this.#driver.increment(namespace, at, increment, waiter));
  }

  expire(namespace: string, at: CacheAddress, ttl: number | undefined, waiter: Waiter): Maybe<boolean> {
    return this.#writing(
      { namespace, map: at.map, keys: [at.key] },
      waiter,
      () => this.#driver.expire(namespace, at, ttl, waiter),
    );
  }

  touch(namespace: string, map: string, keys: readonly string[], waiter: Waiter): Maybe<number> {
    return this.#driver.touch(namespace, map, keys, waiter);
  }

  scan(namespace: string, map: string, scan: Scan, waiter: Waiter): Maybe<CachePage> {
    return this.#driver.scan(namespace, map, scan, waiter);
  }

  maps(namespace: string, waiter: Waiter): Maybe<readonly CacheMap[]> {
    return this.#driver.maps(namespace, waiter);
  }

  drop(namespace: string, map: string, waiter: Waiter): Maybe<void> {
    return this.#writing({ namespace, map, keys: undefined }, waiter, () => this.#driver.drop(namespace, map, waiter));
  }

  tryLock(namespace: string, at: CacheAddress, lease: number, waiter: Waiter): Maybe<CacheLease | undefined> {
    return this.#driver.tryLock(namespace, at, lease, waiter);
  }

  renew(
    namespace: string,
    at: CacheAddress,
    token: string,
    lease: number,
    waiter: Waiter,
  ): Maybe<{ readonly expiresAt: number }> {
    return this.#driver.renew(namespace, at, token, lease, waiter);
  }

  unlock(namespace: string, at: CacheAddress, token: string, waiter: Waiter): Maybe<void> {
    return this.#driver.unlock(namespace, at, token, waiter);
  }

  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    // The other gateways hear of a namespace that goes by its revocation.
    const forget = () => this.forget(namespace);
    await around(forget, () => this.#driver.purge(namespace, signal), forget);
  }

  usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    return this.#driver.usage(namespace, signal);
  }

  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.#driver.health(signal);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  #copiesOf(namespace: string, map: string, waiter: Waiter): MapCopies | undefined {
    const lives = this.#livesOf(namespace, waiter);
    return lives && this.#copies.of(namespace, map, lives);
  }

  #drop({ namespace, map, keys }: CacheNearWrite): void {
    if (keys === undefined) this.#copies.dropMap(namespace, map);
    else this.#copies.dropKeys(namespace, map, keys);
  }

  #writing<T>(write: CacheNearWrite, waiter: Waiter, ask: () => Maybe<T>): Maybe<T> {
    return around(() => this.#drop(write), ask, () => {
      this.#drop(write);
      // Where no copies are held here, none are elsewhere: the same rules hold for all.
      if (this.#livesOf(write.namespace, waiter)?.has(write.map)) this.#tell(write);
    });
  }
}

/**
 * Drops copies before a call, so that none is answered once it may have happened, and behind it, whatever came of it: reads that
 * began meanwhile may have seen what was there before.
 */
function around<T>(before: () => void, call: () => Maybe<T>, behind: () => void): Maybe<T> {
  before();
  let answer: Maybe<T>;
  try {
    answer = call();
  } catch (error) {
    behind();
    throw error;
  }
  if (answer instanceof Promise) return answer.finally(behind);
  behind();
  return answer;
}
