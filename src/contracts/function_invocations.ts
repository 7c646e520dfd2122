import type { FunctionVersion } from "./functions.ts";
import type { Lifecycle } from "./health.ts";
import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** What began a call of a function. */
export const INVOCATION_TRIGGERS = ["http", "websocket", "route", "cron", "topic", "database", "function"] as const;
/** One of {@link INVOCATION_TRIGGERS}. */
export type InvocationTrigger = typeof INVOCATION_TRIGGERS[number];

/** A call of a function. */
export interface Invocation {
  readonly namespace: string;
  readonly name: string;
  /** What stands behind the `@`; see `Functions`. */
  readonly reference?: string | undefined;
  /**
   * Which function it must be, where the call was meant for one before: the name may be another one's by now. Then it is `NOT_FOUND`.
   * Default: whichever has the name.
   */
  readonly functionId?: string | undefined;
  readonly input: Uint8Array;
  readonly trigger: InvocationTrigger;
  /** The id of the trigger, where it has one. */
  readonly triggerId?: string | undefined;
  /**
   * Who calls. `undefined`: nobody who is known, who may call public functions alone. `"namespace"`: the namespace itself, by a
   * trigger or another function of its own.
   */
  readonly caller: Principal | "namespace" | undefined;
  /**
   * Whether the call came by a route that is for everybody: the function is then called whoever the caller is, public or not.
   * Default: `false`.
   */
  readonly admittedByRoute?: boolean | undefined;
  /** How many functions and triggers this call lies behind; 0 for one from outside. */
  readonly depth: number;
}

/** Why a call that ran brought no answer; each is told with status 422, but for `OUTCOME_UNKNOWN`, which is 409. */
export const FUNCTION_FAILURES = [
  /** It took longer than it may, and was ended. */
  "FUNCTION_TIMEOUT",
  /** It trapped: `unreachable`, an access out of bounds, a stack that ran over. */
  "FUNCTION_TRAPPED",
  /** It trapped when its memory was full, or took memory beyond what a process of it may have. */
  "FUNCTION_OUT_OF_MEMORY",
  /** It ended with an exit code other than 0, or its plug-in returned an error. */
  "FUNCTION_FAILED",
  /** It wrote a longer answer than it may. */
  "FUNCTION_OUTPUT_TOO_LARGE",
  /** It made more host calls than it may. */
  "FUNCTION_CALLS_EXCEEDED",
  /** Its process was ended from outside in mid call; what it did until then is done. */
  "OUTCOME_UNKNOWN",
] as const;
/** One of {@link FUNCTION_FAILURES}. */
export type FunctionFailureCode = typeof FUNCTION_FAILURES[number];

/** How a call ended. */
export interface InvocationResult {
  readonly requestId: string;
  readonly version: Pick<FunctionVersion, "id" | "namespace" | "name" | "version">;
  /** Milliseconds from the call's arrival, waiting and further tries included. */
  readonly duration: number;
  /** How often it was tried. */
  readonly attempts: number;
  /** What it wrote; empty where it failed. */
  readonly output: Uint8Array;
  /** Why there is no answer; `undefined` where there is one. */
  readonly failure: InvocationFailure | undefined;
}

/** Why a call that ran brought no answer. */
export interface InvocationFailure {
  readonly code: FunctionFailureCode;
  /** For whoever wrote the function: what happened, with the trap's or exit's own words. */
  readonly message: string;
  /** What it ended with, where it ended by itself. */
  readonly exitCode?: number | undefined;
}

/** Figures since the gateway started, for metrics; nothing in them names a function of a client. */
export interface InvocationFigures {
  /** Calls that run now, and that wait for a place. */
  readonly running: number;
  readonly waiting: number;
  readonly hosts: { readonly busy: number; readonly idle: number; readonly spare: number };
  /** Hosts that were ended or ended by themselves, by cause. */
  readonly ended: Readonly<Record<string, number>>;
  /** What keeps a host from harm on this machine, by name, and whether it is in force. */
  readonly confinement: Readonly<Record<string, boolean>>;
}

/** Calls functions. */
export interface FunctionInvocations extends Lifecycle {
  /**
   * Runs a function, and again where it failed and says that it may be. A failure of the function itself is part of the result.
   * @throws GatewayError, all before anything ran: `NOT_FOUND`; `UNAUTHENTICATED`, `FORBIDDEN` where the caller may not call it;
   *   `BODY_TOO_LARGE`; `TOO_MANY_INVOCATIONS` (429, with `Retry-After`) where no place became free; `UNAVAILABLE`;
   *   `INVOCATION_TOO_DEEP` (422)
   */
  invoke(invocation: Invocation, context: RequestContext): Promise<InvocationResult>;
  figures(): InvocationFigures;
}
