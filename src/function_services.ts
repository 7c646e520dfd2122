import type { Registry } from "prom-client";
import type { Config } from "../config/index.ts";
import { SYSTEM_CLOCK } from "../services/clock/clock.ts";
import type { ControlAuditLog } from "../services/control_plane/audit.ts";
import type { ControlDatabase } from "../services/control_plane/control_database.ts";
import type { RevocationFeed } from "../services/control_plane/revocations.ts";
import { GatewayHostCalls } from "../services/functions/calls/host_calls.ts";
import type { OutboundHttp } from "../services/functions/calls/http.ts";
import { findConfinement, UNCONFINED } from "../services/functions/hosts/confinement.ts";
import {
  CallRefused,
  type FunctionHostPool,
  type HostRun,
  type HostWork,
} from "../services/functions/hosts/contract.ts";
import { FunctionHosts } from "../services/functions/hosts/pool.ts";
import type { FunctionEvent } from "../services/functions/invoker/events.ts";
import { Invoker } from "../services/functions/invoker/invoker.ts";
import { FunctionLog } from "../services/functions/log/function_log.ts";
import { prepareModule, readModule } from "../services/functions/modules/index.ts";
import type { InvocationLog } from "../services/functions/parts.ts";
import { FunctionRegistry, type FunctionRegistryOptions } from "../services/functions/registry/service.ts";
import { Resealing } from "../services/functions/secrets/resealing.ts";
import { Secrets } from "../services/functions/secrets/service.ts";
import { Triggers } from "../services/functions/triggers/service.ts";
import type { InvocationFigures } from "./contracts/function_invocations.ts";
import type { NamespacedService, ServiceHealth } from "./contracts/health.ts";
import type { Services } from "./contracts/services.ts";
import { functionMetrics, type FunctionObserver } from "./observability/function_metrics.ts";
import { logger } from "./observability/log.ts";

/** What functions ask of the gateway around them. */
export interface FunctionSurroundings
  extends Pick<Services, "database" | "databaseChanges" | "cache" | "storage" | "pubsub"> {
  readonly http: OutboundHttp;
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  /** 32 bytes, the same on every gateway: what seals secrets where the configuration names no key. */
  readonly key: Uint8Array;
  readonly metrics: Registry;
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  readonly rulesOf: FunctionRegistryOptions["rulesOf"];
}

/** Functions, and what belongs to them. */
export interface OpenedFunctions {
  readonly services: Pick<
    Services,
    "functions" | "invocations" | "functionLogs" | "functionSecrets" | "functionTriggers"
  >;
  /** What of them goes with a namespace. */
  readonly held: NamespacedService;
  health(): Promise<ServiceHealth>;
  /** Begins what is done in the background: triggers fire from then on. */
  start(): void;
  /** Refuses what waits, lets what runs end for a while, and ends the processes. */
  close(): Promise<void>;
}

/** Bytes of a page of WebAssembly's memory, and of V8's heap for each process beside the memory of its module. */
const PAGE = 64 * 1024, HEAP_MIB = 128;
/** Bytes that a process may send at once at least: a host call has up to 16 MiB in each of two arguments. */
const SENDS = 32 * 1024 * 1024;

/** How many processes run functions where the configuration does not say: a call that waits for the database has one, too. */
export function hostNumbers(
  { max, per_namespace }: Config["functions"]["hosts"],
  processors: number,
): { readonly max: number; readonly perNamespace: number } {
  const all = max ?? Math.max(8, 4 * processors);
  return { max: all, perNamespace: Math.min(all, per_namespace ?? Math.max(1, Math.floor(all / 2))) };
}

/** Bytes of the largest answer that processes send: operators may allow one namespace more than all. */
export const largestOutput = ({ output_bytes }: Config["limits"]["functions"]): number => Math.max(SENDS, output_bytes);

