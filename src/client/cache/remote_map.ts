import { invalidResponse, isObject } from "../errors.ts";
import type { CallOptions, Client } from "../http.ts";
import {
  addressOf,
  bytesOf,
  type CacheBytes,
  type GetBytesOptions,
  getRequest,
  type PutBytesOptions,
  putRequest,
} from "./bytes.ts";
import type { CacheLifetime, CacheMap, CachePutResult } from "./cache_map.ts";
import { type Duration, durationToWire, toMilliseconds } from "../durations.ts";
import { type HeldLock, whileLocked } from "./held_lock.ts";
import {
  type CacheLease,
  type CacheLockOptions,
  DEFAULT_LEASE,
  endOf,
  leaseOf,
  type WithLockOptions,
} from "./locks.ts";
import {
  type CacheDeleteOptions,
  type CacheIncrOptions,
  type CacheManyOptions,
  type CachePutOptions,
  type CacheScanOptions,
  type CacheSwapOptions,
  callOptions,
  checkCondition,
  type RepeatOptions,
  writeOptions,
} from "./options.ts";
import {
  bodyWith,
  type CacheEntry,
  checkDone,
  entryOf,
  keyedEntriesOf,
  missingAs,
  numberIn,
  pageOf,
  putResultOf,
  toJson,
  valueOf,
} from "./values.ts";

const PAGE = 1_000;

/** A map of a gateway's cache. */
export class RemoteMap<T> implements CacheMap<T> {
  readonly name: string;
  readonly #client: Client;

  /** @param name of the map */
  constructor(client: Client, name: string) {
    this.#client = client;
    this.name = name;
  }

  async get(key: string, options: CallOptions = {}): Promise<T | null> {
    return (await this.entry(key, options))?.value ?? null;
  }

  async entry(key: string, options: CallOptions = {}): Promise<CacheEntry<T> | null> {
    return await this.#read("get", { key }, options, entryOf<T>).catch(missingAs(null));
  }

  async mget(keys: readonly string[], options: CallOptions = {}): Promise<(T | null)[]> {
    return (await this.entries(keys, options)).map((entry) => entry?.value ?? null);
  }

  async entries(keys: readonly string[], options: CallOptions = {}): Promise<(CacheEntry<T> | null)[]> {
    if (keys.length === 0) return [];
    const found = await this.#read("mget", { keys }, options, keyedEntriesOf<T>);
    return keys.map((key) => found.get(key) ?? null);
  }

  async put(key: string, value: T, options: CachePutOptions = {}): Promise<CachePutResult> {
    checkCondition(options);
    const { ttl, nx, xx, ifVersion, versioned } = options;
    const life = durationToWire(ttl, "ttl");
    const members = { dmap: this.name, key, ttl: life, nx, xx, if_version: ifVersion, versioned };
    return await this.#write("put", bodyWith(members, `"value":${toJson(value, "value")}`), options, putResultOf);
  }

  async mput(entries: Iterable<readonly [string, T]>, options: CacheManyOptions = {}): Promise<void> {
    const texts = Array.from(
      entries,
      ([key, value], at) => `{"key":${JSON.stringify(key)},"value":${toJson(value, `entries[${at}].value`)}}`,
    );
    if (texts.length === 0) return;
    const members = { dmap: this.name, ttl: durationToWire(options.ttl, "ttl") };
    await this.#write("mput", bodyWith(members, `"entries":[${texts.join(",")}]`), options, checkDone);
  }

