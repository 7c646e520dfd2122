import { collectDefaultMetrics, Registry } from "prom-client";
import type { Config } from "../config/index.ts";
import { type ControlApiKeys, OPERATOR_NAMESPACE } from "../services/auth/api_keys.ts";
import type { RootKey } from "../services/auth/crypto/root_key.ts";
import { StartingControlDatabase } from "../services/control_plane/starting.ts";
import { NamespaceDeletion } from "../services/namespaces/deletion.ts";
import { MODULES_NAMESPACE, moduleStorageRules } from "../services/functions/registry/content.ts";
import type { NamespaceRegistry } from "../services/namespaces/namespaces.ts";
import { ControlSettings } from "../services/namespaces/settings.ts";
import { GcraLimits } from "../services/rate_limits/gcra.ts";
import { SystemStatus } from "../services/system/system_info.ts";
import { authServices } from "./auth_services.ts";
import { BUILD } from "./build.ts";
import { openCache } from "./cache_drivers.ts";
import { controlServices, registryOf } from "./control_services.ts";
import { GatewayError } from "./contracts/errors.ts";
import type { Services } from "./contracts/services.ts";
import type { Settings } from "./contracts/settings.ts";
import { openDrivers } from "./drivers.ts";
import { openEgress } from "./egress_services.ts";
import { openFunctions } from "./function_services.ts";
import { Connections } from "./http/live/connections.ts";
import { cacheMetrics } from "./observability/cache_metrics.ts";
import { changeMetrics } from "./observability/change_metrics.ts";
import { driverMetrics } from "./observability/driver_metrics.ts";
import { logger } from "./observability/log.ts";
import { instrumentWith, outcomeOf, serviceTimings } from "./observability/instrument.ts";
import { pubsubMetrics } from "./observability/pubsub_metrics.ts";
import { serviceStates } from "./observability/service_states.ts";
import { storageMetrics } from "./observability/storage_metrics.ts";
import { liveSettings, openPubSub } from "./pubsub_drivers.ts";
import { ruleDefaults } from "./rule_defaults.ts";
import { partOf } from "./rule_parts.ts";
import { openStorage } from "./storage_drivers.ts";
import { Upkeep } from "./upkeep.ts";
import { openWebhooks } from "./webhook_services.ts";

/** What the container is given beside the configuration. */
export interface ContainerOptions {
  readonly config: Config;
  readonly rootKey: RootKey;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly random: (n: number) => Uint8Array;
  /** Where this gateway can be reached; known only once it listens. */
  readonly url: () => string;
}

/** The services of one gateway, built once. */
export interface Container {
  readonly services: Services;
  readonly registry: Registry;
  readonly system: SystemStatus;
  readonly apiKeys: ControlApiKeys;
  readonly namespaces: NamespaceRegistry;
  /** Resolves when the control plane answers; rejects only where waiting is no use. Embedded, that is at once. */
  start(): Promise<void>;
  /** Gives everything back, in reverse order. */
  close(): Promise<void>;
}

