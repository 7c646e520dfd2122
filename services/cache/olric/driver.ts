import type {
  CacheAddress,
  CacheEntry,
  CacheHoldings,
  CacheLease,
  CacheMap,
  CachePage,
  CachePutOptions,
  CacheValue,
  Maybe,
} from "../../../src/contracts/cache.ts";
import { hasCode } from "../../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import { type Clock, SYSTEM_CLOCK } from "../../clock/clock.ts";
import type { CacheDriver, Increment, Scan, Waiter } from "../driver.ts";
import { forEachOf } from "./at_once.ts";
import { PING } from "./commands.ts";
import { Counters } from "./counters.ts";
import { Call, Deadlines } from "./deadlines.ts";
import { entryOf, mapName } from "./encoding.ts";
import { Entries, nameOf, type Place, placeOf } from "./entries.ts";
import { Guard } from "./guard.ts";
import { Holdings } from "./holdings.ts";
import { KeyedQueue } from "./keyed_queue.ts";
import { Locks } from "./locks.ts";
import { Maps } from "./maps.ts";
import { Members } from "./members.ts";
import type { OlricDriverOptions } from "./options.ts";
import { tooLarge } from "./replies.ts";
import { Scans } from "./scans.ts";
import { Transport } from "./transport.ts";
import { Writes } from "./writes.ts";

export type { OlricDriverOptions } from "./options.ts";

/** Milliseconds that an operation may take by default, and that connecting to a member may take in any case. */
const TIMEOUT = 2_000, CONNECT = 1_000;
const CONNECTIONS = 8;
const NOBODY = { signal: new AbortController().signal };

/**
 * The cache on a cluster of Olric, for any number of gateways. `DESIGN.md` says what it guarantees and what Olric cannot.
 */
export class OlricDriver implements CacheDriver {
  readonly #clock: Pick<Clock, "now" | "monotonic">;
  readonly #timeout: number;
  readonly #transport: Transport;
  readonly #queue: KeyedQueue;
  readonly #entries: Entries;
  readonly #writes: Writes;
  readonly #counters: Counters;
  readonly #locks: Locks;
  readonly #scans: Scans;
  readonly #maps: Maps;
  readonly #holdings: Holdings;

  private constructor(
    private readonly members: Members,
    private readonly deadlines: Deadlines,
    options: OlricDriverOptions,
  ) {
    const { timeout = TIMEOUT, clock = SYSTEM_CLOCK } = options;
    const { random = (n) => crypto.getRandomValues(new Uint8Array(n)) } = options;
    const now = () => clock.now(), monotonic = () => clock.monotonic();
    this.#clock = clock;
    this.#timeout = timeout;
    const transport = this.#transport = new Transport(members);
    const queue = this.#queue = new KeyedQueue(deadlines);
    const entries = this.#entries = new Entries(transport);
    const guard = new Guard({ transport, entries, random, now: monotonic, timeout });
    this.#writes = new Writes({ transport, entries, guard, queue });
    this.#counters = new Counters({ transport, guard, queue, deadlines, now });
    this.#locks = new Locks({ transport, random, now, monotonic });
    this.#scans = new Scans(transport, monotonic);
    this.#maps = new Maps(transport, () => this.#call(NOBODY));
    this.#holdings = new Holdings(this.#maps, monotonic);
  }

  /** Loads the client. Does not connect before the cache is used: it need not be there. */
  static async open(options: OlricDriverOptions): Promise<OlricDriver> {
    const [{ Redis }, { default: xxhash }] = await Promise.all([import("ioredis"), import("xxhash-wasm")]);
    const { h64Raw } = await xxhash();
    const { addresses, password, connections = CONNECTIONS, timeout = TIMEOUT, clock = SYSTEM_CLOCK } = options;
    const now = () => clock.monotonic();
    const deadlines = new Deadlines(now);
    const members = new Members({
      addresses,
      password,
      connections,
      timeout: Math.min(CONNECT, timeout),
      deadlines,
      now,
      Redis,
      hash: (bytes) => h64Raw(bytes),
    });
    return new OlricDriver(members, deadlines, options);
  }

  held(): Maybe<CacheHoldings | undefined> {
    return this.#holdings.read();
  }

  async ping(waiter: Waiter): Promise<void> {
    await this.#transport.ask("anybody", [PING], this.#call(waiter), { reading: true });
  }

  async get(namespace: string, at: CacheAddress, waiter: Waiter): Promise<CacheEntry | undefined> {
    const found = await this.#entries.read(placeOf(namespace, "d", at), this.#call(waiter));
    return found && entryOf(found);
  }

  getMany(
    namespace: string,
    map: string,
    keys: readonly string[],
    waiter: Waiter,
  ): Promise<readonly (CacheEntry | undefined)[]> {
    return forEachOf(keys, (key) => this.get(namespace, { map, key }, waiter));
  }