  async getset(key: string, value: T, options: CacheSwapOptions = {}): Promise<T | null> {
    const members = { dmap: this.name, key, ttl: durationToWire(options.ttl, "ttl") };
    const body = bodyWith(members, `"value":${toJson(value, "value")}`);
    return await this.#write("getset", body, options, (answer) => {
      if (!isObject(answer) || typeof answer.existed !== "boolean") throw invalidResponse("it has no existed");
      return answer.existed ? valueOf(answer) as T : null;
    });
  }

  async delete(key: string, options: CacheDeleteOptions = {}): Promise<boolean> {
    checkCondition(options);
    return await this.#change("delete", { key, if_version: options.ifVersion }, options);
  }

  async mdelete(keys: readonly string[], options: RepeatOptions = {}): Promise<number> {
    if (keys.length === 0) return 0;
    return await this.#write("mdelete", { dmap: this.name, keys }, options, (body) => numberIn(body, "deleted"));
  }

  async touch(keys: readonly string[], options: CallOptions = {}): Promise<number> {
    if (keys.length === 0) return 0;
    return await this.#read("touch", { keys }, options, (body) => numberIn(body, "touched"));
  }

  async expire(key: string, ttl: Duration, options: RepeatOptions = {}): Promise<boolean> {
    return await this.#change("expire", { key, ttl: durationToWire(ttl, "ttl") }, options);
  }

  async ttl(key: string, options: CallOptions = {}): Promise<CacheLifetime | null> {
    return await this.#read("ttl", { key }, options, (body) => {
      const isEndless = isObject(body) && body.ttl_ms === null;
      if (isEndless) return { ttl: null, expiresAt: null };
      return { ttl: numberIn(body, "ttl_ms"), expiresAt: endOf(body) };
    }).catch(missingAs(null));
  }

  async incr(key: string, { by, initial, ttl, ...options }: CacheIncrOptions = {}): Promise<number> {
    const body = { dmap: this.name, key, by, initial, ttl: durationToWire(ttl, "ttl") };
    return await this.#write("incr", body, options, (answer) => numberIn(answer, "value"));
  }

  async *scan({ match, limit = PAGE, ...options }: CacheScanOptions = {}): AsyncGenerator<string[], void, void> {
    let cursor: string | undefined;
    do {
      const page = await this.#read("scan", { match, limit, cursor }, options, pageOf);
      if (page.keys.length > 0) yield page.keys;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  async drop(options: RepeatOptions = {}): Promise<void> {
    const request = { method: "DELETE", path: addressOf(this.name), ...writeOptions(options) } as const;
    await this.#client.json(request, checkDone);
  }

  async putBytes(key: string, bytes: Uint8Array | Blob, options: PutBytesOptions = {}): Promise<CachePutResult> {
    return await this.#client.json(putRequest(addressOf(this.name, key), bytes, options), putResultOf);
  }

  getBytes(
    key: string,
    options: GetBytesOptions & { readonly unlessVersion: string },
  ): Promise<CacheBytes | "unchanged" | null>;
  getBytes(key: string, options?: GetBytesOptions & { readonly unlessVersion?: undefined }): Promise<CacheBytes | null>;
  async getBytes(key: string, options: GetBytesOptions = {}): Promise<CacheBytes | "unchanged" | null> {
    const request = getRequest(addressOf(this.name, key), options);
    const reading = this.#client.whole(request, (answer) => bytesOf(answer, options.unlessVersion));
    return await reading.catch(missingAs(null));
  }

  async lock(key: string, { lease, wait = 0, ...options }: CacheLockOptions): Promise<CacheLease> {
    const waiting = toMilliseconds(wait, "wait");
    const times = { lease: durationToWire(lease, "lease"), wait: durationToWire(waiting, "wait") };
    const body = { dmap: this.name, key, ...times };
    return await this.#client.json({ ...post("lock", body), ...writeOptions(options), wait: waiting }, leaseOf);
  }

  async renew(key: string, token: string, lease: Duration, options: CallOptions = {}): Promise<Date> {
    const body = { dmap: this.name, key, token, lease: durationToWire(lease, "lease") };
    const how = writeOptions({ ...options, repeat: true }, ["LOCK_LOST"]);
    return await this.#client.json({ ...post("renew", body), ...how }, endOf);
  }

  async unlock(key: string, token: string, options: CallOptions = {}): Promise<void> {
    // A LOCK_LOST behind a lost answer is not told as such: mostly, the first try has freed it.
    await this.#write("unlock", { dmap: this.name, key, token }, { ...options, repeat: true }, checkDone);
  }

  async withLock<R>(key: string, options: WithLockOptions, work: (held: HeldLock) => R | Promise<R>): Promise<R> {
    const { signal, requestTimeout, wait } = options;
    const lease = toMilliseconds(options.lease ?? DEFAULT_LEASE, "lease");
    const operations = {
      lock: (signal: AbortSignal | undefined) => this.lock(key, { lease, wait, signal, requestTimeout }),
      renew: (token: string, signal: AbortSignal) => this.renew(key, token, lease, { signal, requestTimeout }),
      unlock: (token: string, signal: AbortSignal) => this.unlock(key, token, { signal, requestTimeout }),
    };
    return await whileLocked(operations, { lease, signal }, work);
  }

  /** A write that does nothing where no such key is. @returns whether it did something */
  async #change(operation: string, members: Record<string, unknown>, options: RepeatOptions): Promise<boolean> {
    const how = writeOptions(options, ["NOT_FOUND"]);
    const changing = this.#client.json({ ...post(operation, { dmap: this.name, ...members }), ...how }, checkDone);
    return await changing.then(() => true, missingAs(false));
  }

  async #write<R>(operation: string, body: unknown, options: RepeatOptions, read: (body: unknown) => R): Promise<R> {
    return await this.#client.json({ ...post(operation, body), ...writeOptions(options) }, read);
  }

  async #read<R>(
    operation: string,
    members: Record<string, unknown>,
    options: CallOptions,
    read: (body: unknown) => R,
  ): Promise<R> {
    const request = post(operation, { dmap: this.name, ...members });
    return await this.#client.json({ ...request, effect: "read", ...callOptions(options) }, read);
  }
}

const post = (operation: string, body: unknown) => ({ method: "POST", path: `/v1/cache/${operation}`, body }) as const;
