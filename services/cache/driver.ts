import type {
  CacheAddress,
  CacheEntry,
  CacheHoldings,
  CacheLease,
  CacheMap,
  CacheNearStatistics,
  CachePage,
  CachePutOptions,
  CacheReadOptions,
  CacheValue,
  Maybe,
} from "../../src/contracts/cache.ts";
import type { Lifecycle, NamespacedService } from "../../src/contracts/health.ts";
import type { RequestContext } from "../../src/contracts/request.ts";

/** Whoever waits for an answer. Its signal is left alone until something takes long. */
export type Waiter = Pick<RequestContext, "signal">;

/** What a counter has to become. */
export interface Increment {
  readonly by: number;
  readonly initial: number;
  readonly ttl: number | undefined;
}

/** A page of a scan, and what of it is wanted. */
export interface Scan {
  readonly cursor: string | undefined;
  readonly limit: number;
  /** Whether a key is wanted; `undefined`: each. */
  readonly matches: ((key: string) => boolean) | undefined;
}

/**
 * What keeps the entries. Names, times and sizes are within their bounds when they come here; the operations are those of the
 * contract (`src/contracts/cache.ts`), with its errors.
 */
export interface CacheDriver extends NamespacedService, Lifecycle {
  /** What is held: known, or asked for now and then, however often this is called. @returns `undefined` while nobody tells; never throws */
  held(): Maybe<CacheHoldings | undefined>;
  /** Figures of copies of what is kept elsewhere; absent where there are none. */
  near?(): CacheNearStatistics;
  ping(waiter: Waiter): Promise<void>;
  get(
    namespace: string,
    at: CacheAddress,
    waiter: Waiter,
    options?: CacheReadOptions,
  ): Maybe<CacheEntry | undefined>;
  getMany(
    namespace: string,
    map: string,
    keys: readonly string[],
    waiter: Waiter,
  ): Maybe<readonly (CacheEntry | undefined)[]>;
  put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    options: CachePutOptions,
    waiter: Waiter,
  ): Maybe<{ readonly version: string | undefined }>;
  putMany(
    namespace: string,
    map: string,
    entries: readonly { readonly key: string; readonly value: CacheValue }[],
    ttl: number | undefined,
    waiter: Waiter,
  ): Maybe<void>;
  swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    waiter: Waiter,
  ): Maybe<CacheEntry | undefined>;
  delete(namespace: string, at: CacheAddress, version: string | undefined, waiter: Waiter): Maybe<boolean>;
  deleteMany(namespace: string, map: string, keys: readonly string[], waiter: Waiter): Maybe<number>;
  increment(namespace: string, at: CacheAddress, options: Increment, waiter: Waiter): Maybe<{ readonly value: number }>;
  expire(namespace: string, at: CacheAddress, ttl: number | undefined, waiter: Waiter): Maybe<boolean>;
  touch(namespace: string, map: string, keys: readonly string[], waiter: Waiter): Maybe<number>;
  scan(namespace: string, map: string, scan: Scan, waiter: Waiter): Maybe<CachePage>;
  maps(namespace: string, waiter: Waiter): Maybe<readonly CacheMap[]>;
  drop(namespace: string, map: string, waiter: Waiter): Maybe<void>;
  /** Takes a lock if it is free. @returns `undefined` when somebody else has it */
  tryLock(namespace: string, at: CacheAddress, lease: number, waiter: Waiter): Maybe<CacheLease | undefined>;
  renew(
    namespace: string,
    at: CacheAddress,
    token: string,
    lease: number,
    waiter: Waiter,
  ): Maybe<{ readonly expiresAt: number }>;
  unlock(namespace: string, at: CacheAddress, token: string, waiter: Waiter): Maybe<void>;
}
