import type { Lifecycle, NamespacedService } from "./health.ts";
import type { RequestContext } from "./request.ts";

/** Where an entry is: a key within a map of the namespace. Both are text of 1 to 255 bytes of UTF-8, any characters. */
export interface CacheAddress {
  readonly map: string;
  readonly key: string;
}

/** What is cached: JSON as its text, which comes back byte for byte, or bytes with the media type they came with. */
export type CacheValue =
  | { readonly json: string }
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly type: string };

/** A value with what is known of it. */
export interface CacheEntry {
  readonly value: CacheValue;
  /** Changes with every write of the entry, also of an equal value. Opaque; never the same for two writes of one key. */
  readonly version: string;
  /** Unix milliseconds from which on it is not there any more; `undefined`: no such time. */
  readonly expiresAt: number | undefined;
}

/** When a write may happen: `absent`, nothing may be there; `present`, something must; a version, this very one must. */
export type CacheCondition = "absent" | "present" | { readonly version: string };

/** How an entry is read. */
export interface CacheReadOptions {
  /**
   * Whether it must be read where it is kept, and not from a copy that this gateway holds for a while (`CacheRules.near`): for
   * what decides a write. Default `false`.
   */
  readonly current?: boolean | undefined;
}

/** What a caller may ask of a write. */
export interface CachePutOptions {
  /** Milliseconds that it lives, at least 1. Default: until it is deleted, or has to make room. Never kept from the entry before. */
  readonly ttl?: number | undefined;
  /** Default: whatever is there. Otherwise `PRECONDITION_FAILED`, and nothing is written. */
  readonly condition?: CacheCondition | undefined;
  /** Whether the caller wants to know the version that it wrote. Implied by a condition that names one. */
  readonly versioned?: boolean | undefined;
}

/** What a counter starts from and for how long it counts. */
export interface CacheIncrementOptions {
  /** Added; any finite number, default 1. */
  readonly by?: number | undefined;
  /** What a missing counter counts from. Default 0. */
  readonly initial?: number | undefined;
  /** Milliseconds that a counter lives which this call begins; one that is there keeps its own time. */
  readonly ttl?: number | undefined;
}

/** What of a map is wanted. */
export interface CacheScanOptions {
  /** A regular expression in RE2 syntax, found anywhere in the key. Default: every key. */
  readonly match?: string | undefined;
  /** Where the page before ended. Default: the beginning. */
  readonly cursor?: string | undefined;
  /** Keys in one page, at most. Default and most: the limit of the namespace. */
  readonly limit?: number | undefined;
}

/** Some keys of a map. Every key that is there from the first page to the last is in one of them, at least once. */
export interface CachePage {
  readonly keys: readonly string[];
  /** Where the next page begins; `undefined`: there is none. */
  readonly cursor: string | undefined;
}

/** A map that holds something. */
export interface CacheMap {
  readonly name: string;
  /** Entries, as far as they are known without counting: expired ones may be among them. */
  readonly keys: number;
  /** What they take, roughly. */
  readonly bytes: number;
}

/** A lock that is held. Locks have names of their own: an entry of the same map and key is another thing. */
export interface CacheLease {
  /** Whoever has it may renew and unlock. 32 hexadecimal digits. */
  readonly token: string;
  /** Larger than those of all holders before; what the lock protects can refuse smaller ones. */
  readonly fencing: number;
  /** Unix milliseconds at which it is free again, by this gateway's clock. */
  readonly expiresAt: number;
}

/** How a lock is taken. */
export interface CacheLockOptions {
  /** Milliseconds after which it is free again unless it is renewed. At least 100: less may be over before the answer is there. */
  readonly lease: number;
  /** Milliseconds to wait for it. Default 0: not at all. */
  readonly wait?: number | undefined;
}

/** What somebody wrote, or may have written, to a map with a near cache. */
export interface CacheNearWrite {
  readonly namespace: string;
  readonly map: string;
  /** `undefined`: any of the map. */
  readonly keys: readonly string[] | undefined;
}

/** Figures of the near cache: copies that this gateway holds of entries that are kept elsewhere. */
export interface CacheNearStatistics {
  /** Reads, of maps with a near cache, that were answered from it. */
  readonly hits: number;
  /** Those that were not. */
  readonly misses: number;
  /** Copies held now, and what they take, roughly. */
  readonly entries: number;
  readonly bytes: number;
}

/** Figures since the gateway started. */
export interface CacheStatistics {
  readonly hits: number;
  readonly misses: number;
  /** `undefined` where there is no near cache. */
  readonly near: CacheNearStatistics | undefined;
}

/** What is held for all namespaces, wherever it is kept: what several gateways share, each of them tells whole. */
export interface CacheHoldings {
  readonly entries: number;
  /** Bytes that they take, without copies in case a machine is lost. */
  readonly bytes: number;
  /**
   * Entries that had to make room, as the engine counts them: it may count ended ones, too. Never becomes less while the gateway
   * runs. `undefined` where the engine does not tell.
   */
  readonly evictions: number | undefined;
}

