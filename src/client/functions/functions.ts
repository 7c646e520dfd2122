import type { CallOptions, Client } from "../http.ts";
import type { DeployOptions, FollowOptions, FunctionWriteOptions, InvokeOptions, LogOptions } from "./options.ts";
import { RemoteFunctions } from "./remote_functions.ts";
import type { FunctionAlias, FunctionAnswer, FunctionLogLine, FunctionSecret, FunctionVersion } from "./values.ts";

/** What a function is given: bytes as they are, text as UTF-8, anything else as JSON. */
export type FunctionInput = Uint8Array | string | object | number | boolean | null;

/**
 * Functions of the namespace that the client's credential belongs to. A reference is a version, an alias, or `latest`, which is the
 * version that serves.
 *
 * All methods throw {@link OramaError}, and `TypeError` for a name that no address can hold. What reads is repeated when it fails in a
 * way that can pass. What may have done something is sent once: without an answer it is `OUTCOME_UNKNOWN`.
 */
export interface Functions {
  /** Puts a version in place, which serves from then on. @throws OramaError `MODULE_INVALID` that says what is wrong with the module */
  deploy(name: string, wasm: Blob | Uint8Array, options?: DeployOptions): Promise<FunctionVersion>;
  /**
   * Calls a function.
   * @throws OramaError `FUNCTION_TIMEOUT`, `FUNCTION_TRAPPED`, `FUNCTION_OUT_OF_MEMORY`, `FUNCTION_FAILED`,
   *   `FUNCTION_OUTPUT_TOO_LARGE`, `FUNCTION_CALLS_EXCEEDED` where it brought no answer; `TOO_MANY_INVOCATIONS`, before it ran
   */
  invoke(name: string, input?: FunctionInput, options?: InvokeOptions): Promise<FunctionAnswer>;
  /** By name; of each the version that serves. */
  list(options?: CallOptions): AsyncIterable<FunctionVersion>;
  /** @returns `null` where there is none */
  get(name: string, reference?: string | number, options?: CallOptions): Promise<FunctionVersion | null>;
  /** All that are kept, newest first; none of a function that there is not. */
  versions(name: string, options?: CallOptions): Promise<FunctionVersion[]>;
  /** The module of a version, as it was deployed. */
  module(name: string, reference?: string | number, options?: CallOptions): Promise<Uint8Array<ArrayBuffer>>;
  /** Deletes a function, or one version of it. @returns whether it was there */
  delete(name: string, version?: number, options?: FunctionWriteOptions): Promise<boolean>;
  /** Lets another version serve. @param version default: the one before, and then it is never repeated */
  rollBack(name: string, version?: number, options?: FunctionWriteOptions): Promise<FunctionVersion>;
  aliases(name: string, options?: CallOptions): Promise<FunctionAlias[]>;
  /** Makes or changes an alias. @param targets a version, or versions with weights that are 100 in all */
  setAlias(
    name: string,
    alias: string,
    targets: number | FunctionAlias["targets"],
    options?: FunctionWriteOptions,
  ): Promise<FunctionAlias>;
  /** @returns whether it was there */
  deleteAlias(name: string, alias: string, options?: FunctionWriteOptions): Promise<boolean>;
  /** Newest first. */
  logs(name: string, options?: LogOptions): Promise<FunctionLogLine[]>;
  /** Lines as they come, until the loop or the signal ends it. A connection that is lost is made again where it was. */
  followLogs(name: string, options?: FollowOptions): AsyncIterable<FunctionLogLine>;
  /** Secrets that the namespace's functions read; nobody reads them back. */
  readonly secrets: FunctionSecrets;
}

/** Secrets of a namespace. */
export interface FunctionSecrets {
  list(options?: CallOptions): Promise<FunctionSecret[]>;
  /** Sets or replaces one; calls that begin later read it. */
  set(name: string, value: string, options?: FunctionWriteOptions): Promise<FunctionSecret>;
  /** @returns whether it was there */
  delete(name: string, options?: FunctionWriteOptions): Promise<boolean>;
}

/** The functions of a client. */
export const createFunctions = (client: Client): Functions => new RemoteFunctions(client);
