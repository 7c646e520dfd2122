import type { Cache, CacheValue } from "../../../src/contracts/cache.ts";
import type { CallScope } from "../parts.ts";
import { contextOf } from "./scope.ts";

/** The map of each namespace that its functions use: through `/v1/cache` it has this name, too. */
const MAP = "serverless_cache";
/** What `cache_set` keeps so that `cache_incr` counts on from it: the text of a whole number as JavaScript writes it. */
const COUNTER = /^(?:0|-?[1-9]\d{0,15})$/;
const LONGEST_COUNTER = 17;
const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The host calls `cache_…`. */
export class CacheCalls {
  readonly #cache: Cache;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  /** The bytes as they were set; of what is JSON its text. `null`: nothing is there. */
  async get(key: string, scope: CallScope): Promise<Uint8Array | null> {
    const entry = await this.#cache.get(scope.namespace, { map: MAP, key }, contextOf(scope));
    if (entry === undefined) return null;
    return "json" in entry.value ? encoder.encode(entry.value.json) : entry.value.bytes;
  }

  /** @param ttl seconds; 0 for none */
  async set(key: string, value: Uint8Array, ttl: number, scope: CallScope): Promise<null> {
    const options = ttl === 0 ? {} : { ttl: ttl * 1_000 };
    await this.#cache.put(scope.namespace, { map: MAP, key }, valueOf(value), options, contextOf(scope));
    return null;
  }

  /** 1 where something was there, otherwise 0. */
  async delete(key: string, scope: CallScope): Promise<number> {
    return Number(await this.#cache.delete(scope.namespace, { map: MAP, key }, undefined, contextOf(scope)));
  }

  /** What it counts now; of a fraction that somebody else put there the whole part. */
  async increment(key: string, by: bigint, scope: CallScope): Promise<bigint> {
    const options = { by: Number(by) };
    const { value } = await this.#cache.increment(scope.namespace, { map: MAP, key }, options, contextOf(scope));
    return BigInt(Math.trunc(value));
  }
}

function valueOf(bytes: Uint8Array): CacheValue {
  const text = bytes.length <= LONGEST_COUNTER ? decoder.decode(bytes) : "";
  // A number beyond 2^53 would not be read back as it was set.
  const isCounter = COUNTER.test(text) && Number.isSafeInteger(Number(text));
  return isCounter ? { json: text } : { bytes: new Uint8Array(bytes), type: "application/octet-stream" };
}