  async put(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    options: CachePutOptions,
    waiter: Waiter,
  ): Promise<{ readonly version: string | undefined }> {
    return { version: await this.#writes.put(namespace, at, value, options, this.#call(waiter)) };
  }

  async putMany(
    namespace: string,
    map: string,
    entries: readonly { readonly key: string; readonly value: CacheValue }[],
    ttl: number | undefined,
    waiter: Waiter,
  ): Promise<void> {
    await forEachOf(
      entries,
      ({ key, value }, i) =>
        this.put(namespace, { map, key }, value, { ttl }, waiter).catch((error) => {
          throw hasCode(error, "BODY_TOO_LARGE") ? tooLarge(`entries.${i}.value`) : error;
        }),
    );
  }

  async swap(
    namespace: string,
    at: CacheAddress,
    value: CacheValue,
    ttl: number | undefined,
    waiter: Waiter,
  ): Promise<CacheEntry | undefined> {
    const found = await this.#writes.swap(namespace, at, value, ttl, this.#call(waiter));
    return found && entryOf(found);
  }

  delete(namespace: string, at: CacheAddress, version: string | undefined, waiter: Waiter): Promise<boolean> {
    return this.#writes.delete(namespace, at, version, this.#call(waiter));
  }

  async deleteMany(namespace: string, map: string, keys: readonly string[], waiter: Waiter): Promise<number> {
    const deleted = await forEachOf(keys, (key) => this.delete(namespace, { map, key }, undefined, waiter));
    return deleted.filter((was) => was).length;
  }

  async increment(
    namespace: string,
    at: CacheAddress,
    increment: Increment,
    waiter: Waiter,
  ): Promise<{ readonly value: number }> {
    const place = placeOf(namespace, "d", at), lock = placeOf(namespace, "w", at);
    return { value: await this.#counters.add(place, lock, increment, this.#call(waiter)) };
  }

  expire(namespace: string, at: CacheAddress, ttl: number | undefined, waiter: Waiter): Promise<boolean> {
    return this.#writes.expire(namespace, at, ttl, this.#call(waiter));
  }

  async touch(namespace: string, map: string, keys: readonly string[], waiter: Waiter): Promise<number> {
    const read = (key: string) => this.#entries.read(placeOf(namespace, "d", { map, key }), this.#call(waiter));
    return (await forEachOf(keys, read)).filter((found) => found !== undefined).length;
  }

  scan(namespace: string, map: string, scan: Scan, waiter: Waiter): Promise<CachePage> {
    return this.#scans.page(mapName(namespace, "d", map), scan, this.#call(waiter));
  }

  maps(namespace: string): Promise<readonly CacheMap[]> {
    return this.#maps.list(namespace);
  }

  drop(namespace: string, map: string, waiter: Waiter): Promise<void> {
    return this.#maps.drop(namespace, map, this.#call(waiter));
  }

  tryLock(namespace: string, at: CacheAddress, lease: number, waiter: Waiter): Promise<CacheLease | undefined> {
    const place = placeOf(namespace, "l", at), fencing = placeOf(namespace, "f", at);
    return this.#inTurn(place, waiter, (call) => this.#locks.tryLock(place, fencing, lease, call));
  }

  renew(
    namespace: string,
    at: CacheAddress,
    token: string,
    lease: number,
    waiter: Waiter,
  ): Promise<{ readonly expiresAt: number }> {
    const place = placeOf(namespace, "l", at);
    return this.#inTurn(place, waiter, async (call) => ({
      expiresAt: await this.#locks.renew(place, token, lease, call),
    }));
  }

  unlock(namespace: string, at: CacheAddress, token: string, waiter: Waiter): Promise<void> {
    const place = placeOf(namespace, "l", at);
    return this.#inTurn(place, waiter, (call) => this.#locks.unlock(place, token, call));
  }

  purge(namespace: string, signal: AbortSignal): Promise<void> {
    return this.#maps.purge(namespace, signal);
  }

  async usage(namespace: string): Promise<Usage> {
    const maps = await this.#maps.list(namespace);
    const sum = (of: (map: CacheMap) => number) => maps.reduce((total, map) => total + of(map), 0);
    return { cache_bytes: sum(({ bytes }) => bytes), cache_keys: sum(({ keys }) => keys) };
  }

  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const begun = this.#clock.monotonic(), driver = "olric";
    await this.members.look().catch(() => {});
    const { addresses, configured } = this.members;
    const answers = (member: string) =>
      this.#transport.ask({ member }, [PING], this.#call({ signal }), { reading: true, pinned: true })
        .then(() => true, () => false);
    const countOf = async (members: readonly string[]) =>
      (await Promise.all(members.map(answers))).filter((does) => does).length;
    // Whom the others gave up is no member any more, and does not come back by itself when it lives. One that answers is a
    // member under another name.
    const others = configured.filter((address) => !addresses.includes(address));
    const [reachable, namesakes] = await Promise.all([countOf(addresses), countOf(others)]);
    const details = { members: addresses.length + others.length - namesakes, reachable };
    if (reachable === 0) return { status: "down", driver, reason: "no member of the cache answers", details };
    const latency_ms = Math.round((this.#clock.monotonic() - begun) * 10) / 10;
    if (reachable === details.members) return { status: "ok", driver, latency_ms, details };
    const reason = "some members of the cache do not answer, or are cut off from the others";
    return { status: "degraded", driver, latency_ms, reason, details };
  }

  close(): Promise<void> {
    this.members.close();
    this.deadlines.close();
    return Promise.resolve();
  }

  #call(waiter: Waiter): Call {
    return new Call(waiter, this.#clock.monotonic(), this.#timeout);
  }

  #inTurn<T>(place: Place, waiter: Waiter, work: (call: Call) => Promise<T>): Promise<T> {
    const call = this.#call(waiter);
    return this.#queue.run(nameOf(place), call, () => work(call));
  }
}
