import type { FunctionAbi, FunctionVersion } from "../../src/contracts/functions.ts";
import type { LoggedInvocation, LogLevel } from "../../src/contracts/function_logs.ts";
import type { Maybe } from "../../src/contracts/cache.ts";

/** What a call may use up. Whatever is over them ends the call. */
export interface GuestLimits {
  /** Pages of 64 KiB that its memory may have. */
  readonly pages: number;
  /** Bytes of its answer. */
  readonly output: number;
  /** Bytes of lines it may log; further ones are dropped, and the last kept line says so. */
  readonly log: number;
  /** Host calls. */
  readonly calls: number;
}

/** What a host is told of a call. What the guest asks about itself is answered from here, without a host call. */
export interface GuestTask {
  /** Which module: known to the host by an earlier {@link GuestModule}. */
  readonly module: string;
  readonly name: string;
  readonly requestId: string;
  /** What `get_caller_wallet` answers; empty for nobody. */
  readonly caller: string;
  readonly env: Readonly<Record<string, string>>;
  readonly input: Uint8Array;
  readonly limits: GuestLimits;
}

/** A module for a host to compile and remember. */
export interface GuestModule {
  readonly module: string;
  readonly bytes: Uint8Array;
  readonly abi: FunctionAbi;
  readonly entry: string;
}

/** What is asked of a host. A body of `Host.request`, and so it holds nothing but `Wire`. */
export type GuestOrder =
  /** Compiles it and remembers it. Answered with `GuestLoaded`. */
  | { readonly kind: "load"; readonly load: GuestModule }
  /** Nobody will call it again. Answered with `null`. */
  | { readonly kind: "forget"; readonly module: string }
  /** Compiles it and looks at it, and forgets it. Answered with `GuestLoaded`. */
  | { readonly kind: "check"; readonly load: GuestModule }
  /** Runs it in an instance of its own. Answered with `GuestOutcome`. */
  | { readonly kind: "run"; readonly task: GuestTask };

/** @property problem what the engine says is wrong with the module; absent where nothing is */
export interface GuestLoaded {
  readonly problem?: string;
}

/** How a call ended within the host. */
export interface GuestOutcome {
  readonly end: "done" | "exit" | "trap" | "memory" | "output" | "calls" | "stack" | "link";
  /** What it wrote; empty unless `done`. */
  readonly output: Uint8Array;
  /** The trap's or the plug-in's own words; empty where it has none. */
  readonly message: string;
  /** Of `exit`. */
  readonly exitCode?: number;
  /** Pages that its memory had at the end. */
  readonly pages: number;
  readonly calls: number;
}

/** A line that a call logs, while it runs. The body of a `note`. */
export interface GuestNote {
  readonly level: LogLevel;
  readonly message: string;
}

/**
 * A host call that the parent performs: the name and what it was given. Bytes are the guest's own copies. The body of a `call`, which
 * is not to be trusted: a guest that broke out of its sandbox may send anything.
 */
export type GuestCall =
  /** @param args JSON array, or empty */
  | readonly ["db_query" | "db_execute", sql: string, args: string]
  /** @param steps JSON array of `{sql, args?, kind?}` */
  | readonly ["db_transaction", steps: string]
  | readonly ["cache_get" | "cache_delete", key: string]
  /** @param ttl seconds; 0 for none */
  | readonly ["cache_set", key: string, value: Uint8Array, ttl: number]
  | readonly ["cache_incr", key: string, by: bigint]
  | readonly ["storage_put", name: string, data: Uint8Array]
  | readonly ["storage_get", cid: string]
  | readonly ["pubsub_publish", topic: string, data: Uint8Array]
  /** @param headers JSON object of texts, or empty */
  | readonly ["http_fetch", method: string, url: string, headers: string, body: Uint8Array]
  | readonly ["get_secret", name: string]
  /** @param name with or without `@…` */
  | readonly ["function_invoke", name: string, input: Uint8Array];

/** What host calls are named, as the gateway counts them. */
export type GuestCallName = GuestCall[0];

/**
 * What a host call gives the guest. `value`: bytes of what returns bytes, a number of what returns one, `null` for nothing there.
 * `error`: for `last_error`, in the words that an HTTP client would get.
 */
export type GuestReply =
  | { readonly value: Uint8Array | number | bigint | null }
  | { readonly error: { readonly code: string; readonly message: string } };

/** In whose name host calls are made: the namespace of the function, never its caller or the gateway. */
export interface CallScope {
  readonly namespace: string;
  readonly functionName: string;
  readonly requestId: string;
  readonly traceparent: string | undefined;
  readonly depth: number;
  /** Ends with the call of the function. */
  readonly signal: AbortSignal;
}

/** Performs host calls. Never rejects but for a bug: what goes wrong is an error in the reply. */
export interface HostCalls {
  /** @param call as it came from the host: checked here, whatever it is */
  perform(call: unknown, scope: CallScope): Promise<GuestReply>;
}

/** A version as calls need it, from memory where it is known. */
export interface FunctionDirectory {
  /**
   * @param pick from 0 up to 1, for the choice among the versions of an alias with weights
   * @throws GatewayError `NOT_FOUND`, `UNAVAILABLE`
   */
  resolve(
    namespace: string,
    name: string,
    reference: string | undefined,
    pick: () => number,
    signal: AbortSignal,
  ): Maybe<FunctionVersion>;
  /** The module as hosts get it: with its memory's maximum in place. @throws GatewayError `UNAVAILABLE` */
  prepared(version: FunctionVersion, signal: AbortSignal): Maybe<Uint8Array>;
}

/** Where the invoker writes down what ran. Never throws, never waits. */
export interface InvocationLog {
  line(of: FunctionVersion, requestId: string, line: GuestNote & { readonly at: number }): void;
  invocation(of: FunctionVersion, invocation: Omit<LoggedInvocation, "id">): void;
}

/** What a module of a function says about itself. */
export interface ModuleFacts {
  readonly abi: FunctionAbi;
  readonly entry: string;
  /** Pages that its memory begins with. */
  readonly initialPages: number;
}
