import type { Registry } from "prom-client";
import type { Cache, CacheHoldings, CacheStatistics } from "../contracts/cache.ts";
import { Scraped } from "./scraped.ts";

/** Makes the metrics of the cache, read when they are scraped. What the engine does not tell is left out. */
export function cacheMetrics(registry: Registry, cache: Pick<Cache, "statistics" | "holdings">): void {
  const scraped = new Scraped(registry);
  const counter = (name: string, help: string, of: (statistics: CacheStatistics) => number | undefined) =>
    scraped.counter(name, help, () => of(cache.statistics()));
  const gauge = (name: string, help: string, of: (statistics: CacheStatistics) => number | undefined) =>
    scraped.gauge(name, help, () => of(cache.statistics()));
  const held = async (of: (holdings: CacheHoldings) => number | undefined) => {
    const holdings = await cache.holdings();
    return holdings && of(holdings);
  };
  counter("cache_hits_total", "Entries that were read and were there.", ({ hits }) => hits);
  counter("cache_misses_total", "Entries that were read and were not there.", ({ misses }) => misses);
  scraped.counter(
    "cache_evictions_total",
    "Entries that had to make room; as the members of Olric count, also those whose time was over, more than once.",
    () => held(({ evictions }) => evictions),
  );
  scraped.gauge(
    "cache_entries",
    "Entries in the gateway's own cache, or in all of Olric.",
    () => held(({ entries }) => entries),
  );
  scraped.gauge(
    "cache_bytes",
    "Bytes of memory that they take; on Olric without replicas.",
    () => held(({ bytes }) => bytes),
  );
  counter(
    "cache_near_hits_total",
    "Reads of maps with a near cache that were answered from the gateway's copies.",
    ({ near }) => near?.hits,
  );
  counter(
    "cache_near_misses_total",
    "Reads of maps with a near cache for which the engine was asked.",
    ({ near }) => near?.misses,
  );
  gauge("cache_near_entries", "Copies in the near cache.", ({ near }) => near?.entries);
  gauge("cache_near_bytes", "Bytes of memory that they take.", ({ near }) => near?.bytes);
}
