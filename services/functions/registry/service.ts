import { sql } from "kysely";
import type { Maybe } from "../../../src/contracts/cache.ts";
import type {
  Deployment,
  FunctionAlias,
  FunctionPage,
  Functions,
  FunctionVersion,
} from "../../../src/contracts/functions.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { abortable } from "../../clock/abortable.ts";
import type { RevocationFeed } from "../../control_plane/revocations.ts";
import type { FunctionDirectory } from "../parts.ts";
import { Aliases } from "./aliases.ts";
import { type ChangesParts, FunctionChanges } from "./changes.ts";
import { ModuleContent, type ModuleStorage } from "./content.ts";
import { Deploying, type DeployingParts, PAGES_PER_MIB } from "./deploying.ts";
import { notFound } from "./failures.ts";
import { listFunctions } from "./listing.ts";
import { mayBe } from "./names.ts";
import { RememberedFunctions } from "./remembered_functions.ts";
import { RememberedModules } from "./remembered_modules.ts";
import { Removing } from "./removing.ts";
import { readState, type Seen, versionAt, versionNumbered } from "./state.ts";
import { Sweeper } from "./sweeper.ts";
import { moduleAt } from "./versions.ts";
import { Turns } from "./turns.ts";

/** What the registry is told. */
export interface FunctionRegistryOptions
  extends
    Omit<ChangesParts, "onChanged" | "revocations">,
    Omit<DeployingParts, "changes" | "content" | "control" | "now"> {
  readonly revocations: Pick<RevocationFeed, "entry" | "pull" | "onRevoked">;
  readonly storage: ModuleStorage;
  /** Milliseconds for which what was remembered is believed while the control plane is away; at most a minute, the default. */
  readonly maxStale?: number | undefined;
  /** Milliseconds that never run backwards or jump. */
  readonly monotonic: () => number;
  /** Bytes of modules that are kept in memory. */
  readonly moduleCache: number;
  /** Told what could not be done in the background yet; it is tried again. @param what completes "could not be done: " */
  readonly onError: (what: string, error: unknown) => void;
}

/** Functions in the control plane, their modules in the storage. `DESIGN.md` says how it keeps its promises. */
export class FunctionRegistry implements Functions, FunctionDirectory {
  readonly #content: ModuleContent;
  readonly #changes: FunctionChanges;
  readonly #deploying: Deploying;
  readonly #aliases: Aliases;
  readonly #removing: Removing;
  readonly #functions: RememberedFunctions;
  readonly #modules: RememberedModules;
  readonly #sweeper: Sweeper;
  readonly #downloads = new Turns(DOWNLOADS);

