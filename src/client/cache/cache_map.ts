import type { CallOptions } from "../http.ts";
import type { CacheBytes, GetBytesOptions, PutBytesOptions } from "./bytes.ts";
import type { Duration } from "../durations.ts";
import type { HeldLock } from "./held_lock.ts";
import type { CacheLease, CacheLockOptions, WithLockOptions } from "./locks.ts";
import type {
  CacheDeleteOptions,
  CacheIncrOptions,
  CacheManyOptions,
  CachePutOptions,
  CacheScanOptions,
  CacheSwapOptions,
  RepeatOptions,
} from "./options.ts";
import type { CacheEntry } from "./values.ts";

/** What a write of one value did. */
export interface CachePutResult {
  /** What is there now; known with `versioned`, and with `ifVersion`. */
  readonly version: string | undefined;
}

/** How long a value still lives. */
export interface CacheLifetime {
  /** Milliseconds; `null`: until it is deleted or has to make room. */
  readonly ttl: number | null;
  /** The same as a moment, by the gateway's clock. */
  readonly expiresAt: Date | null;
}

/**
 * A map of the cache: values by their keys, each for as long as it lives, and locks. A key is text of 1 to 255 bytes of UTF-8.
 * `T` is what the application says of its values; nobody checks it. Bytes are values too, and come as `Uint8Array`.
 *
 * All methods throw {@link OramaError}, and `TypeError` or `RangeError` for arguments that the cache has no form for. Reads are
 * repeated when they fail in a way that can pass. Writes are sent once, unless `repeat` says otherwise; of one without an answer it is
 * `OUTCOME_UNKNOWN`.
 */
export interface CacheMap<T> {
  /** Its name. */
  readonly name: string;
  /** The value of a key, or `null` where nothing is there, or not any more. */
  get(key: string, options?: CallOptions): Promise<T | null>;
  /** The same with its version and its end. */
  entry(key: string, options?: CallOptions): Promise<CacheEntry<T> | null>;
  /** The values of several keys, in their order. */
  mget(keys: readonly string[], options?: CallOptions): Promise<(T | null)[]>;
  /** The same with their versions and ends. */
  entries(keys: readonly string[], options?: CallOptions): Promise<(CacheEntry<T> | null)[]>;
  /** Stores a value in place of what is there. @throws OramaError `PRECONDITION_FAILED` for a condition that does not hold */
  put(key: string, value: T, options?: CachePutOptions): Promise<CachePutResult>;
  /** Stores several values, each by itself: after an error, some may have been stored. Of several for one key the last one stays. */
  mput(entries: Iterable<readonly [key: string, value: T]>, options?: CacheManyOptions): Promise<void>;
  /** Stores a value and gives the one before, or `null` where nothing was. */
  getset(key: string, value: T, options?: CacheSwapOptions): Promise<T | null>;
  /**
   * Deletes a value, bytes too.
   * @returns whether one was there; with `repeat`, also `false` where a try of which no answer came has deleted it
   * @throws OramaError `PRECONDITION_FAILED` where another version is there than `ifVersion`
   */
  delete(key: string, options?: CacheDeleteOptions): Promise<boolean>;
  /** Deletes several values, each by itself. @returns how many were there; with `repeat`, at the last try */
  mdelete(keys: readonly string[], options?: RepeatOptions): Promise<number>;
  /** Counts values as used, without reading them: what is unused for longest makes room first. @returns how many are there */
  touch(keys: readonly string[], options?: CallOptions): Promise<number>;
  /** Gives a value another time to live, from now. @param ttl 0: until it is deleted or has to make room @returns whether it is there */
  expire(key: string, ttl: Duration, options?: RepeatOptions): Promise<boolean>;
  /** How long a value still lives, or `null` where nothing is there. */
  ttl(key: string, options?: CallOptions): Promise<CacheLifetime | null>;
  /**
   * Adds to a number. Of those who count at once, no count is lost.
   * @returns the sum
   * @throws OramaError `WRONG_TYPE` where something else than a number is there, and for sums beyond ±(2^53 − 1)
   */
  incr(key: string, options?: CacheIncrOptions): Promise<number>;
  /**
   * Keys, a page at a time, in no order; each page is asked for when the loop comes to it. A key that is there from the first page to
   * the last is in one of them at least, and may be in two.
   */
  scan(options?: CacheScanOptions): AsyncIterable<string[]>;
  /** Deletes all values. Locks stay. @throws TypeError for a map named `.` or `..` */
  drop(options?: RepeatOptions): Promise<void>;
  /**
   * Stores bytes of any media type.
   * @throws TypeError for a key that is `.` or `..`, which no address can name
   * @throws OramaError `PRECONDITION_FAILED` for a condition that does not hold
   */
  putBytes(key: string, bytes: Uint8Array | Blob, options?: PutBytesOptions): Promise<CachePutResult>;
  /**
   * A value as the bytes that it is stored as, or `null` where nothing is there.
   * @returns `unchanged` where `unlessVersion` is still there
   */
  getBytes(
    key: string,
    options: GetBytesOptions & { readonly unlessVersion: string },
  ): Promise<CacheBytes | "unchanged" | null>;
  /** The same without a version that the caller has. */
  getBytes(key: string, options?: GetBytesOptions & { readonly unlessVersion?: undefined }): Promise<CacheBytes | null>;
  /**
   * Takes a lock, which is another thing than a value of its key. Sent once: where no answer comes, nobody knows the token, and the
   * lock, if it was taken, ends with its lease.
   * @throws OramaError `LOCKED` when somebody else has it for as long as `wait`; `TOO_MANY_WAITERS`
   */
  lock(key: string, options: CacheLockOptions): Promise<CacheLease>;
  /**
   * Holds a lock for `lease` from now, also where that is sooner than before. Repeated like a read.
   * @returns when it is free again unless it is renewed
   * @throws OramaError `LOCK_LOST` for a token that does not hold it any more
   */
  renew(key: string, token: string, lease: Duration, options?: CallOptions): Promise<Date>;
  /**
   * Frees a lock. Repeated like a read.
   * @throws OramaError `LOCK_LOST` for a token that does not hold it any more; `OUTCOME_UNKNOWN` also where a try of which no answer
   * came may have freed it
   */
  unlock(key: string, token: string, options?: CallOptions): Promise<void>;
  /**
   * Takes a lock, does work while it is renewed, and frees it, whatever becomes of the work.
   * @returns what work gives
   * @throws what work throws; OramaError as {@link lock}, and `LOCK_LOST` where work gives something although the lock was lost before
   */
  withLock<R>(key: string, options: WithLockOptions, work: (held: HeldLock) => R | Promise<R>): Promise<R>;
}
