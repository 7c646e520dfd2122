import type { Lifecycle, NamespacedService } from "./health.ts";
import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/**
 * How a module is called. `wasi`: a command of WASI preview 1, which reads its input from standard input, writes its answer to
 * standard output and begins at `_start`. `extism`: a plug-in of Extism, one of whose exports is called.
 */
export const FUNCTION_ABIS = ["wasi", "extism"] as const;
/** One of {@link FUNCTION_ABIS}. */
export type FunctionAbi = typeof FUNCTION_ABIS[number];

/** What whoever deploys a version says of it. */
export interface FunctionOptions {
  /** MiB that its memory may have. */
  readonly memoryLimit: number;
  /** Milliseconds that one call may take, host calls included. */
  readonly timeout: number;
  /** Whether anyone may call it, without a credential. */
  readonly isPublic: boolean;
  /** How often a call is tried again that failed. */
  readonly retryCount: number;
  /** Milliseconds before the first of these tries; doubled each time. */
  readonly retryDelay: number;
  /** A topic of the namespace that is told of calls that failed for good. */
  readonly dlqTopic: string | undefined;
  /** Calls of it that run at once on one gateway; `undefined` for as many as the namespace may have. */
  readonly concurrency: number | undefined;
  /** What `get_env` answers. */
  readonly env: Readonly<Record<string, string>>;
}

/** One version of a function. */
export interface FunctionVersion extends FunctionOptions {
  /** The function's own id, a UUID; the same for all its versions. */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** From 1, without gaps; a number is never used twice, also not by a function that takes a deleted one's name. */
  readonly version: number;
  /** The content id of the module as it was deployed (raw CIDv1). */
  readonly wasmCid: string;
  /** Bytes of the module as it was deployed. */
  readonly size: number;
  readonly abi: FunctionAbi;
  /** Which export is called: `_start`, or the one that the plug-in names. */
  readonly entry: string;
  /** Unix milliseconds at which this version was deployed. */
  readonly createdAt: number;
  /** Who deployed it, as audit logs call them. */
  readonly createdBy: string;
  /** Unix milliseconds of the last change of the function: a deploy, a roll back, an alias. */
  readonly updatedAt: number;
  /** Whether this is the version that serves calls which name none. */
  readonly serving: boolean;
}

/** What is deployed. What is not said is the gateway's default, never the version's before. */
export interface Deployment extends Partial<FunctionOptions> {
  readonly name: string;
  /** Which export of an Extism plug-in is called. Default: its only one, or `handle`. */
  readonly entry?: string | undefined;
  /** The module. Read once, and no further than the namespace's limit. */
  readonly wasm: AsyncIterable<Uint8Array>;
  /** What {@link Functions.beginDeploy} gave, which whoever began ends. Default: a place of its own. */
  readonly place?: Disposable | undefined;
  /**
   * Whether whoever deploys may do so still: asked just before the version is recorded, because reading and compiling take their
   * time. What it throws is what `deploy` throws, and nothing is deployed then.
   */
  readonly admit?: (() => Promise<void>) | undefined;
}

/** A name for a version, or for several with a weight each. */
export interface FunctionAlias {
  /** What stands behind the `@`: letters, digits, `-` and `_`, not a number, not `latest`. */
  readonly name: string;
  /** Weights are whole numbers from 1 to 100, and are 100 in all. */
  readonly targets: readonly { readonly version: number; readonly weight: number }[];
  readonly updatedAt: number;
}

/** One page of a namespace's functions, by name. */
export interface FunctionPage {
  readonly functions: readonly FunctionVersion[];
  readonly total: number;
  /** For the next page; `undefined` on the last. */
  readonly cursor: string | undefined;
}

/**
 * The functions of namespaces: deployed, kept in versions, named by aliases. A reference is what stands behind the `@` of a name: a
 * version, `latest` (the one that serves, which is the newest unless it was rolled back) or an alias; `undefined` is `latest`.
 *
 * Every method throws `GatewayError` `NOT_FOUND` for a function, version or alias that the namespace does not have, `INVALID_REQUEST`
 * that names the field, and `UNAVAILABLE` while the control plane or the storage is away.
 */
export interface Functions extends NamespacedService, Lifecycle {
  /**
   * Takes a place among the deployments under way on this gateway, of which there are a bounded number, until it is disposed of: for
   * whoever has a module in memory before it is deployed.
   * @throws GatewayError `TOO_MANY_UPLOADS` (429)
   */
  beginDeploy(namespace: string): Disposable;
  /**
   * Puts a version in place, which serves from then on. The module is read, checked and compiled before anything is kept.
   * @throws GatewayError `MODULE_INVALID` (400) with what is wrong with it, `BODY_TOO_LARGE` (413), `QUOTA_EXCEEDED` (403),
   *   `TOO_MANY_UPLOADS` and `TOO_MANY_INVOCATIONS` (429): it could not be compiled now
   */
  deploy(principal: Principal, deployment: Deployment, context: RequestContext): Promise<FunctionVersion>;
  /** By name, at most `limit` of them; of each the version that serves. */
  list(
    namespace: string,
    query: { readonly cursor?: string | undefined; readonly limit: number },
    context: RequestContext,
  ): Promise<FunctionPage>;
  get(
    namespace: string,
    name: string,
    reference: string | undefined,
    context: RequestContext,
  ): Promise<FunctionVersion>;
  /** All that are kept, newest first; none of a function that there is not. */
  versions(namespace: string, name: string, context: RequestContext): Promise<readonly FunctionVersion[]>;
  /** The module of a version as it was deployed. */
  module(
    namespace: string,
    name: string,
    reference: string | undefined,
    context: RequestContext,
  ): Promise<{ readonly version: FunctionVersion; readonly bytes: Uint8Array<ArrayBuffer> }>;
  /**
   * Deletes a function with all versions, aliases and triggers, or one version of it.
   * @throws GatewayError `CONFLICT` (409) for a version that serves, or that an alias names
   */
  delete(
    principal: Principal,
    name: string,
    reference: string | undefined,
    context: RequestContext,
  ): Promise<void>;
  /** Lets another version serve. @param version default: the newest one older than the one that serves */
  rollBack(
    principal: Principal,
    name: string,
    version: number | undefined,
    context: RequestContext,
  ): Promise<FunctionVersion>;
  aliases(namespace: string, name: string, context: RequestContext): Promise<readonly FunctionAlias[]>;
  /** Makes or changes an alias. */
  setAlias(
    principal: Principal,
    name: string,
    alias: Pick<FunctionAlias, "name" | "targets">,
    context: RequestContext,
  ): Promise<FunctionAlias>;
  deleteAlias(principal: Principal, name: string, alias: string, context: RequestContext): Promise<void>;
}
