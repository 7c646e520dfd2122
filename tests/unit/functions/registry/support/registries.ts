import { prepareModule, readModule } from "../../../../../services/functions/modules/index.ts";
import { MODULES_NAMESPACE, moduleStorageRules } from "../../../../../services/functions/registry/content.ts";
import { FunctionRegistry, type FunctionRegistryOptions } from "../../../../../services/functions/registry/service.ts";
import { ControlAuditLog } from "../../../../../services/control_plane/audit.ts";
import type { ControlDatabase } from "../../../../../services/control_plane/control_database.ts";
import { RevocationFeed } from "../../../../../services/control_plane/revocations.ts";
import type { FunctionRules } from "../../../../../src/contracts/function_rules.ts";
import type { Deployment, FunctionVersion } from "../../../../../src/contracts/functions.ts";
import type { RequestContext } from "../../../../../src/contracts/request.ts";
import { principal } from "../../../auth/support/node.ts";
import { Chance } from "../../../control_plane/support/chance.ts";
import { CONTEXT } from "../../../control_plane/support/context.ts";
import { openControl } from "../../../control_plane/support/control.ts";
import { WatchedControl } from "../../../control_plane/support/doubles.ts";
import { RULES as STORAGE_RULES, Storages, stream } from "../../../storage/support/storage.ts";
import { moduleWith } from "./modules.ts";

/** Rules that nothing in a test comes up against by chance. */
export const RULES: FunctionRules = {
  maxFunctions: 20,
  maxVersions: 10,
  maxModuleBytes: 100_000,
  maxMemory: 128,
  maxTimeout: 60_000,
  maxConcurrency: 16,
  maxWaiting: 16,
  maxInputBytes: 1_000_000,
  maxOutputBytes: 1_000_000,
  maxLogBytes: 65_536,
  maxHostCalls: 1_000,
  maxTriggers: 10,
  maxSecrets: 5,
  logRetention: 86_400_000,
};

/** How a gateway of a test differs. */
export interface RegistryOptions extends Partial<FunctionRegistryOptions> {
  readonly rules?: Partial<FunctionRules>;
}

/** Gateways with functions on one control plane and one engine. */
export class Registries implements AsyncDisposable {
  readonly control: ControlDatabase;
  readonly clock;
  readonly engine;
  /** What gateways said could not be done yet. */
  readonly errors: unknown[] = [];
  #seed = 100;
  readonly #opened: RegistryGateway[] = [];

  private constructor(readonly storages: Storages) {
    this.control = storages.control;
    this.clock = storages.clock;
    this.engine = storages.engine;
  }

  /** On a control plane in memory, with these namespaces. */
  static async start(...namespaces: readonly string[]): Promise<Registries> {
    return await Registries.on(await openControl(), ...namespaces);
  }

  /** On a control plane that has its tables. */
  static async on(control: ControlDatabase, ...namespaces: readonly string[]): Promise<Registries> {
    return new Registries(await Storages.on(control, ...namespaces));
  }

