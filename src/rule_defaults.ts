import type { Config } from "../config/index.ts";
import type { RuleDefaults } from "../services/namespaces/rules/index.ts";
import { nearDefaults } from "./cache_drivers.ts";
import { hostNumbers, largestOutput } from "./function_services.ts";

/** What holds in namespaces for which nothing was set. */
export function ruleDefaults({ cache, database, egress, functions, limits, pubsub, webhooks }: Config): RuleDefaults {
  const { statement_timeout, retained_changes, change_retention } = database;
  const { perNamespace } = hostNumbers(functions.hosts, navigator.hardwareConcurrency);
  return {
    sql: { limits: limits.sql, statement_timeout, retained_changes, change_retention },
    cache: { limits: limits.cache, near: nearDefaults(cache) },
    storage: { limits: limits.storage },
    pubsub: {
      limits: limits.pubsub,
      history_size: pubsub.history.size,
      history_ttl: pubsub.history.ttl,
      slow_readers: pubsub.slow_readers,
    },
    functions: {
      limits: limits.functions,
      log_retention: functions.log.retention,
      max_memory: functions.hosts.memory,
      max_output: largestOutput(limits.functions),
      max_concurrency: perNamespace,
    },
    egress: { limits: limits.egress, ports: egress.ports, max_in_flight: egress.max_in_flight },
    webhooks: { limits: limits.webhooks, max_in_flight: webhooks.max_in_flight },
  };
}
