import type { FieldProblem } from "../../../src/contracts/errors.ts";
import type { Change, NamespaceLimits, NamespaceRules, NamespaceSettings } from "../../../src/contracts/settings.ts";
import { cacheBeyondLimits, type CacheDefaults, effectiveCache, NO_CACHE_LIMITS, NO_CACHE_SETTINGS } from "./cache.ts";
import { effectiveEgress, type EgressDefaults, NO_EGRESS_LIMITS, NO_EGRESS_SETTINGS } from "./egress.ts";
import {
  effectiveFunctions,
  type FunctionDefaults,
  functionsBeyondLimits,
  NO_FUNCTION_LIMITS,
  NO_FUNCTION_SETTINGS,
} from "./functions.ts";
import {
  effectivePubSub,
  NO_PUBSUB_LIMITS,
  NO_PUBSUB_SETTINGS,
  pubsubBeyondLimits,
  type PubSubDefaults,
} from "./pubsub.ts";
import { effectiveSql, NO_SQL_LIMITS, NO_SQL_SETTINGS, sqlBeyondLimits, type SqlDefaults } from "./sql.ts";
import { effectiveStorage, NO_STORAGE_LIMITS, NO_STORAGE_SETTINGS, type StorageDefaults } from "./storage.ts";
import { effectiveWebhooks, NO_WEBHOOK_LIMITS, type WebhookDefaults } from "./webhooks.ts";

// A new domain is one file beside this one and a line in each of the values below.

/** What the configuration gives to namespaces for which nothing else was set, by domain. */
export interface RuleDefaults {
  readonly sql: SqlDefaults;
  readonly cache: CacheDefaults;
  readonly storage: StorageDefaults;
  readonly pubsub: PubSubDefaults;
  readonly functions: FunctionDefaults;
  readonly egress: EgressDefaults;
  readonly webhooks: WebhookDefaults;
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
  settings: {
    sql: NO_SQL_SETTINGS,
    cache: NO_CACHE_SETTINGS,
    storage: NO_STORAGE_SETTINGS,
    pubsub: NO_PUBSUB_SETTINGS,
    functions: NO_FUNCTION_SETTINGS,
    egress: NO_EGRESS_SETTINGS,
  },
  limits: {
    sql: NO_SQL_LIMITS,
    cache: NO_CACHE_LIMITS,
    storage: NO_STORAGE_LIMITS,
    pubsub: NO_PUBSUB_LIMITS,
    functions: NO_FUNCTION_LIMITS,
    egress: NO_EGRESS_LIMITS,
    webhooks: NO_WEBHOOK_LIMITS,
  },
};

/** What holds where this was set. */
export function effectiveOf({ settings, limits }: Written, defaults: RuleDefaults): Effective {
  const sql = effectiveSql(settings.sql, limits.sql, defaults.sql);
  const cache = effectiveCache(settings.cache, limits.cache, defaults.cache);
  const storage = effectiveStorage(settings.storage, limits.storage, defaults.storage);
  const pubsub = effectivePubSub(settings.pubsub, limits.pubsub, defaults.pubsub);
  const functions = effectiveFunctions(settings.functions, limits.functions, defaults.functions);
  const egress = effectiveEgress(settings.egress, limits.egress, defaults.egress);
  const webhooks = effectiveWebhooks(limits.webhooks, defaults.webhooks);
  return {
    settings: {
      sql: sql.settings,
      cache: cache.settings,
      storage: storage.settings,
      pubsub: pubsub.settings,
      functions: functions.settings,
      egress: egress.settings,
    },
    limits: {
      sql: sql.limits,
      cache: cache.limits,
      storage: storage.limits,
      pubsub: pubsub.limits,
      functions: functions.limits,
      egress: egress.limits,
      webhooks: webhooks.limits,
    },
    rules: {
      sql: sql.rules,
      cache: cache.rules,
      storage: storage.rules,
      pubsub: pubsub.rules,
      functions: functions.rules,
      egress: egress.rules,
      webhooks: webhooks.rules,
    },
  };
}

/**
 * What holds where nobody can say what was set: the defaults, but what is forgotten on a guess does not come back, and what an
 * owner may have forbidden is not done.
 */
export function assumedRules(defaults: RuleDefaults): NamespaceRules {
  const { rules } = effectiveOf(NOTHING_WRITTEN, defaults);
  const { history_messages, history_ttl } = defaults.pubsub.limits;
  return {
    ...rules,
    sql: { ...rules.sql, retainedChanges: Infinity, changeRetention: Infinity },
    pubsub: { ...rules.pubsub, historySize: history_messages, historyTtl: history_ttl },
    functions: { ...rules.functions, logRetention: defaults.functions.limits.log_retention },
    egress: { ...rules.egress, allowHosts: [], assumed: true },
    webhooks: { ...rules.webhooks, maxRemembered: Infinity, deliveredRetention: Infinity, deadRetention: Infinity },
  };
}

/** What of a change of settings lies beyond the limits of the namespace. */
export function beyondLimits(
  { sql = {}, cache = {}, pubsub = {}, functions = {} }: Change<NamespaceSettings>,
  { limits }: Written,
  defaults: RuleDefaults,
): FieldProblem[] {
  return [
    ...sqlBeyondLimits(sql, effectiveSql(NO_SQL_SETTINGS, limits.sql, defaults.sql).limits),
    ...cacheBeyondLimits(cache, defaults.cache),
    ...pubsubBeyondLimits(pubsub, effectivePubSub(NO_PUBSUB_SETTINGS, limits.pubsub, defaults.pubsub).limits),
    ...functionsBeyondLimits(
      functions,
      effectiveFunctions(NO_FUNCTION_SETTINGS, limits.functions, defaults.functions).limits,
    ),
  ];
}
