import type { CacheDriver } from "../../services/cache/driver.ts";
import { type Clock, SYSTEM_CLOCK } from "../../services/clock/clock.ts";
import { MemoryDriver } from "../../services/cache/memory/driver.ts";
import { NearDriver } from "../../services/cache/near/driver.ts";
import { OlricDriver } from "../../services/cache/olric/driver.ts";
import { CacheService } from "../../services/cache/service.ts";
import type {
  CacheEntry,
  CacheIncrementOptions,
  CacheLockOptions,
  CachePutOptions,
  CacheScanOptions,
  CacheValue,
} from "../../src/contracts/cache.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { CacheRules } from "../../src/contracts/settings.ts";
import { OlricTestCluster } from "../engines/support/olric.ts";
import { findProgram } from "../engines/support/programs.ts";
import { until } from "../engines/support/wait.ts";
import { FakeClock } from "../unit/cache/support/fake_clock.ts";

/** An empty cache that runs. */
export interface StartedCache extends AsyncDisposable {
  readonly driver: CacheDriver;
  /** One that can be told to go on; default: this machine's. */
  readonly clock?: FakeClock;
}

/** A driver on which every scenario runs. */
export interface CacheUnderTest {
  readonly name: string;
  /** Why it cannot run here, such as a program that is missing; `undefined`: it can. */
  readonly ignore: string | undefined;
  /** How many callers may contend for one lock without the test taking long. */
  readonly contenders: number;
  start(): Promise<StartedCache>;
}

/** As long for every map. */
class EveryMap extends Map<string, number> {
  override get(_map: string): number {
    return 3_600_000;
  }
}

