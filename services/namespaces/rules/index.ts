import type { FieldProblem } from "../../../src/contracts/errors.ts";
import type { Change, NamespaceLimits, NamespaceRules, NamespaceSettings } from "../../../src/contracts/settings.ts";
import { type CacheDefaults, effectiveCache, NO_CACHE_LIMITS } from "./cache.ts";
import { effectiveSql, NO_SQL_LIMITS, NO_SQL_SETTINGS, sqlBeyondLimits, type SqlDefaults } from "./sql.ts";

// A new domain is one file beside this one and a line in each of the values below.

/** What the configuration gives to namespaces for which nothing else was set, by domain. */
export interface RuleDefaults {
  readonly sql: SqlDefaults;
  readonly cache: CacheDefaults;
}

/** What was set for one namespace. */
export interface Written {
  readonly settings: NamespaceSettings;
  readonly limits: NamespaceLimits;
}

/** What holds in one namespace, in each of the forms it is asked for. */
export interface Effective {
  readonly settings: NamespaceSettings;
  readonly limits: NamespaceLimits;
  readonly rules: NamespaceRules;
}

/** A namespace for which nothing was set. */
export const NOTHING_WRITTEN: Written = {
  settings: { sql: NO_SQL_SETTINGS },
  limits: { sql: NO_SQL_LIMITS, cache: NO_CACHE_LIMITS },
};

/** What holds where this was set. */
export function effectiveOf({ settings, limits }: Written, defaults: RuleDefaults): Effective {
  const sql = effectiveSql(settings.sql, limits.sql, defaults.sql);
  const cache = effectiveCache(limits.cache, defaults.cache);
  return {
    settings: { sql: sql.settings },
    limits: { sql: sql.limits, cache: cache.limits },
    rules: { sql: sql.rules, cache: cache.rules },
  };
}

/** What holds where nobody can say what was set: the defaults, but what is forgotten on a guess does not come back. */
export function assumedRules(defaults: RuleDefaults): NamespaceRules {
  const { rules } = effectiveOf(NOTHING_WRITTEN, defaults);
  return { ...rules, sql: { ...rules.sql, retainedChanges: Infinity, changeRetention: Infinity } };
}

/** What of a change of settings lies beyond the limits of the namespace. */
export function beyondLimits(
  { sql = {} }: Change<NamespaceSettings>,
  { limits }: Written,
  defaults: RuleDefaults,
): FieldProblem[] {
  const effective = effectiveSql(NO_SQL_SETTINGS, limits.sql, defaults.sql);
  return sqlBeyondLimits(sql, effective.limits);
}
