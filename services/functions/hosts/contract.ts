import type { InvocationFigures } from "../../../src/contracts/function_invocations.ts";
import type { FunctionAbi } from "../../../src/contracts/functions.ts";
import type { GuestNote, GuestOutcome, GuestReply, GuestTask } from "../parts.ts";

/** A module as hosts get it. */
export interface HostModule {
  readonly bytes: Uint8Array;
  readonly abi: FunctionAbi;
  readonly entry: string;
}

/** Who hears what a call does while it runs. */
export interface HostWorkListener {
  /**
   * Performs a host call: one at a time, never more of them than the task's limit, none after the run is over. The time it takes is
   * the call's.
   * @param call whatever the host sent
   * @returns what the guest gets; rejecting, or throwing, ends the host, as garbage does
   */
  call(call: unknown): Promise<GuestReply>;
  /** A line that the guest logs: checked, and within the task's limit. */
  note(note: GuestNote): void;
}

/** A call of a function, for a host. */
export interface HostWork {
  /** Whose it is: a host serves one namespace for its life. */
  readonly namespace: string;
  /** The function's id, a UUID: what {@link concurrency} counts by. */
  readonly functionId: string;
  /** Which module, among all that the namespace ever has: of two with one key, hosts run the first for the other. */
  readonly moduleKey: string;
  /** Asked for when the host that runs the call does not know the module yet. What it throws ends the call. */
  readonly module: (signal: AbortSignal) => Promise<HostModule> | HostModule;
  readonly task: Omit<GuestTask, "module">;
  /** Milliseconds that it may run, host calls included; waiting and compiling are not part of it. */
  readonly timeout: number;
  /**
   * How many calls of this gateway wait for it to end, each with a place of its own: so many places more than there are otherwise it may
   * have, so that calls that wait for each other never wait for each other's places.
   */
  readonly depth: number;
  /** Calls at once, on this gateway. */
  readonly concurrency: {
    /** Of the namespace. */
    readonly namespace: number;
    /** Of the function; `undefined` for as many as the namespace may. */
    readonly function: number | undefined;
    /** Calls of the namespace that may wait. */
    readonly waiting: number;
  };
  /**
   * Called when the call has its place, before anything of it runs: the time to look again whether the function is still the one that
   * was meant. What it throws ends the call, and is thrown by `run`.
   */
  readonly admit?: (signal: AbortSignal) => Promise<void> | void;
  readonly listener: HostWorkListener;
  /** Ends a call that runs: its host is killed. Nothing else ends one but its deadline, `forget` and `close`. */
  readonly kill?: AbortSignal;
}

/** How a call went that got its place. */
export type HostRun =
  & {
    /** Milliseconds from `run` until it began: waiting for a place, fetching and compiling the module. */
    readonly waited: number;
    /** Milliseconds for which it ran. */
    readonly ran: number;
    /** Whether a host had to be given to the namespace for it, a spare or a new one. */
    readonly coldStart: boolean;
    /** How many host calls it made. */
    readonly calls: number;
  }
  & (
    /** The host said how it ended: checked, and within the task's limits. Also `link`, where the engine refused the module. */
    | { readonly ended: "outcome"; readonly outcome: GuestOutcome }
    /** Its time was over. The process is gone. */
    | { readonly ended: "deadline" }
    /**
     * The host ended in mid call: from outside, by itself, or because it sent what it must not. What the call did until then is done.
     * `outOfMemory`: by the engine, for want of memory.
     */
    | { readonly ended: "crashed"; readonly outOfMemory: boolean }
    /** It was ended in mid call by `kill`, `forget` or `close`. */
    | { readonly ended: "closed" }
  );

/**
 * Why a call was not begun:
 * - `busy`: too many calls of the namespace wait, or no place became free in time, or the module's hosts crash one after the other;
 * - `unavailable`: no process can be started now, or none that lives, whatever it is to run;
 * - `not_ready`: the function's own module does not come, takes too long to compile, or ends its processes before it runs;
 * - `forgotten`: the namespace was forgotten while the call waited;
 * - `closed`: the hosts are closed.
 */
export type RefusalReason = "busy" | "unavailable" | "not_ready" | "forgotten" | "closed";

/** A call that was not begun. Nothing of it ran. */
export class CallRefused extends Error {
  override readonly name = "CallRefused";

  /**
   * @param retryAfter whole seconds after which it is worth another try; from 1
   * @param sentence may be told to whoever calls
   */
  constructor(readonly reason: RefusalReason, readonly retryAfter: number, sentence: string) {
    super(sentence);
  }
}

/** The pool of function hosts, as the invoker and the deployment see it. */
export interface FunctionHostPool {
  /**
   * Runs a call: now, or when it is its turn. One that never began because its host ended first is run on another one.
   * @param signal while the call waits it leaves the line and this rejects with the signal's reason; one that runs goes on
   * @throws CallRefused; what `module` and `admit` throw; the signal's reason. Nothing of the call ran then.
   */
  run(work: HostWork, signal: AbortSignal): Promise<HostRun>;
  /**
   * Compiles a module in a host that ends after it.
   * @param timeout milliseconds that it may take
   * @returns what is wrong with it; `undefined` for nothing
   * @throws CallRefused, the signal's reason
   */
  check(module: HostModule, timeout: number, signal: AbortSignal): Promise<string | undefined>;
  /** Ends all of a namespace: its hosts are killed, its waiting calls refused. Resolves when its processes are gone. */
  forget(namespace: string): Promise<void>;
  figures(): InvocationFigures;
  /** Refuses what waits, lets what runs end for a bounded time, then kills it. */
  close(): Promise<void>;
}