/** Without a promise where nothing has to be waited for. */
export type Maybe<T> = T | Promise<T>;

/**
 * A cache for each namespace: maps of entries that live until their time is over, they are deleted, or have to make room.
 * Nothing in it is safe from being lost; what must stay belongs into the database.
 *
 * All throw `GatewayError`: `INVALID_REQUEST` (a map, key, time or pattern out of bounds, with the field's name),
 * `BODY_TOO_LARGE` (a value beyond its limit, with the limit), `QUOTA_EXCEEDED` (more than the namespace may hold),
 * `UNAVAILABLE`. What was not acknowledged may have happened all the same.
 */
export interface Cache extends NamespacedService, Lifecycle {
  statistics(): CacheStatistics;
  /** For metrics: some seconds old where it has to be asked for, and without errors. @returns `undefined` while nobody tells */
  holdings(): Maybe<CacheHoldings | undefined>;
  /** Whether a cache can be reached, for a caller that wants to know nothing else. @throws GatewayError `UNAVAILABLE` */
  ping(context: RequestContext): Promise<void>;
  /** @returns `undefined` for an entry that is not there, or not any more */
  get(
    namespace: string,
    at: CacheAddress,
    context: RequestContext,
    options?: CacheReadOptions,
  ): Maybe<CacheEntry | undefined>;
  /** Copies that this gateway holds will do. @returns one for each key, in their order */
  getMany(
    namespace: string,
    map: string,
    keys: readonly string[],
    context: RequestContext,
  ): Maybe<readonly (CacheEntry | undefined)[]>;
  /**
   * Writes.
   * @returns the version, where it was asked for
   * @throws GatewayError also `PRECONDITION_FAILED`
   */
  put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    options: CachePutOptions,
    context: RequestContext,
  ): Maybe<{ readonly version: string | undefined }>;
  /** Writes several, each by itself: after a failure some may have been written. @param ttl milliseconds, for all of them */
  putMany(
    namespace: string,
    map: string,
    entries: readonly { readonly key: string; readonly value: CacheValue }[],
    ttl: number | undefined,
    context: RequestContext,
  ): Maybe<void>;
  /** Writes, and gives what was there before. @param ttl milliseconds */
  swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    context: RequestContext,
  ): Maybe<CacheEntry | undefined>;
  /**
   * Deletes. @param version only this one; another one is `PRECONDITION_FAILED`, nothing at all is `false`
   * @returns whether something was there
   */
  delete(namespace: string, at: CacheAddress, version: string | undefined, context: RequestContext): Maybe<boolean>;
  /** Deletes several, each by itself. @returns how many were there */
  deleteMany(namespace: string, map: string, keys: readonly string[], context: RequestContext): Maybe<number>;
  /**
   * Counts: no other count of the same counter is lost.
   * @throws GatewayError `WRONG_TYPE` for an entry that is no number, or a sum that a JSON number cannot hold exactly
   */
  increment(
    namespace: string,
    at: CacheAddress,
    options: CacheIncrementOptions,
    context: RequestContext,
  ): Maybe<{ readonly value: number }>;
  /**
   * Gives an entry another time to live, from now, and with it another version.
   * @param ttl milliseconds; `undefined`: for ever
   * @returns whether it is there
   */
  expire(namespace: string, at: CacheAddress, ttl: number | undefined, context: RequestContext): Maybe<boolean>;
  /** Counts as a use of entries, without their values. @returns how many are there */
  touch(namespace: string, map: string, keys: readonly string[], context: RequestContext): Maybe<number>;
  /** The keys of a map, a page at a time, in no order. */
  scan(namespace: string, map: string, options: CacheScanOptions, context: RequestContext): Maybe<CachePage>;
  /** The maps that hold something, by name. */
  maps(namespace: string, context: RequestContext): Maybe<readonly CacheMap[]>;
  /** Deletes all entries of a map. Its locks stay. */
  drop(namespace: string, map: string, context: RequestContext): Maybe<void>;
  /**
   * Takes a lock. Callers on one gateway get it in the order in which they came.
   * @throws GatewayError `LOCKED` (409) when somebody else has it for as long as the caller would wait; `TOO_MANY_WAITERS`
   */
  lock(namespace: string, at: CacheAddress, options: CacheLockOptions, context: RequestContext): Promise<CacheLease>;
  /** Holds a lock for another `lease` milliseconds from now, at least 100. @throws GatewayError `LOCK_LOST` (409) for a token that does not hold it */
  renew(
    namespace: string,
    at: CacheAddress,
    token: string,
    lease: number,
    context: RequestContext,
  ): Promise<{ readonly expiresAt: number }>;
  /** Frees a lock. @throws GatewayError `LOCK_LOST` as {@link renew} */
  unlock(namespace: string, at: CacheAddress, token: string, context: RequestContext): Promise<void>;
}
