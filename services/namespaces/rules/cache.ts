import type { CacheLimitValues, CacheRules, OrDefault } from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of the cache. */
export interface CacheDefaults {
  readonly limits: CacheLimitValues;
}

/** What holds for the cache, in each of the forms it is asked for. */
export interface EffectiveCache {
  readonly limits: CacheLimitValues;
  readonly rules: CacheRules;
}

/** The limits of a namespace for which no operator set anything. */
export const NO_CACHE_LIMITS: OrDefault<CacheLimitValues> = {
  value_bytes: null,
  bytes: null,
  scan_keys: null,
  lock_waiters: null,
};

/** Limits, and defaults for those that were not set. */
export function effectiveCache(own: OrDefault<CacheLimitValues>, defaults: CacheDefaults): EffectiveCache {
  const limits = withDefaults(own, defaults.limits);
  return {
    limits,
    rules: {
      maxValueBytes: limits.value_bytes,
      maxBytes: limits.bytes,
      maxScanKeys: limits.scan_keys,
      maxLockWaiters: limits.lock_waiters,
    },
  };
}
