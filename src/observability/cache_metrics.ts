import type { Registry } from "prom-client";
import type { CacheStatistics } from "../contracts/cache.ts";
import { Scraped } from "./scraped.ts";

/** Makes the metrics of the cache, read when they are scraped. What the engine does not tell is left out. */
export function cacheMetrics(registry: Registry, cache: { statistics(): CacheStatistics }): void {
  const scraped = new Scraped(registry);
  const counter = (name: string, help: string, of: (statistics: CacheStatistics) => number | undefined) =>
    scraped.counter(name, help, () => of(cache.statistics()));
  const gauge = (name: string, help: string, of: (statistics: CacheStatistics) => number | undefined) =>
    scraped.gauge(name, help, () => of(cache.statistics()));
  counter("cache_hits_total", "Entries that were read and were there.", ({ hits }) => hits);
  counter("cache_misses_total", "Entries that were read and were not there.", ({ misses }) => misses);
  counter(
    "cache_evictions_total",
    "Entries that had to make room in the gateway's own cache.",
    ({ evictions }) => evictions,
  );
  gauge("cache_entries", "Entries in the gateway's own cache.", ({ entries }) => entries);
  gauge("cache_bytes", "Bytes of memory that they take.", ({ bytes }) => bytes);
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
