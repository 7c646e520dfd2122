import { deepEqual, equal } from "node:assert/strict";
import { Registry } from "prom-client";
import type { InvocationFigures } from "../../../src/contracts/function_invocations.ts";
import { functionMetrics } from "../../../src/observability/function_metrics.ts";

const FIGURES: InvocationFigures = {
  running: 1,
  waiting: 2,
  hosts: { busy: 3, idle: 4, spare: 5 },
  ended: { deadline: 6, crashed: 7 },
  confinement: { limits: true, no_network: false },
};

/** The metrics of functions, and what a scrape shows of them. */
function metrics() {
  const registry = new Registry();
  let figures = FIGURES;
  const observer = functionMetrics(registry, {
    invocations: () => figures,
    triggers: () => ({
      fired: { cron: 8, topic: 9 },
      failed: 10,
      skipped: 11,
      dropped: 12,
      postponed: 13,
      followed: 14,
    }),
    cachedBytes: () => 18,
    log: () => ({ dropped: 15, waiting: 16, followers: 17 }),
  });
  const values = async () =>
    Object.fromEntries(
      (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => line.split(/ (?=\S+$)/)).map(([name, value]) => [name, Number(value)]),
    );
  return { observer, values, become: (next: InvocationFigures) => figures = next };
}

Deno.test("figures of calls, processes, triggers and the log are read when they are scraped", async () => {
  const { values, become } = metrics();
  const shown = await values();
  const expected = {
    function_invocations_running: 1,
    function_invocations_waiting: 2,
    'function_hosts{state="busy"}': 3,
    'function_hosts{state="idle"}': 4,
    'function_hosts{state="spare"}': 5,
    'function_hosts_ended_total{cause="deadline"}': 6,
    'function_hosts_ended_total{cause="crashed"}': 7,
    'function_confinement{measure="limits"}': 1,
    'function_confinement{measure="no_network"}': 0,
    'function_triggers_fired_total{kind="cron"}': 8,
    'function_triggers_fired_total{kind="topic"}': 9,
    'function_triggers_trouble_total{what="failed"}': 10,
    'function_triggers_trouble_total{what="skipped"}': 11,
    'function_triggers_trouble_total{what="dropped"}': 12,
    'function_triggers_trouble_total{what="postponed"}': 13,
    function_triggers_followed: 14,
    function_log_dropped_total: 15,
    function_log_waiting: 16,
    function_log_followers: 17,
    function_modules_cached_bytes: 18,
  };
  deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, shown[name]])), expected);
  become({ ...FIGURES, running: 0, ended: { deadline: 60 } });
  const later = await values();
  equal(later["function_invocations_running"], 0);
  equal(later['function_hosts_ended_total{cause="deadline"}'], 60);
});

Deno.test("calls are counted by what began them and how they ended, host calls by name, and nothing names a tenant", async () => {
  const { observer, values } = metrics();
  observer.invocation("http", "success", 0.002, 0.0001, true);
  observer.invocation("cron", "FUNCTION_TIMEOUT", 40, 3, false);
  observer.hostCall("db_query", true, 0.003);
  observer.hostCall("unknown", false, 0);
  observer.memory(2 ** 21);
  observer.memory(0);
  const shown = await values();
  equal(shown['function_invocation_duration_seconds_count{trigger="http",outcome="success"}'], 1);
  equal(shown['function_invocation_duration_seconds_sum{trigger="cron",outcome="FUNCTION_TIMEOUT"}'], 40);
  equal(shown["function_invocation_waiting_seconds_count"], 2);
  equal(shown["function_cold_starts_total"], 1);
  equal(shown['function_host_call_duration_seconds_count{call="db_query",outcome="ok"}'], 1);
  equal(shown['function_host_call_duration_seconds_count{call="unknown",outcome="refused"}'], 1);
  equal(shown["function_memory_bytes_count"], 1, "a call that was killed has told of none");
});
