import type {
  Cache,
  CacheAddress,
  CacheEntry,
  CacheHoldings,
  CacheIncrementOptions,
  CacheLease,
  CacheLockOptions,
  CacheMap,
  CachePage,
  CachePutOptions,
  CacheReadOptions,
  CacheScanOptions,
  CacheStatistics,
  CacheValue,
  Maybe,
} from "../../src/contracts/cache.ts";
import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { CacheRules } from "../../src/contracts/settings.ts";
import { checkedLease, checkedLimit, checkedOptions, checkedTime, checkFinite, checkValue } from "./bounds.ts";
import { type Clock, SYSTEM_CLOCK } from "../clock/clock.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import type { CacheDriver } from "./driver.ts";
import { invalid } from "./failures.ts";
import { LockLines } from "./lock_lines.ts";
import { checkAddress, checkKey, checkKeys, checkMap } from "./names.ts";
import { type Pattern, Patterns } from "./patterns.ts";

/** What the service is told beside its driver. */
export interface CacheServiceOptions {
  /** What holds in a namespace. */
  readonly rulesOf: (namespace: string, request: Pick<RequestContext, "signal">) => Maybe<CacheRules>;
  /** Default: this machine's. */
  readonly clock?: Clock;
  /** At least 0, less than 1: spreads the tries of those who wait for locks. Default `Math.random`. */
  readonly random?: () => number;
}

/** The cache of the namespaces over one driver: bounds, patterns, cursors and lines before it, the same for all of them. */
export class CacheService implements Cache {
  readonly #driver: CacheDriver;
  readonly #rulesOf: CacheServiceOptions["rulesOf"];
  readonly #lines: LockLines;
  readonly #patterns = new Patterns();
  #hits = 0;
  #misses = 0;

  constructor(driver: CacheDriver, { rulesOf, clock = SYSTEM_CLOCK, random = Math.random }: CacheServiceOptions) {
    this.#driver = driver;
    this.#rulesOf = rulesOf;
    this.#lines = new LockLines({ driver, clock, random });
  }