  constructor(private readonly options: FunctionRegistryOptions) {
    const { control, revocations, monotonic, moduleCache, onError } = options;
    const functions = this.#functions = new RememberedFunctions({
      monotonic,
      maxStale: options.maxStale,
      read: async (namespace, name, signal) => (await readState(control, namespace, name, signal)).function,
    });
    const modules = this.#modules = new RememberedModules(moduleCache);
    const content = this.#content = new ModuleContent(options);
    const changes = this.#changes = new FunctionChanges({
      ...options,
      onChanged: (namespace, name) => functions.drop(namespace, name),
    });
    const shared = { ...options, changes, content };
    this.#deploying = new Deploying(shared);
    this.#aliases = new Aliases(shared);
    this.#removing = new Removing(shared);
    this.#sweeper = new Sweeper(
      (signal) => content.sweep(signal),
      (error) => onError("letting go of modules that were left behind", error),
    );
    revocations.onRevoked(({ kind, id }) => {
      if (kind === "function") functions.drop(...(id.split("/", 2) as [string, string]));
      if (kind !== "namespace") return;
      functions.dropNamespace(id);
      modules.dropNamespace(id);
    });
  }

  /** Begins to let go, from time to time, of modules that were left behind. */
  start(): void {
    this.#sweeper.start();
  }

  beginDeploy(namespace: string): Disposable {
    return this.#deploying.begin(namespace);
  }

  deploy(principal: Principal, deployment: Deployment, context: RequestContext): Promise<FunctionVersion> {
    return this.#deploying.deploy(principal, deployment, context);
  }

  list(
    namespace: string,
    query: { readonly cursor?: string | undefined; readonly limit: number },
    { signal }: RequestContext,
  ): Promise<FunctionPage> {
    return listFunctions(this.options.control, namespace, query, signal);
  }

  async get(
    namespace: string,
    name: string,
    reference: string | undefined,
    { signal }: RequestContext,
  ): Promise<FunctionVersion> {
    return versionAt((await this.#read(namespace, name, signal)).function, reference).shown;
  }

  async versions(namespace: string, name: string, { signal }: RequestContext): Promise<readonly FunctionVersion[]> {
    const { function: state } = await this.#read(namespace, name, signal);
    return state?.versions.map(({ shown }) => shown) ?? [];
  }

  async module(
    namespace: string,
    name: string,
    reference: string | undefined,
    { signal }: RequestContext,
  ): Promise<{ readonly version: FunctionVersion; readonly bytes: Uint8Array<ArrayBuffer> }> {
    const { shown: version, storedCid } = versionAt((await this.#read(namespace, name, signal)).function, reference);
    const reading = this.#downloads.run(() => {
      // Whoever left while it waited wants nothing any more.
      signal.throwIfAborted();
      return this.#content.read({ ...version, storedCid });
    });
    // Whoever left before it began is told by their own signal.
    reading.catch(() => {});
    return { version, bytes: await abortable(reading, signal) };
  }

  delete(
    principal: Principal,
    name: string,
    reference: string | undefined,
    context: RequestContext,
  ): Promise<void> {
    return this.#removing.delete(principal, name, reference, context);
  }

  async rollBack(
    { namespace, subject }: Principal,
    name: string,
    version: number | undefined,
    context: RequestContext,
  ): Promise<FunctionVersion> {
    const { now } = this.options;
    // Decided once: tried again, "the one before" would be one further back.
    let serving = version;
    return await this.#changes.make({ namespace, name, actor: subject }, (seen) => {
      const state = seen.function;
      if (state === undefined) throw notFound("function");
      serving ??= state.versions.find(({ shown }) => shown.version < state.serving)?.shown.version;
      if (serving === undefined) {
        throw new GatewayError("NOT_FOUND", `function version not found: none before ${state.serving} is kept`);
      }
      const { shown } = versionNumbered(state, serving);
      if (shown.serving) return { done: shown };
      const updatedAt = now();
      return {
        queries: [this.#changes.touching({ namespace, name }, seen, state, { serving })],
        audit: { action: "function.rolled_back", details: { version: serving, before: state.serving } },
        answer: () => ({ ...shown, serving: true, updatedAt }),
      };
    }, context);
  }

  async aliases(namespace: string, name: string, { signal }: RequestContext): Promise<readonly FunctionAlias[]> {
    const { function: state } = await this.#read(namespace, name, signal);
    if (state === undefined) throw notFound("function");
    return state.aliases;
  }

  setAlias(
    principal: Principal,
    name: string,
    alias: Pick<FunctionAlias, "name" | "targets">,
    context: RequestContext,
  ): Promise<FunctionAlias> {
    return this.#aliases.set(principal, name, alias, context);
  }

  deleteAlias(principal: Principal, name: string, alias: string, context: RequestContext): Promise<void> {
    return this.#aliases.delete(principal, name, alias, context);
  }

  resolve(
    namespace: string,
    name: string,
    reference: string | undefined,
    pick: () => number,
    signal: AbortSignal,
  ): Maybe<FunctionVersion> {
    if (!mayBe(namespace, name)) throw notFound("function");
    const state = this.#functions.get(namespace, name, signal);
    if (state instanceof Promise) return state.then((read) => versionAt(read, reference, pick).shown);
    return versionAt(state, reference, pick).shown;
  }

  prepared(version: FunctionVersion, signal: AbortSignal): Maybe<Uint8Array> {
    const { namespace, id, memoryLimit } = version;
    const pages = memoryLimit * PAGES_PER_MIB;
    return this.#modules.get({ namespace, id, version: version.version, pages }, async () => {
      const { control, prepareModule } = this.options;
      const storedCid = await moduleAt(control, version, AbortSignal.timeout(READING));
      if (storedCid === undefined) {
        this.#functions.drop(namespace, version.name);
        throw new GatewayError("UNAVAILABLE", "this version of the function was deleted just now; nothing of it ran");
      }
      return prepareModule(await this.#content.read({ ...version, storedCid }), pages);
    }, signal);
  }

  /** What it holds in this gateway's memory. */
  figures(): { readonly cachedBytes: number } {
    return { cachedBytes: this.#modules.bytes };
  }

  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    await this.#removing.purge(namespace, signal);
    this.#functions.dropNamespace(namespace);
    this.#modules.dropNamespace(namespace);
  }

  async usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    const { control } = this.options;
    const { rows: [row] } = await control.run<{ functions: number; versions: number; module_bytes: number }>(
      sql`SELECT (SELECT count(*) FROM functions WHERE namespace = ${namespace} AND serving IS NOT NULL) AS functions,
        (SELECT count(*) FROM function_versions WHERE namespace = ${namespace}) AS versions,
        (SELECT coalesce(sum(size), 0) FROM (
          SELECT DISTINCT stored_cid, size FROM function_versions WHERE namespace = ${namespace})) AS module_bytes`
        .compile(control.db),
      signal,
    );
    return { ...row! };
  }

  /** Of the control plane: the storage tells of itself. */
  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.options.control.health(signal);
  }

  async close(): Promise<void> {
    await this.#sweeper.close();
    this.#modules.clear();
  }

  #read(namespace: string, name: string, signal: AbortSignal): Promise<Seen> {
    return readState(this.options.control, namespace, name, signal);
  }
}

/** Milliseconds for finding out where a module is. */
const READING = 5_000;
/** Modules that are read at once for clients who want them back: calls do not wait for these. */
const DOWNLOADS = 4;