  /** One more gateway, with its own way to the control plane. */
  async gateway({ rules = {}, ...options }: RegistryOptions = {}): Promise<RegistryGateway> {
    const control = new WatchedControl(this.control);
    const storage = this.storages.gateway({
      rulesOf: (namespace) => namespace === MODULES_NAMESPACE ? moduleStorageRules() : STORAGE_RULES,
    }).service;
    const { now } = this.clock;
    const revocations = new RevocationFeed(control, { now, monotonic: now, interval: 500, maxSilence: 60_000 });
    await revocations.pull();
    const chance = new Chance(this.#seed++);
    const held = { ...RULES, ...rules };
    const registry = new FunctionRegistry({
      control,
      revocations,
      audit: new ControlAuditLog(control, now),
      storage,
      rulesOf: () => held,
      readModule,
      prepareModule,
      check: () => Promise.resolve(undefined),
      now,
      monotonic: now,
      chance: chance.next,
      uuid: () => crypto.randomUUID(),
      moduleCache: 1_000_000,
      onError: (what, error) => this.errors.push([what, error]),
      ...options,
    });
    const gateway = new RegistryGateway(registry, control, revocations, storage);
    this.#opened.push(gateway);
    return gateway;
  }

  /** Lets a namespace go as its deletion does, and somebody else have its name. */
  async replaceNamespace(name: string, gateway: RegistryGateway): Promise<void> {
    await this.markDeleting(name, gateway);
    await gateway.registry.purge(name, CONTEXT.signal);
    await this.control.run(this.control.db.deleteFrom("namespaces").where("name", "=", name));
    this.clock.advance(1);
    await this.storages.namespace(name);
  }

  async markDeleting(name: string, gateway: RegistryGateway): Promise<void> {
    const { db } = this.control;
    await this.control.atomically([
      db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", name),
      gateway.revocations.entry("namespace", name),
    ]);
    await gateway.revocations.pull();
  }

  /** CIDs of modules that the storage keeps. */
  async stored(): Promise<readonly string[]> {
    const objects = await this.storages.objects();
    return objects.filter(({ namespace }) => namespace === MODULES_NAMESPACE).map(({ cid }) => cid);
  }

  /** CIDs of modules that versions name, each once. */
  async named(): Promise<readonly string[]> {
    const { db } = this.control;
    const rows = await db.selectFrom("function_versions").select("stored_cid").distinct().orderBy("stored_cid")
      .execute();
    return rows.map(({ stored_cid }) => stored_cid);
  }

  /** Has a trigger call a function. */
  async trigger(version: FunctionVersion, reference: string | null, id = "trg_1"): Promise<void> {
    await this.control.run(
      this.control.db.insertInto("function_triggers").values({
        id,
        namespace: version.namespace,
        namespace_created_at: 0,
        function_id: version.id,
        function_name: version.name,
        reference,
        kind: "topic",
        source: '{"topic":"orders"}',
        enabled: 1,
        created_at: 0,
        created_by: "test",
      } as never),
    );
  }

  /** Ends the gateways. */
  async close(): Promise<void> {
    for (const { registry, revocations } of this.#opened.splice(0)) {
      revocations.stop();
      await registry.close();
    }
    await this.storages.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.control.close();
  }
}

/** A gateway of a test, called as its routes would call it. */
export class RegistryGateway {
  constructor(
    readonly registry: FunctionRegistry,
    readonly control: WatchedControl,
    readonly revocations: RevocationFeed,
    readonly storage: ReturnType<Storages["gateway"]>["service"],
  ) {}

  /** @param text what is in the module */
  deploy(
    name: string,
    text: string,
    { namespace = "shop", context = CONTEXT, ...options }: Partial<Deployment> & {
      readonly namespace?: string;
      readonly context?: RequestContext;
    } = {},
  ): Promise<FunctionVersion> {
    const deployment = { name, wasm: stream(moduleWith(text)), ...options };
    return this.registry.deploy(principal({ namespace }), deployment, context);
  }

  /** The number of the version that a call would get. */
  async serves(name: string, reference?: string, pick = 0, namespace = "shop"): Promise<number> {
    return (await this.registry.resolve(namespace, name, reference, () => pick, CONTEXT.signal)).version;
  }

  async shown(name: string, namespace = "shop"): Promise<readonly string[]> {
    const versions = await this.registry.versions(namespace, name, CONTEXT);
    return versions.map(({ version, serving }) => `${version}${serving ? " serves" : ""}`);
  }

  alias(name: string, alias: string, ...targets: readonly (readonly [version: number, weight: number])[]) {
    const wanted = { name: alias, targets: targets.map(([version, weight]) => ({ version, weight })) };
    return this.registry.setAlias(principal({ namespace: "shop" }), name, wanted, CONTEXT);
  }

  delete(name: string, reference?: string, namespace = "shop"): Promise<void> {
    return this.registry.delete(principal({ namespace }), name, reference, CONTEXT);
  }

  rollBack(name: string, version?: number): Promise<FunctionVersion> {
    return this.registry.rollBack(principal({ namespace: "shop" }), name, version, CONTEXT);
  }

  async module(name: string, reference?: string): Promise<Uint8Array> {
    return (await this.registry.module("shop", name, reference, CONTEXT)).bytes;
  }
}