/** The same with a near cache before it: through one gateway, nobody can tell. */
const behindNear = (cache: CacheUnderTest): CacheUnderTest => ({
  ...cache,
  name: `${cache.name} behind a near cache`,
  async start() {
    const started = await cache.start();
    const lives = new EveryMap();
    const { driver, clock } = started;
    const near = new NearDriver({ driver, maxBytes: 2 ** 20, livesOf: () => lives, ...(clock && { clock }) });
    return { ...started, driver: near, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
  },
});

/** All of them, without what stands before them. */
const ENGINES: readonly CacheUnderTest[] = [
  {
    name: "memory",
    ignore: undefined,
    contenders: 10_000,
    start() {
      const clock = new FakeClock();
      const driver = new MemoryDriver({ maxBytes: 64 * 2 ** 20, clock });
      return Promise.resolve({ driver, clock, [Symbol.asyncDispose]: () => driver.close() });
    },
  },
  ...([1, 3] as const).map((members): CacheUnderTest => ({
    name: members === 1 ? "olric" : `olric with ${members} members`,
    ignore: findProgram("olric-server") === undefined ? "missing: olric-server" : undefined,
    contenders: members === 1 ? 500 : 150,
    async start() {
      const cluster = await OlricTestCluster.start({ members });
      const driver = await OlricDriver.open({ addresses: cluster.addresses });
      return {
        driver,
        async [Symbol.asyncDispose]() {
          await driver.close();
          await cluster[Symbol.asyncDispose]();
        },
      };
    },
  })),
];

/** All of them. */
export const CACHES: readonly CacheUnderTest[] = [
  ...ENGINES,
  ...ENGINES.filter(({ name }) => name === "memory" || name === "olric").map(behindNear),
];

/** A request that waits for ever. */
export const REQUEST: RequestContext = {
  requestId: "test",
  signal: new AbortController().signal,
  clientAddress: "127.0.0.1",
};

/** What holds in these tests. */
export const RULES: CacheRules = {
  maxValueBytes: 400_000,
  maxBytes: 0,
  maxScanKeys: 1_000,
  maxLockWaiters: 20_000,
  near: new Map(),
};

/** What is asked most: JSON, in one namespace and map. */
export const NAMESPACE = "shop";
/** See {@link NAMESPACE}. */
export const MAP = "carts";

/** A value that is JSON. */
export const json = (value: unknown): CacheValue => ({ json: JSON.stringify(value) });

/** The cache, with short ways to ask it. */
export class CacheSubject {
  readonly cache: CacheService;
  readonly #clock: FakeClock | undefined;

  constructor({ driver, clock }: StartedCache, readonly contenders: number) {
    this.cache = new CacheService(driver, { rulesOf: () => RULES, ...(clock && { clock }) });
    this.#clock = clock;
  }

  get clock(): Clock {
    return this.#clock ?? SYSTEM_CLOCK;
  }

  async get(key: string, map = MAP, namespace = NAMESPACE): Promise<CacheEntry | undefined> {
    return await this.cache.get(namespace, { map, key }, REQUEST);
  }

  /** The JSON that is there. */
  async json(key: string, map = MAP, namespace = NAMESPACE): Promise<unknown> {
    const entry = await this.get(key, map, namespace);
    return entry && "json" in entry.value ? JSON.parse(entry.value.json) : entry?.value;
  }

  async put(key: string, value: CacheValue, options: CachePutOptions = {}, map = MAP): Promise<string | undefined> {
    return (await this.cache.put(NAMESPACE, { map, key }, value, options, REQUEST)).version;
  }

  async putAll(values: Readonly<Record<string, unknown>>, map = MAP): Promise<void> {
    const entries = Object.entries(values).map(([key, value]) => ({ key, value: json(value) }));
    await this.cache.putMany(NAMESPACE, map, entries, undefined, REQUEST);
  }

  async swap(key: string, value: CacheValue, ttl?: number): Promise<CacheEntry | undefined> {
    return await this.cache.swap(NAMESPACE, { map: MAP, key }, value, ttl, REQUEST);
  }

  async delete(key: string, version?: string): Promise<boolean> {
    return await this.cache.delete(NAMESPACE, { map: MAP, key }, version, REQUEST);
  }

  async increment(key: string, options: CacheIncrementOptions = {}): Promise<number> {
    return (await this.cache.increment(NAMESPACE, { map: MAP, key }, options, REQUEST)).value;
  }

  async expire(key: string, ttl?: number): Promise<boolean> {
    return await this.cache.expire(NAMESPACE, { map: MAP, key }, ttl, REQUEST);
  }

  async scan(options: CacheScanOptions = {}, map = MAP, namespace = NAMESPACE) {
    return await this.cache.scan(namespace, map, options, REQUEST);
  }

  /** All keys of a map, page by page. @param between what happens after each page */
  async keys(
    options: CacheScanOptions = {},
    map = MAP,
    namespace = NAMESPACE,
    between: () => Promise<void> = async () => {},
  ): Promise<string[]> {
    const keys: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.scan({ ...options, ...(cursor !== undefined && { cursor }) }, map, namespace);
      keys.push(...page.keys);
      cursor = page.cursor;
      await between();
    } while (cursor !== undefined);
    return keys;
  }

  lock(key: string, options: CacheLockOptions, context: RequestContext = REQUEST) {
    return this.cache.lock(NAMESPACE, { map: MAP, key }, options, context);
  }

  renew(key: string, token: string, lease: number) {
    return this.cache.renew(NAMESPACE, { map: MAP, key }, token, lease, REQUEST);
  }

  unlock(key: string, token: string) {
    return this.cache.unlock(NAMESPACE, { map: MAP, key }, token, REQUEST);
  }

  /** Lets time pass until then. @param time Unix milliseconds */
  async until(time: number): Promise<void> {
    if (this.#clock === undefined) return await until("it is that time", () => Date.now() >= time);
    if (time > this.#clock.now()) await this.#clock.advance(time - this.#clock.now());
  }

  /** Lets time pass until something has come to an end, one way or the other. */
  async during<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const watched = work.finally(() => over = true);
    watched.catch(() => {});
    while (this.#clock !== undefined && !over) await this.#clock.advance(10);
    return await watched;
  }
}

/** Makes a test of each scenario on each driver, each time on an empty cache. */
export function onEveryCache(scenarios: Readonly<Record<string, (subject: CacheSubject) => Promise<void>>>): void {
  for (const { name: driver, ignore, contenders, start } of CACHES) {
    for (const [name, scenario] of Object.entries(scenarios)) {
      Deno.test({
        name: ignore === undefined ? `${driver}: ${name}` : `${driver}: ${name} [${ignore}]`,
        ignore: ignore !== undefined && Deno.env.get("TEST_ENGINES_REQUIRED") !== "1",
        async fn() {
          await using started = await start();
          await scenario(new CacheSubject(started, contenders));
        },
      });
    }
  }
}
