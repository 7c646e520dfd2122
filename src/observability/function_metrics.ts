import { Counter, Histogram, type Registry } from "prom-client";
import type { InvocationFigures, InvocationTrigger } from "../contracts/function_invocations.ts";
import { Scraped } from "./scraped.ts";

/** What triggers of a gateway did since it started. */
export interface MeasuredTriggers {
  /** Calls that ended, by what began them. */
  readonly fired: Readonly<Record<string, number>>;
  readonly failed: number;
  /** Ticks that found the call before still running. */
  readonly skipped: number;
  /** Messages for which there was no room. */
  readonly dropped: number;
  /** Calls that were put off. */
  readonly postponed: number;
  /** Triggers that this gateway follows for. */
  readonly followed: number;
}

/** What the metrics are read from when they are scraped. */
export interface MeasuredFunctions {
  readonly invocations: () => InvocationFigures;
  readonly triggers: () => MeasuredTriggers;
  /** Bytes of modules in the gateway's memory. */
  readonly cachedBytes: () => number;
  readonly log: () => { readonly dropped: number; readonly waiting: number; readonly followers: number };
}

/** What is told of each call. Times are in seconds. */
export interface FunctionObserver {
  /**
   * A try of a call has ended.
   * @param outcome `success`, or the code of its failure
   * @param waited before it ran: for a place, for its module
   * @param cold whether a process had to be made ready for it
   */
  invocation(trigger: InvocationTrigger, outcome: string, ran: number, waited: number, cold: boolean): void;
  /**
   * A host call was answered.
   * @param name one of few: a guest may say anything
   */
  hostCall(name: string, ok: boolean, seconds: number): void;
  /** A try has ended with so much memory. */
  memory(bytes: number): void;
}

const DURATIONS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const MIB = 2 ** 20;
const MEMORIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].map((size) => size * MIB);

/** Makes the metrics of functions. Nothing in them names a namespace or a function. */
export function functionMetrics(registry: Registry, measured: MeasuredFunctions): FunctionObserver {
  const scraped = new Scraped(registry);
  hostMetrics(scraped, measured.invocations);
  triggerMetrics(scraped, measured.triggers);
  scraped.counter(
    "function_log_dropped_total",
    "Lines and calls that were not written down, because more came than could be written.",
    () => measured.log().dropped,
  );
  scraped.gauge("function_log_waiting", "Lines and calls that wait to be written.", () => measured.log().waiting);
  scraped.gauge("function_log_followers", "Who follows logs as they come.", () => measured.log().followers);
  scraped.gauge(
    "function_modules_cached_bytes",
    "Bytes of modules that the gateway keeps in memory, ready to be given to processes.",
    measured.cachedBytes,
  );
  return observerOf(registry);
}

function hostMetrics(scraped: Scraped, figures: MeasuredFunctions["invocations"]): void {
  scraped.gauge("function_invocations_running", "Calls that run.", () => figures().running);
  scraped.gauge("function_invocations_waiting", "Calls that wait for a place.", () => figures().waiting);
  scraped.gauges(
    "function_hosts",
    "Child processes that run functions: `busy` with a call, `idle`, or `spare` for a namespace that has none.",
    "state",
    () => ({ ...figures().hosts }),
  );
  scraped.counters(
    "function_hosts_ended_total",
    "Child processes that ended or were ended, by cause.",
    "cause",
    () => ({ ...figures().ended }),
  );
  scraped.gauges(
    "function_confinement",
    "What keeps a process that runs functions from harm on this machine: 1 where it is in force.",
    "measure",
    () => Object.fromEntries(Object.entries(figures().confinement).map(([name, is]) => [name, is ? 1 : 0])),
  );
}

function triggerMetrics(scraped: Scraped, figures: MeasuredFunctions["triggers"]): void {
  scraped.counters(
    "function_triggers_fired_total",
    "Calls that triggers began and that ended, by the kind of the trigger.",
    "kind",
    () => ({ ...figures().fired }),
  );
  scraped.counters(
    "function_triggers_trouble_total",
    "Calls by triggers that `failed` or were `postponed`, ticks that were `skipped` because the one before still ran, and messages " +
      "that were `dropped`.",
    "what",
    () => {
      const { failed, postponed, skipped, dropped } = figures();
      return { failed, postponed, skipped, dropped };
    },
  );
  scraped.gauge(
    "function_triggers_followed",
    "Triggers for which this gateway listens to topics and tables.",
    () => figures().followed,
  );
}

function observerOf(registry: Registry): FunctionObserver {
  const registers = [registry];
  const durations = new Histogram<"trigger" | "outcome">({
    name: "function_invocation_duration_seconds",
    help:
      "Time that calls of functions ran, each try apart, by what began them and how they ended: `success`, or a code.",
    labelNames: ["trigger", "outcome"],
    buckets: DURATIONS,
    registers,
  });
  const waits = new Histogram({
    name: "function_invocation_waiting_seconds",
    help: "Time that they waited before: for a place, for their module.",
    buckets: DURATIONS,
    registers,
  });
  const memory = new Histogram({
    name: "function_memory_bytes",
    help: "Memory that a function had when its call ended.",
    buckets: MEMORIES,
    registers,
  });
  const colds = new Counter({
    name: "function_cold_starts_total",
    help: "Calls for which a process had to be given to their namespace.",
    registers,
  });
  const calls = new Histogram<"call" | "outcome">({
    name: "function_host_call_duration_seconds",
    help: "Time of calls that functions make of the gateway, by name and outcome (ok, refused).",
    labelNames: ["call", "outcome"],
    buckets: DURATIONS,
    registers,
  });
  return {
    invocation(trigger, outcome, ran, waited, cold) {
      durations.observe({ trigger, outcome }, ran);
      waits.observe(waited);
      if (cold) colds.inc();
    },
    hostCall: (call, ok, seconds) => calls.observe({ call, outcome: ok ? "ok" : "refused" }, seconds),
    memory: (bytes) => bytes > 0 && memory.observe(bytes),
  };
}
