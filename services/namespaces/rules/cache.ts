import type { FieldProblem } from "../../../src/contracts/errors.ts";
import type {
  CacheLimitValues,
  CacheRules,
  CacheSettings,
  Change,
  NamespaceSettings,
  NearMap,
  OrDefault,
} from "../../../src/contracts/settings.ts";
import { withDefaults } from "./values.ts";

/** What the configuration says of the cache. */
export interface CacheDefaults {
  readonly limits: CacheLimitValues;
  readonly near: {
    /** Milliseconds that a copy may live, at most. */
    readonly max_ttl: number;
    /** Whether this gateway has a near cache. Where it has none, owners may ask for one all the same. */
    readonly available: boolean;
  };
}

/** What holds for the cache, in each of the forms it is asked for. */
export interface EffectiveCache {
  readonly settings: CacheSettings;
  readonly limits: CacheLimitValues;
  readonly rules: CacheRules;
}

/** The settings of a namespace whose owner set nothing. */
export const NO_CACHE_SETTINGS: CacheSettings = { near: null };

/** The limits of a namespace for which no operator set anything. */
export const NO_CACHE_LIMITS: OrDefault<CacheLimitValues> = {
  value_bytes: null,
  bytes: null,
  scan_keys: null,
  lock_waiters: null,
};

/** Settings within what the gateway allows, limits, and defaults for what neither says. */
export function effectiveCache(
  own: CacheSettings,
  ownLimits: OrDefault<CacheLimitValues>,
  defaults: CacheDefaults,
): EffectiveCache {
  const limits = withDefaults(ownLimits, defaults.limits);
  const { max_ttl, available } = defaults.near;
  const wanted = available && isListOfMaps(own.near) ? own.near : [];
  const near = wanted.map(({ dmap, ttl }) => ({ dmap, ttl: Math.min(ttl, max_ttl) }));
  return {
    settings: { near },
    limits,
    rules: {
      maxValueBytes: limits.value_bytes,
      maxBytes: limits.bytes,
      maxScanKeys: limits.scan_keys,
      maxLockWaiters: limits.lock_waiters,
      near: new Map(near.map(({ dmap, ttl }) => [dmap, ttl])),
    },
  };
}

/** Another version of the gateway may have written something else. */
const isListOfMaps = (near: unknown): near is readonly NearMap[] =>
  Array.isArray(near) && near.every((one) => typeof one?.dmap === "string" && typeof one.ttl === "number");

/** What of a change lies beyond what the gateway allows. */
export function cacheBeyondLimits(
  { near }: NonNullable<Change<NamespaceSettings>["cache"]>,
  { near: { max_ttl } }: CacheDefaults,
): FieldProblem[] {
  return (near ?? []).flatMap(({ ttl }, i) =>
    ttl <= max_ttl
      ? []
      : [{ field: `cache.near.${i}.ttl`, problem: `at most ${max_ttl} ms, which is the limit of this gateway` }]
  );
}
