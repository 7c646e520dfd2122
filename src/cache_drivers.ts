import type { Config } from "../config/index.ts";
import type { CacheDriver } from "../services/cache/driver.ts";
import { MemoryDriver } from "../services/cache/memory/driver.ts";
import { NearDriver } from "../services/cache/near/driver.ts";
import { OlricDriver } from "../services/cache/olric/driver.ts";
import { CacheService, type CacheServiceOptions } from "../services/cache/service.ts";

/** What the cache asks of the gateway around it. */
export interface CacheSurroundings {
  /** What holds for the cache of a namespace. */
  readonly rulesOf: CacheServiceOptions["rulesOf"];
  /** Calls back with each namespace that somebody deletes, on whichever gateway. */
  readonly onNamespaceGone: (tell: (namespace: string) => void) => void;
  /** Measures calls to an engine that is elsewhere. */
  readonly timed: (engine: CacheDriver) => CacheDriver;
}

/** The cache, and the copies before it where there can be some. */
export interface OpenedCache {
  readonly cache: CacheService;
  readonly near: NearDriver | undefined;
}

/** What a namespace's near cache may be. Only what is kept elsewhere has one. */
export const nearDefaults = ({ driver, near: { max_bytes, max_ttl } }: Config["cache"]) => ({
  max_ttl,
  available: driver === "olric" && max_bytes > 0,
});

/** Builds the cache with the driver of the configuration. An engine need not be there: while it is down, its calls are 503. */
export async function openCache(config: Config["cache"], around: CacheSurroundings): Promise<OpenedCache> {
  const driver = config.driver === "olric" ? await openOlric(config, around) : openMemory(config.memory, around);
  const near = driver instanceof NearDriver ? driver : undefined;
  return { cache: new CacheService(driver, { rulesOf: around.rulesOf }), near };
}

async function openOlric(
  { olric, near }: Config["cache"],
  { rulesOf, onNamespaceGone, timed }: CacheSurroundings,
): Promise<CacheDriver> {
  const { addresses, password, connections, request_timeout: timeout } = olric;
  const driver = timed(await OlricDriver.open({ addresses, password, connections, timeout }));
  if (near.max_bytes === 0) return driver;
  const nearDriver = new NearDriver({
    driver,
    maxBytes: near.max_bytes,
    livesOf(namespace, waiter) {
      const rules = rulesOf(namespace, waiter);
      // A namespace that is being deleted has no rules that are known, and so no copies.
      return rules instanceof Promise ? undefined : rules.near;
    },
  });
  onNamespaceGone((namespace) => nearDriver.forget(namespace));
  return nearDriver;
}

function openMemory(
  { max_bytes: maxBytes }: Config["cache"]["memory"],
  { rulesOf, onNamespaceGone }: CacheSurroundings,
): CacheDriver {
  const driver = new MemoryDriver({
    maxBytes,
    quotaOf(namespace, waiter) {
      const rules = rulesOf(namespace, waiter);
      return rules instanceof Promise ? rules.then(({ maxBytes }) => maxBytes) : rules.maxBytes;
    },
  });
  // The gateway that deletes a namespace for all of them reaches the memory of none but itself.
  onNamespaceGone((namespace) => void driver.purge(namespace));
  return driver;
}
