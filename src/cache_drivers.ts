import type { Config } from "../config/index.ts";
import type { CacheDriver } from "../services/cache/driver.ts";
import { MemoryDriver } from "../services/cache/memory/driver.ts";
import { OlricDriver } from "../services/cache/olric/driver.ts";
import { CacheService, type CacheServiceOptions } from "../services/cache/service.ts";

/** What the cache asks of the gateway around it. */
export interface CacheSurroundings {
  /** What holds for the cache of a namespace. */
  readonly rulesOf: CacheServiceOptions["rulesOf"];
  /** Calls back with each namespace that somebody deletes, on whichever gateway. */
  readonly onNamespaceGone: (tell: (namespace: string) => void) => void;
}

/** Builds the cache with the driver of the configuration. An engine need not be there: while it is down, its calls are 503. */
export async function openCache(config: Config["cache"], around: CacheSurroundings): Promise<CacheService> {
  const driver = config.driver === "olric" ? await openOlric(config.olric) : openMemory(config.memory, around);
  return new CacheService(driver, { rulesOf: around.rulesOf });
}

const openOlric = ({ addresses, password, connections, request_timeout: timeout }: Config["cache"]["olric"]) =>
  OlricDriver.open({ addresses, password, connections, timeout });

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