  statistics(): CacheStatistics {
    return { hits: this.#hits, misses: this.#misses, near: this.#driver.near?.() };
  }

  holdings(): Maybe<CacheHoldings | undefined> {
    return this.#driver.held();
  }

  ping(context: RequestContext): Promise<void> {
    return this.#driver.ping(context);
  }

  get(
    namespace: string,
    at: CacheAddress,
    context: RequestContext,
    options?: CacheReadOptions,
  ): Maybe<CacheEntry | undefined> {
    checkAddress(at);
    const found = this.#driver.get(namespace, at, context, options);
    return found instanceof Promise ? found.then(this.#count) : this.#count(found);
  }

  getMany(
    namespace: string,
    map: string,
    keys: readonly string[],
    context: RequestContext,
  ): Maybe<readonly (CacheEntry | undefined)[]> {
    checkMap(map);
    checkKeys(keys);
    return andThen(this.#driver.getMany(namespace, map, keys, context), (found) => {
      for (const entry of found) this.#count(entry);
      return found;
    });
  }

  put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    options: CachePutOptions,
    context: RequestContext,
  ): Maybe<{ readonly version: string | undefined }> {
    checkAddress(at);
    const checked = checkedOptions(options);
    return andThen(this.#rulesOf(namespace, context), ({ maxValueBytes }) => {
      checkValue(value, maxValueBytes, "value");
      return this.#driver.put(namespace, at, value, checked, context);
    });
  }

  putMany(
    namespace: string,
    map: string,
    entries: readonly { readonly key: string; readonly value: CacheValue }[],
    ttl: number | undefined,
    context: RequestContext,
  ): Maybe<void> {
    checkMap(map);
    for (const [i, { key }] of entries.entries()) checkKey(key, () => `entries.${i}.key`);
    const life = checkedTime(ttl, "ttl");
    return andThen(this.#rulesOf(namespace, context), ({ maxValueBytes }) => {
      for (const [i, { value }] of entries.entries()) checkValue(value, maxValueBytes, `entries.${i}.value`);
      return this.#driver.putMany(namespace, map, entries, life, context);
    });
  }

  swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    context: RequestContext,
  ): Maybe<CacheEntry | undefined> {
    checkAddress(at);
    const life = checkedTime(ttl, "ttl");
    return andThen(this.#rulesOf(namespace, context), ({ maxValueBytes }) => {
      checkValue(value, maxValueBytes, "value");
      return this.#driver.swap(namespace, at, value, life, context);
    });
  }

  delete(namespace: string, at: CacheAddress, version: string | undefined, context: RequestContext): Maybe<boolean> {
    checkAddress(at);
    return this.#driver.delete(namespace, at, version, context);
  }

  deleteMany(namespace: string, map: string, keys: readonly string[], context: RequestContext): Maybe<number> {
    checkMap(map);
    checkKeys(keys);
    return this.#driver.deleteMany(namespace, map, keys, context);
  }

  increment(
    namespace: string,
    at: CacheAddress,
    { by = 1, initial = 0, ttl }: CacheIncrementOptions,
    context: RequestContext,
  ): Maybe<{ readonly value: number }> {
    checkAddress(at);
    checkFinite(by, "by");
    checkFinite(initial, "initial");
    return this.#driver.increment(namespace, at, { by, initial, ttl: checkedTime(ttl, "ttl") }, context);
  }

  expire(namespace: string, at: CacheAddress, ttl: number | undefined, context: RequestContext): Maybe<boolean> {
    checkAddress(at);
    return this.#driver.expire(namespace, at, checkedTime(ttl, "ttl"), context);
  }

  touch(namespace: string, map: string, keys: readonly string[], context: RequestContext): Maybe<number> {
    checkMap(map);
    checkKeys(keys);
    return this.#driver.touch(namespace, map, keys, context);
  }

  scan(namespace: string, map: string, options: CacheScanOptions, context: RequestContext): Maybe<CachePage> {
    checkMap(map);
    const cursor = options.cursor === undefined ? undefined : decodeCursor(namespace, map, options.cursor);
    return andThen(this.#rulesOf(namespace, context), ({ maxScanKeys }) => {
      const limit = checkedLimit(options.limit, maxScanKeys);
      const pattern = options.match === undefined ? undefined : this.#patterns.compile(options.match);
      return andThen(pattern, (pattern) => this.#page(namespace, map, cursor, limit, pattern, context));
    });
  }

  maps(namespace: string, context: RequestContext): Maybe<readonly CacheMap[]> {
    return this.#driver.maps(namespace, context);
  }

  drop(namespace: string, map: string, context: RequestContext): Maybe<void> {
    checkMap(map);
    return this.#driver.drop(namespace, map, context);
  }

  async lock(
    namespace: string,
    at: CacheAddress,
    options: CacheLockOptions,
    context: RequestContext,
  ): Promise<CacheLease> {
    checkAddress(at);
    const lease = checkedLease(options.lease);
    const wait = options.wait === 0 ? 0 : checkedTime(options.wait, "wait") ?? 0;
    const ruling = this.#rulesOf(namespace, context);
    const { maxLockWaiters: maxWaiters } = ruling instanceof Promise ? await ruling : ruling;
    return await this.#lines.lock(namespace, at, { lease, wait, maxWaiters }, context);
  }

  async renew(
    namespace: string,
    at: CacheAddress,
    token: string,
    lease: number,
    context: RequestContext,
  ): Promise<{ readonly expiresAt: number }> {
    checkAddress(at);
    checkToken(token);
    return await this.#driver.renew(namespace, at, token, checkedLease(lease), context);
  }

  async unlock(namespace: string, at: CacheAddress, token: string, context: RequestContext): Promise<void> {
    checkAddress(at);
    checkToken(token);
    await this.#driver.unlock(namespace, at, token, context);
    this.#lines.freed(namespace, at);
  }

  purge(namespace: string, signal: AbortSignal): Promise<void> {
    return this.#driver.purge(namespace, signal);
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

  readonly #count = (found: CacheEntry | undefined) => {
    if (found === undefined) this.#misses++;
    else this.#hits++;
    return found;
  };

  #page(
    namespace: string,
    map: string,
    cursor: string | undefined,
    limit: number,
    pattern: Pattern | undefined,
    context: RequestContext,
  ): Maybe<CachePage> {
    const matches = pattern && ((key: string) => pattern.matches(key));
    return andThen(this.#driver.scan(namespace, map, { cursor, limit, matches }, context), (page) => {
      pattern?.rest();
      return page.cursor === undefined ? page : { ...page, cursor: encodeCursor(namespace, map, page.cursor) };
    });
  }
}

/** Goes on at once where nothing has to be waited for. */
function andThen<T, U>(value: Maybe<T>, next: (value: T) => Maybe<U>): Maybe<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function checkToken(token: string): void {
  if (!/^[0-9a-f]{32}$/.test(token)) throw invalid("token", "must be the 32 hexadecimal digits that lock gave");
}