/** Builds every service from the configuration. @throws what an embedded driver cannot open */
export async function createContainer({ config, rootKey, now, random, url }: ContainerOptions): Promise<Container> {
  const log = logger("container");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });

  const drivers = await openDrivers(config, {
    databaseOf: (namespace, request) => namespaces.databaseOf(namespace, request),
    sqlRulesOf: (namespace, request) => partOf("sql", settings.rulesOf(namespace, request)),
    record: (entry, context) => audit.record(entry, context),
    observe: driverMetrics(registry),
    changesFailed: (namespace, error) => log.warn("a change feed is behind", { namespace, error }),
  }, "gateway");
  const control = new StartingControlDatabase(drivers.control);
  const core = controlServices({
    config,
    control,
    databases: drivers.databaseNames,
    now,
    random,
    onRevocations: (error) =>
      error ? log.warn("revocations cannot be read", { error }) : log.info("revocations can be read again"),
    onLostEntry: ({ namespace, actor, action, details }, error) =>
      log.error("an act is missing in the audit log", { namespace, actor, action, details, error }),
    deletionWanted: () => deletion.wake(),
  });
  const { audit, revocations, members } = core;
  const namespaces: NamespaceRegistry = core.namespaces;
  const apiKeys = core.apiKeysOf(rootKey);

  const { authenticator, walletAuth, sessions, topicTokens, signingKeys, usage } = authServices({
    config,
    rootKey,
    control,
    startingControl: drivers.control,
    core,
    apiKeys,
    now,
    random,
    url,
  });
  const settings: Settings = new ControlSettings({
    control,
    revocations,
    audit,
    monotonic: () => performance.now(),
    defaults: ruleDefaults(config),
    onError: (namespace, error) => log.warn("the rules of a namespace could not be read", { namespace, error }),
  });
  const timed = instrumentWith(serviceTimings(registry), outcomeOf);
  const { cache, near } = await openCache(config.cache, {
    rulesOf: (namespace, request) => partOf("cache", settings.rulesOf(namespace, request)),
    timed: (engine) => timed("cache_engine", engine),
    onNamespaceGone: (tell) => revocations.onRevoked(({ kind, id }) => kind === "namespace" && tell(id)),
  });
  const { storage, uploads, ...storageLife } = await openStorage(config, {
    control,
    key: rootKey.subkey("storage"),
    now,
    random,
    rulesOf: (namespace, request) =>
      namespace === MODULES_NAMESPACE ? moduleStorageRules() : partOf("storage", settings.rulesOf(namespace, request)),
    timed: (engine) => timed("storage_engine", engine),
    onNamespaceGone: (tell) => revocations.onRevoked(({ kind, id }) => kind === "namespace" && tell(id)),
  });
  const live = await openPubSub(config, {
    control,
    revocations,
    key: rootKey.subkey("pubsub-network"),
    near,
    now,
    random,
    rulesOf: (namespace, request) => partOf("pubsub", settings.rulesOf(namespace, request)),
  }).catch(async (error) => {
    await cache.close();
    await storageLife.close();
    await drivers.close();
    throw error;
  });
  const { pubsub, network } = live;
  const connections = new Connections({
    settings: liveSettings(config.pubsub),
    now,
    monotonic: () => performance.now(),
    onError: (error) => log.error("an open connection failed", { error }),
  });
  const outwards = openEgress(config, {
    network,
    key: rootKey.subkey("egress"),
    metrics: registry,
    rulesOf: (namespace, request) => partOf("egress", settings.rulesOf(namespace, request)),
  });
  const functions = await openFunctions(config, {
    control,
    revocations,
    audit,
    database: drivers.database,
    databaseChanges: drivers.databaseChanges,
    cache,
    storage,
    pubsub,
    http: outwards.http,
    key: rootKey.subkey("function-secrets"),
    metrics: registry,
    now,
    random,
    rulesOf: (namespace, request) => partOf("functions", settings.rulesOf(namespace, request)),
  });
  const webhooks = openWebhooks(config.webhooks, {
    control,
    revocations,
    audit,
    egress: outwards.egress,
    key: rootKey.subkey("webhooks"),
    metrics: registry,
    random,
    rulesOf: (namespace, request) => partOf("webhooks", settings.rulesOf(namespace, request)),
  });
  const deletion = new NamespaceDeletion({
    control,
    audit,
    now,
    // Nobody else can have an embedded control plane: what its last process began, this one may go on with at once.
    holder: drivers.embedded ? "embedded" : random(8).toHex(),
    services: { functions: functions.held, webhooks, database: drivers.database, cache, uploads, storage, pubsub },
    operatorNamespace: OPERATOR_NAMESPACE,
    onError: (namespace, error) => log.error("a namespace could not be deleted yet", { namespace, error }),
  });
  const system = new SystemStatus({
    ...BUILD,
    now,
    registry,
    metrics: config.metrics.enabled,
    probes: {
      control_plane: (signal) => upkeep.health(signal),
      database: (signal) => drivers.database.health(signal),
      cache: (signal) => cache.health(signal),
      storage: (signal) => storage.health(signal),
      pubsub: (signal) => live.health(signal),
      functions: () => functions.health(),
      egress: () => outwards.health(),
    },
  });
  serviceStates(registry, system);
  changeMetrics(registry, drivers.databaseChanges);
  cacheMetrics(registry, cache);
  storageMetrics(registry, storage, uploads);
  pubsubMetrics(registry, {
    pubsub,
    connections,
    network,
    refusals: () => live.refusals(),
    unjoined: () => live.unjoined(),
  });
  const services: Services = {
    authenticator,
    walletAuth: timed("sign_in", walletAuth),
    sessions: timed("sessions", sessions),
    apiKeys: timed("api_keys", apiKeys),
    topicTokens: timed("topic_tokens", topicTokens),
    namespaces: timed("namespaces", registryOf(namespaces, members)),
    settings: timed("settings", settings),
    audit: timed("audit", audit),
    database: timed("database", drivers.database),
    databaseChanges: timed("database_changes", drivers.databaseChanges),
    databaseFiles: timed("database_files", drivers.databaseFiles),
    bulkLoads: drivers.bulkLoads,
    cache: timed("cache", cache),
    storage: timed("storage", storage),
    pinRequests: timed("pin_requests", storage.requests),
    resumableUploads: timed("resumable_uploads", uploads),
    pubsub: timed("pubsub", pubsub),
    functions: timed("functions", functions.services.functions),
    invocations: timed("invocations", functions.services.invocations),
    functionLogs: timed("function_logs", functions.services.functionLogs),
    functionSecrets: timed("function_secrets", functions.services.functionSecrets),
    functionTriggers: timed("function_triggers", functions.services.functionTriggers),
    egress: timed("egress", outwards.egress),
    webhooks: timed("webhooks", webhooks),
    connections,
    network: timed("network", network),
    rateLimits: new GcraLimits(config.limits, () => performance.now()),
    system,
  };

  const upkeep = new Upkeep({
    control,
    signingKeys,
    revocations,
    migrate: drivers.migrate,
    mayComeLater: !drivers.embedded,
    now,
    onError: (error) =>
      log[error instanceof GatewayError ? "warn" : "error"]("the control plane is not in order", { error }),
  });
  return {
    services,
    registry,
    system,
    apiKeys,
    namespaces,
    async start() {
      await upkeep.start(() => control.ready());
      usage.start((error) => log.warn("uses of keys could not be written", { error }));
      deletion.wake();
      storageLife.start();
      await live.start();
      await outwards.start();
      functions.start();
      webhooks.start();
    },
    async close() {
      usage.stop();
      upkeep.close();
      revocations.stop();
      await deletion.close();
      await functions.close();
      await webhooks.close();
      await outwards.close();
      await live.close();
      await cache.close();
      await storageLife.close();
      await usage.flush().catch((error) => log.warn("uses of keys could not be written", { error }));
      await drivers.close();
    },
  };
}