/** Builds all that functions need. No process is started before {@link OpenedFunctions.start}. */
export async function openFunctions(config: Config, around: FunctionSurroundings): Promise<OpenedFunctions> {
  const { control, revocations, audit, storage, pubsub, databaseChanges, now, random, rulesOf } = around;
  const { hosts: { idle, spares, memory, confine }, wait, modules, log: logging } = config.functions;
  const log = logger("functions");
  const onError = (what: string, error: unknown) =>
    log.warn("could not be done yet; it is tried again", { what, error });
  const numbers = hostNumbers(config.functions.hosts, navigator.hardwareConcurrency);
  const confinement = confine === "off" ? UNCONFINED : await findConfinement();
  const hosts = new FunctionHosts({
    program: { kind: "function", wasmPages: memory / PAGE, heap: HEAP_MIB },
    confinement,
    maxOutput: largestOutput(config.limits.functions),
    max: numbers.max,
    spares,
    idle,
    patience: wait,
    // What the invoker waited for in vain.
    grace: 100,
    line: (line, namespace) => log.warn("a process of functions says", { line, namespace }),
  });
  const registry = new FunctionRegistry({
    control,
    revocations,
    audit,
    storage,
    rulesOf,
    readModule,
    prepareModule,
    check: (bytes, abi, entry, timeout, signal) => hosts.check({ bytes, abi, entry }, timeout, signal),
    now,
    monotonic: () => performance.now(),
    chance: Math.random,
    uuid: () => crypto.randomUUID(),
    moduleCache: modules.cache,
    maxStale: config.auth.principal_cache.max_stale,
    onError,
  });
  const secrets = new Secrets({
    control,
    revocations,
    audit,
    rulesOf,
    keys: sealingKeys(config, around.key),
    now,
    monotonic: () => performance.now(),
    random,
    onError: (what, error) => log.error("a secret cannot be read", { what, error }),
  });
  const logs = new FunctionLog({
    control,
    directory: registry,
    revocations,
    rulesOf,
    clock: SYSTEM_CLOCK,
    random,
    holder: random(8).toHex(),
    maxFollowers: logging.listeners,
    onError: (error) => onError("the log of functions", error),
  });
  const observer = functionMetrics(around.metrics, {
    invocations: () => hosts.figures(),
    triggers: () => triggers.figures(),
    log: () => logs.figures(),
    cachedBytes: () => registry.figures().cachedBytes,
  });
  const calls = new GatewayHostCalls({
    database: around.database,
    cache: around.cache,
    storage,
    pubsub,
    http: around.http,
    secretOf: (namespace, name, signal) => secrets.secretOf(namespace, name, signal),
    invocations: () => invoker,
    onError: (requestId, error) => log.error("a host call of a function failed", { requestId, error }),
  });
  const watched = new WatchedHosts(hosts);
  const invoker: Invoker = new Invoker({
    hosts: watched,
    directory: registry,
    calls,
    log: observedLog(logs, observer),
    pubsub,
    revocations,
    rulesOf,
    clock: SYSTEM_CLOCK,
    random: Math.random,
    observe: told(observer),
    grace: config.http.shutdown.grace,
    onError: (requestId, error) => log.error("a call of a function failed", { requestId, error }),
  });
  const triggers: Triggers = new Triggers({
    control,
    revocations,
    audit,
    invocations: invoker,
    directory: registry,
    pubsub,
    databaseChanges,
    rulesOf,
    random,
    onError,
    onDropped: (trigger, many) => log.warn("a trigger is behind, and messages are lost", { trigger, many }),
  });
  const resealing = new Resealing({
    rotate: (signal) => secrets.rotate(signal),
    clock: SYSTEM_CLOCK,
    delay: config.functions.secrets.reseal_after,
    onDone: (result) => log.info("secrets are sealed with the newest key", { ...result }),
    onError: (error) => onError("sealing secrets with the newest key", error),
  });
  return {
    services: {
      functions: registry,
      invocations: invoker,
      functionLogs: logs,
      functionSecrets: secrets,
      functionTriggers: triggers,
    },
    held: {
      async purge(namespace, signal) {
        await hosts.forget(namespace);
        await triggers.purge(namespace, signal);
        await registry.purge(namespace, signal);
        await secrets.purge(namespace, signal);
        await logs.purge(namespace, signal);
      },
      usage: async (namespace, signal) => ({
        ...await registry.usage(namespace, signal),
        ...await secrets.usage(namespace, signal),
      }),
    },
    async health() {
      const health = await invoker.health();
      return health.status === "ok" && watched.failing ? { ...health, status: "degraded", reason: NO_PROCESS } : health;
    },
    start() {
      const inForce = Object.entries(confinement.inForce).filter(([, is]) => is).map(([name]) => name);
      log.info("processes of functions are confined", { ...numbers, inForce, confine });
      hosts.warm();
      registry.start();
      logs.start();
      triggers.start();
      resealing.start();
    },
    async close() {
      await resealing.close();
      await triggers.close();
      await invoker.close();
      await hosts.close();
      await logs.close();
      await registry.close();
    },
  };
}

const NO_PROCESS = "no process of functions can be started now, or none that lives: calls are refused with 503";

/** Hosts, and whether the last call that one was wanted for found none. */
class WatchedHosts implements Pick<FunctionHostPool, "run" | "forget" | "figures"> {
  /** Whether no process could be started, or none that lives, when one was last wanted. */
  failing = false;

  constructor(private readonly hosts: FunctionHostPool) {}

  async run(work: HostWork, signal: AbortSignal): Promise<HostRun> {
    try {
      const run = await this.hosts.run(work, signal);
      this.failing = false;
      return run;
    } catch (error) {
      if (error instanceof CallRefused && error.reason === "unavailable") this.failing = true;
      throw error;
    }
  }

  forget(namespace: string): Promise<void> {
    return this.hosts.forget(namespace);
  }

  figures(): InvocationFigures {
    return this.hosts.figures();
  }
}

/** The key that seals first. What was sealed with the derived one before a key was configured is opened as well. */
function sealingKeys({ functions: { secrets } }: Config, derived: Uint8Array): readonly Uint8Array[] {
  const old = secrets.old_keys.map((key) => Uint8Array.fromHex(key));
  return secrets.key === undefined ? [derived, ...old] : [Uint8Array.fromHex(secrets.key), ...old, derived];
}

/** What metrics are told of events. */
const told = (observer: FunctionObserver) => (event: FunctionEvent): void => {
  if (event.kind === "call") return observer.hostCall(event.name, event.ok, event.ms / 1000);
  const { trigger, outcome, duration, waited, cold } = event;
  observer.invocation(trigger, outcome, duration / 1000, waited / 1000, cold);
};

/** The log, and beside it what only it is told. */
const observedLog = (log: InvocationLog, { memory }: FunctionObserver): InvocationLog => ({
  line: (of, requestId, line) => log.line(of, requestId, line),
  invocation(of, ended) {
    memory(ended.memoryBytes);
    log.invocation(of, ended);
  },
});
