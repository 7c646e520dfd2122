import type { FunctionFailureCode, InvocationTrigger } from "../../../src/contracts/function_invocations.ts";
import type { GuestCallName } from "../parts.ts";

/** What metrics are told of. Nothing in it names a client, a namespace or a function. */
export type FunctionEvent =
  /** One try of a call ended. Milliseconds. */
  | {
    readonly kind: "invocation";
    readonly trigger: InvocationTrigger;
    readonly outcome: FunctionFailureCode | "success";
    /** For which it ran. */
    readonly duration: number;
    /** For which it waited before: for a place, for its module. */
    readonly waited: number;
    /** Whether it had to wait for a host of its namespace. */
    readonly cold: boolean;
  }
  /** A host call was performed. */
  | { readonly kind: "call"; readonly name: HostCallName; readonly ok: boolean; readonly ms: number };

/** A host call by its name; what a guest sent that is none is `unknown`. */
export type HostCallName = GuestCallName | "unknown";

/** By name, so that the compiler misses one that is forgotten. */
const KNOWN: Readonly<Record<GuestCallName, true>> = {
  db_query: true,
  db_execute: true,
  db_transaction: true,
  cache_get: true,
  cache_set: true,
  cache_delete: true,
  cache_incr: true,
  storage_put: true,
  storage_get: true,
  pubsub_publish: true,
  http_fetch: true,
  get_secret: true,
  function_invoke: true,
};

/** How what a host sent is called in metrics, whatever it is. */
export function hostCallName(call: unknown): HostCallName {
  const name: unknown = Array.isArray(call) ? call[0] : undefined;
  return typeof name === "string" && Object.hasOwn(KNOWN, name) ? name as GuestCallName : "unknown";
}
