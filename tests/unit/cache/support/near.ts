import { equal } from "node:assert/strict";
import { MemoryDriver } from "../../../../services/cache/memory/driver.ts";
import { NearDriver } from "../../../../services/cache/near/driver.ts";
import type { CacheEntry, Maybe } from "../../../../src/contracts/cache.ts";
import { FakeClock } from "./fake_clock.ts";
import { FarDriver } from "./far_driver.ts";

/** Whoever waits, for ever. */
export const WAITER = { signal: new AbortController().signal };
/** Milliseconds that copies live in these tests. */
export const LIFE = 1_000;
/** The namespace and map that have a near cache. */
export const SHOP = "shop", USERS = "users";

/** A near cache before a driver that is far away, on a clock that stands still. */
export class NearSubject implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly memory = new MemoryDriver({ maxBytes: 2 ** 20, clock: this.clock });
  readonly far = new FarDriver(this.memory);
  /** What holds in each namespace; `undefined`: nobody knows. */
  lives: ReadonlyMap<string, number> | undefined = new Map([[USERS, LIFE]]);
  readonly near: NearDriver;

  constructor(maxBytes = 2 ** 20) {
    this.near = new NearDriver({
      driver: this.far.driver,
      maxBytes,
      livesOf: () => this.lives,
      clock: this.clock,
    });
  }

  /** Begins to read. */
  get(key: string, map = USERS, namespace = SHOP): Maybe<CacheEntry | undefined> {
    return this.near.get(namespace, { map, key }, WAITER);
  }

  /** What a read gives; whoever has to be asked answers at once. */
  async read(key: string, map = USERS, namespace = SHOP): Promise<CacheEntry | undefined> {
    const before = this.far.calls.length;
    const found = this.get(key, map, namespace);
    if (this.far.calls.length > before) this.far.last.arrive();
    return await found;
  }

  /** The number that a read gives. */
  async number(key: string, map = USERS, namespace = SHOP): Promise<number | undefined> {
    return numberIn(await this.read(key, map, namespace));
  }

  /** Somebody writes through another gateway. @param ttl milliseconds */
  elsewhere(key: string, value: number, ttl?: number, map = USERS, namespace = SHOP): void {
    const done = this.memory.put(namespace, { map, key }, { json: String(value) }, { ttl }, WAITER);
    equal(done instanceof Promise, false);
  }

  /** How often the driver was asked. */
  get asked(): number {
    return this.far.calls.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.memory.close();
  }
}

/** The number that is the value of an entry. */
export const numberIn = (entry: CacheEntry | undefined): number | undefined =>
  entry && "json" in entry.value ? Number(entry.value.json) : undefined;
